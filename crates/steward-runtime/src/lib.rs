#![doc = include_str!("../README.md")]

pub mod access;
pub mod approvals;
mod background;
mod chat_commands;
pub mod checkpoints;
pub mod config;
pub mod error;
pub mod follow;
pub mod hub;
pub mod inbox;
mod journal;
pub mod keys;
pub mod meter;
mod outbox;
pub mod outputs;
mod own_tools;
pub mod runtime;
pub mod sessions;
pub mod signin;
pub mod spend;
mod turn_queue;
mod turn_run;
pub mod turns;
pub mod undo;
mod workspace_files;
