//! The promises that every adapter keeps, as functions that run against one.
//!
//! `channel_contract!` and `tool_contract!` make one test of each promise; a promise is written once, in `channel` or `tool`.

pub mod channel;
pub mod tool;

use std::future::Future;
use std::time::Duration;

/// Longer than any promise may take, in real time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a promise on a runtime of its own.
pub fn run<F: Future<Output = ()>>(promise: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(promise);
}
