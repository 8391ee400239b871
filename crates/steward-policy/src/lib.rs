#![doc = include_str!("../README.md")]

pub mod config;
mod file_rules;
mod path;
pub mod policy;
pub mod rule;
mod table;
