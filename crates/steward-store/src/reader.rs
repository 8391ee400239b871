//! Threads that read, each with a connection and a snapshot of its own for every job.
//!
//! A read sees every write that was acknowledged before it began, and never waits for the writer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::connection::{Access, Connection};
use crate::error::StoreError;
use crate::tx::Tx;
use crate::writer::panic_error;

/// A job for a reader: runs in the snapshot, or is told why there is none, and answers its caller itself.
pub(crate) type ReadJob = Box<dyn FnOnce(Result<&mut Tx<'_>, StoreError>) + Send>;

/// The queue that the reader threads share.
pub(crate) type ReadQueue = Arc<Mutex<mpsc::Receiver<ReadJob>>>;

/// Runs until the store is dropped and the queue is empty.
pub(crate) fn run(mut connection: Connection, queue: &ReadQueue) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(job) = job else { return };
        if let Err(error) = connection.begin(Access::Read) {
            connection.abandon();
            job(Err(error));
            continue;
        }
        let mut tx = Tx::new(&mut connection);
        // The job catches its own panic to answer its caller; this is the second fence, for its answer itself.
        let outcome = catch_unwind(AssertUnwindSafe(|| job(Ok(&mut tx))));
        if let Err(panic) = outcome {
            let error = panic_error(panic.as_ref());
            tracing::error!(error = &error as &dyn std::error::Error, "a read could not answer its caller");
        }
        connection.abandon();
    }
}
