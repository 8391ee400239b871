#![doc = include_str!("../README.md")]

mod auth;
mod console;
mod error;
pub mod openapi;
pub mod operations;
mod routes;
pub mod server;
pub mod shapes;
mod sse;
