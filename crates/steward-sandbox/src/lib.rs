#![doc = include_str!("../README.md")]

mod bubblewrap;
mod child;
mod closed;
mod command;
mod config;
mod control_files;
mod direct;
pub mod egress;
mod error;
mod keeper;
mod leftovers;
mod proof;
mod sandbox;
mod seccomp;
mod spawner;
mod streams;
mod supervise;
mod syscalls;
mod workspace;

pub use child::{Child, Ended, Exit, Input, Output, Signal};
pub use command::{Access, Command, Mount, Stdin, Streams};
pub use config::{Backend, Config, Limits, Network};
pub use error::SandboxError;
pub use leftovers::Owner;
pub use proof::Check;
pub use sandbox::Sandbox;
