#![doc = include_str!("../README.md")]

pub mod approvals;
pub mod blobs;
pub mod checkpoints;
mod connection;
pub mod error;
pub mod grants;
pub mod inbox;
mod integrity;
pub mod journal;
pub mod keys;
pub mod ledger;
mod migrations;
pub mod outbox;
mod postgresql;
mod reader;
pub mod rollouts;
#[cfg(feature = "sabotage")]
pub mod sabotage;
pub mod sessions;
pub mod signin_links;
pub mod spend;
mod sqlite;
pub mod store;
#[cfg(feature = "test-support")]
pub mod test_support;
pub mod turns;
pub mod tx;
pub mod users;
mod value;
pub mod web_sessions;
mod writer;

pub use error::StoreError;
pub use store::Store;
pub use tx::Tx;
