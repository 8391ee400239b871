//! One list of promises, kept by both databases: each `promise` below runs on SQLite and on a PostgreSQL of its own.

// Clippy's own exception for tests does not reach the helpers of an integration test.
#![allow(clippy::unwrap_used)]

#[path = "it/access.rs"]
mod access;
#[path = "it/conversation.rs"]
mod conversation;
#[path = "it/database.rs"]
mod database;
#[path = "it/money.rs"]
mod money;
#[path = "it/opening.rs"]
mod opening;
#[path = "it/outgoing.rs"]
mod outgoing;
#[path = "it/questions.rs"]
mod questions;
#[path = "it/rollouts.rs"]
mod rollouts;
#[path = "it/rows.rs"]
mod rows;
#[path = "it/writing.rs"]
mod writing;
