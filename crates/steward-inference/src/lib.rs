#![doc = include_str!("../README.md")]

pub mod balance;
pub mod cache;
pub mod catalog;
pub mod chaos;
pub mod config;
pub mod estimate;
pub mod explain;
pub mod local;
pub mod measure;
pub mod provider;
pub mod pull;
pub mod rollout;
pub mod route;
pub mod tables;

mod health;
mod keys;
mod needs;
mod platform;
mod signing;
mod wait;
