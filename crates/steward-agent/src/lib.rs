#![doc = include_str!("../README.md")]

pub mod ask;
mod claims;
pub mod compaction;
pub mod context;
mod decision;
mod fold;
mod guard;
pub mod live;
#[cfg(feature = "sabotage")]
pub mod sabotage;
pub mod sink;
pub mod state;
pub mod tokens;
mod tool_calls;
pub mod toolset;
pub mod turn;
