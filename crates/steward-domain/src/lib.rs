#![doc = include_str!("../README.md")]

pub mod approval;
pub mod channel;
pub mod clock;
pub mod decision;
pub mod id;
pub mod journal;
pub mod limits;
pub mod message;
pub mod meter;
pub mod model;
pub mod money;
pub mod principal;
pub mod rows;
pub mod secret;
pub mod tool;
pub mod usage;
