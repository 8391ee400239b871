#![doc = include_str!("../README.md")]

mod apply_patch;
mod arguments;
mod change;
pub mod checkpoint;
pub mod config;
mod edit;
mod list;
pub mod outputs;
mod read;
mod search;
mod shell;
mod shell_kill;
mod shell_poll;
mod shell_write;
pub mod toolbox;
mod web_fetch;
mod web_search;
pub mod workspace;
mod write;
