//! The one thread that writes, with group commit.
//!
//! It takes everything that waits into one transaction, each job in a savepoint of its own, and tells nobody anything
//! before COMMIT is as durable as they asked. A job that fails takes only its own savepoint with it; a COMMIT that fails
//! takes them all. A transaction in which nobody asked for the disk is not synced by itself: the next synced one, or the
//! end of a short quiet, brings it there.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use crate::connection::{Access, Connection, Durability};
use crate::error::StoreError;
use crate::tx::Tx;

/// Jobs in one transaction at most: enough to make the commit's cost vanish, few enough that nobody waits long.
const GROUP_JOBS: usize = 512;
/// What was committed without a sync is on the disk this long after, when nothing else brought it there.
const SYNC_WITHIN: Duration = Duration::from_millis(20);

/// A job for the writer.
pub(crate) trait Work: Send {
    /// Runs once, inside the transaction.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError>;
    /// Does somebody wait for the end of this job?
    fn is_awaited(&self) -> bool;
    /// What the job's end must have survived.
    fn durability(&self) -> Durability;
    /// Told once the outcome is final.
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// A job with someone waiting for its value.
pub(crate) struct Awaited<F, T> {
    pub(crate) job: Option<F>,
    pub(crate) value: Option<T>,
    pub(crate) reply: oneshot::Sender<Result<T, StoreError>>,
    pub(crate) durability: Durability,
    /// A place in the bounded queue, given back when the job is over.
    pub(crate) place: OwnedSemaphorePermit,
}

impl<F, T> Work for Awaited<F, T>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let job = self.job.take().expect("the writer runs a job once");
        self.value = Some(job(tx)?);
        Ok(())
    }

    fn is_awaited(&self) -> bool {
        true
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let value = self.value;
        let result = outcome.and_then(|()| value.ok_or_else(|| StoreError::broken("a job was kept that never ran")));
        drop(self.place);
        // The caller may have gone; the job is kept all the same.
        let _ = self.reply.send(result);
    }
}

/// A job nobody waits for.
pub(crate) struct Later<F> {
    pub(crate) job: Option<F>,
    pub(crate) place: OwnedSemaphorePermit,
}

impl<F> Work for Later<F>
where
    F: FnOnce(&mut Tx<'_>) -> Result<(), StoreError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let job = self.job.take().expect("the writer runs a job once");
        job(tx)
    }

    fn is_awaited(&self) -> bool {
        false
    }

    fn durability(&self) -> Durability {
        Durability::Kill
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        if let Err(error) = outcome {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a write that nobody waits for failed; the next awaited write is refused"
            );
        }
        drop(self.place);
    }
}

/// What a queue entry is.
pub(crate) enum Order {
    /// Run this.
    Run(Box<dyn Work>),
    /// A `write_later` found no place in the queue: refuse the next awaited write.
    Lost(StoreError),
}

/// The writer's state; lives on its thread.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    pub(crate) orders: Receiver<Order>,
    pub(crate) committed: watch::Sender<i64>,
    pub(crate) commits: Arc<AtomicU64>,
    /// Why an unawaited job failed, until an awaited one was told.
    pub(crate) lost: Option<StoreError>,
    /// Something is committed that a power cut would take back.
    pub(crate) is_unsynced: bool,
}

type Ran = (Box<dyn Work>, Result<(), StoreError>);

enum JobEnd {
    Kept(Option<i64>),
    Undone(StoreError),
    /// The whole transaction went with the job.
    TransactionLost(StoreError),
}

impl Writer {
    /// Runs until the store is dropped and the queue is empty.
    pub(crate) fn run(mut self) {
        while let Some(first) = self.next_order() {
            let mut group = VecDeque::from([first]);
            while group.len() < GROUP_JOBS
                && let Ok(next) = self.orders.try_recv()
            {
                group.push_back(next);
            }
            while !group.is_empty() {
                self.run_transaction(&mut group);
            }
        }
    }

    /// The next order; while it waits, what is not on the disk yet is brought there. `None` when the store is gone.
    fn next_order(&mut self) -> Option<Order> {
        if self.is_unsynced {
            match self.orders.recv_timeout(SYNC_WITHIN) {
                Ok(order) => return Some(order),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.sync(),
            }
        }
        self.orders.recv().ok()
    }

    fn sync(&mut self) {
        self.is_unsynced = false;
        if let Err(error) = self.connection.sync() {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "what was committed could not be brought to the disk; the next awaited write is refused"
            );
            self.lost = Some(error);
        }
    }

    /// Takes jobs from the group until it is empty or the transaction is gone, and ends the transaction.
    fn run_transaction(&mut self, group: &mut VecDeque<Order>) {
        let must_sync = group
            .iter()
            .any(|order| matches!(order, Order::Run(job) if job.durability() == Durability::PowerCut));
        let durability = if must_sync { Durability::PowerCut } else { Durability::Kill };
        if let Err(error) = self.connection.begin(Access::Write(durability)) {
            self.connection.abandon();
            let refused = group.drain(..).map(|order| match order {
                Order::Run(job) => (job, Err(error.clone())),
                Order::Lost(lost) => (Box::new(Notice) as Box<dyn Work>, Err(lost)),
            });
            let refused = refused.collect();
            self.finish(refused);
            return;
        }
        let mut ran: Vec<Ran> = Vec::with_capacity(group.len());
        let mut highest_seq = None;
        while let Some(order) = group.pop_front() {
            let mut job = match order {
                Order::Run(job) => job,
                Order::Lost(error) => {
                    self.lost = Some(error);
                    continue;
                }
            };
            if job.is_awaited()
                && let Some(lost) = self.lost.take()
            {
                ran.push((job, Err(lost)));
                continue;
            }
            match self.run_job(job.as_mut()) {
                JobEnd::Kept(seq) => {
                    highest_seq = highest_seq.max(seq);
                    ran.push((job, Ok(())));
                }
                JobEnd::Undone(error) => {
                    if !job.is_awaited() {
                        self.lost = Some(error.clone());
                    }
                    ran.push((job, Err(error)));
                }
                JobEnd::TransactionLost(error) => {
                    self.connection.abandon();
                    ran.push((job, Ok(())));
                    self.finish(failed(ran, &error));
                    return;
                }
            }
        }
        match self.connection.batch("COMMIT") {
            Ok(()) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                self.is_unsynced = durability == Durability::Kill;
                if let Some(seq) = highest_seq {
                    self.committed.send_if_modified(|last| {
                        let is_newer = seq > *last;
                        *last = (*last).max(seq);
                        is_newer
                    });
                }
                for (job, outcome) in ran {
                    job.finish(outcome);
                }
            }
            Err(error) => {
                self.connection.abandon();
                let error = match error {
                    StoreError::Unavailable { .. } => error,
                    other => StoreError::unavailable_from("the group could not be committed", other),
                };
                self.finish(failed(ran, &error));
            }
        }
    }

    fn run_job(&mut self, job: &mut dyn Work) -> JobEnd {
        if let Err(error) = self.connection.batch("SAVEPOINT job") {
            return JobEnd::TransactionLost(error);
        }
        let mut tx = Tx::new(&mut self.connection);
        let outcome = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx)));
        let left = tx.end();
        let outcome = match outcome {
            Ok(Ok(())) => left,
            Ok(Err(error)) => Err(error),
            Err(panic) => Err(panic_error(panic.as_ref())),
        };
        if !self.connection.is_in_transaction() {
            let error = outcome
                .err()
                .unwrap_or_else(|| StoreError::broken("a job ended the transaction of its group"));
            return JobEnd::TransactionLost(error);
        }
        let outcome = outcome.and_then(|seq| self.connection.batch("RELEASE SAVEPOINT job").map(|()| seq));
        match outcome {
            Ok(seq) => JobEnd::Kept(seq),
            Err(error) => match self.connection.undo_job() {
                Ok(()) => JobEnd::Undone(error),
                Err(undo) => {
                    tracing::debug!(error = %undo, "a savepoint could not be rolled back");
                    JobEnd::TransactionLost(error)
                }
            },
        }
    }

    /// Tells every job of a transaction that came to nothing. Unawaited ones are remembered until an awaited one was told.
    fn finish(&mut self, ran: Vec<Ran>) {
        for (job, outcome) in ran {
            match (&outcome, job.is_awaited()) {
                (Err(error), false) => self.lost = Some(error.clone()),
                (Err(_), true) => self.lost = None,
                (Ok(()), _) => {}
            }
            job.finish(outcome);
        }
    }
}

/// Every job of a lost transaction gets its own error, or the group's.
fn failed(ran: Vec<Ran>, error: &StoreError) -> Vec<Ran> {
    let group = match error {
        StoreError::Unavailable { .. } => error.clone(),
        other => StoreError::unavailable_from("the transaction of the group was lost, nothing was stored", other.clone()),
    };
    ran.into_iter()
        .map(|(job, outcome)| (job, outcome.and(Err(group.clone()))))
        .collect()
}

/// Stands for a `write_later` that never got a place, where a list of jobs is told about a failure.
struct Notice;

impl Work for Notice {
    fn run(&mut self, _: &mut Tx<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    fn is_awaited(&self) -> bool {
        false
    }

    fn durability(&self) -> Durability {
        Durability::Kill
    }

    fn finish(self: Box<Self>, _: Result<(), StoreError>) {}
}

/// What a panic said, as an error.
pub(crate) fn panic_error(panic: &(dyn std::any::Any + Send)) -> StoreError {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it said nothing");
    StoreError::broken(format!("a job of the store panicked: {said}"))
}
