#![doc = include_str!("../README.md")]

mod auth;
mod console;
mod error;
mod openapi;
pub mod operations;
mod routes;
pub mod server;
mod sse;
