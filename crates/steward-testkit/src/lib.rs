#![doc = include_str!("../README.md")]

pub mod contract;
pub mod conversation;
pub mod fake_channel;
pub mod fake_clock;
pub mod file_task;
pub mod record;
pub mod script;
pub mod scripted_model;
mod stream;
pub mod wire;
