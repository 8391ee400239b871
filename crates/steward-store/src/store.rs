//! The store: opens a database, takes jobs, and tells who waits once a job is durable.
//!
//! Knows threads and queues, no tables. Dropping the last clone drains the writer, folds the WAL in and joins all threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc as blocking};
use std::thread::{self, JoinHandle};

use steward_domain::clock::Timestamp;
use tokio::sync::{Semaphore, TryAcquireError, mpsc, oneshot, watch};

use crate::connection::{Connection, Durability};
use crate::error::StoreError;
use crate::migrations;
use crate::postgresql::PostgresConnection;
use crate::reader::{self, ReadJob, ReadQueue};
use crate::sqlite::{self, OwnerLock, SqliteConnection};
use crate::tx::Tx;
use crate::writer::{Awaited, Later, Order, Writer, panic_error};

/// Awaited writes that may wait at once; the next caller waits for a place.
const WRITE_PLACES: usize = 4_096;
/// Unawaited writes that may wait at once; past that the disk is hopelessly behind, and the next awaited write is refused.
const LATER_PLACES: usize = 65_536;
/// Reads that may wait at once; the next caller waits for a place.
const READ_PLACES: usize = 1_024;
const READERS: usize = 2;

/// One database, SQLite or PostgreSQL. Clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    source: Source,
    // `None` only while dropping, which closes the queues.
    orders: Option<blocking::Sender<Order>>,
    reads: Option<mpsc::Sender<ReadJob>>,
    write_places: Arc<Semaphore>,
    later_places: Arc<Semaphore>,
    committed: watch::Receiver<i64>,
    commits: Arc<AtomicU64>,
    readers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
}

/// Where the database is.
#[derive(Clone, Debug)]
enum Source {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Source {
    fn parse(url: &str) -> Result<Self, StoreError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(StoreError::unavailable("the store's URL names no file, write sqlite:PATH"));
            }
            return Ok(Source::Sqlite(PathBuf::from(path)));
        }
        let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        if is_postgres {
            return Ok(Source::Postgres(url.to_owned()));
        }
        // The URL itself is not repeated: it may hold a password.
        Err(StoreError::unavailable("the store's URL must begin with sqlite: or postgres://"))
    }
}

impl Store {
    /// Opens `sqlite:PATH` or `postgres://…`, checks its version and brings it up to date. Blocks until it is ready.
    ///
    /// # Errors
    /// `NewerVersion` where a newer Steward wrote the database, which is then left as it is; `Unavailable` where the
    /// database cannot be reached or, for SQLite, another process owns it.
    pub fn open(url: &str, now: Timestamp) -> Result<Store, StoreError> {
        let source = Source::parse(url)?;
        let owner = match &source {
            Source::Sqlite(path) => Some(sqlite::lock_owner(path)?),
            Source::Postgres(_) => None,
        };
        let (order_sender, orders) = blocking::channel();
        let (committed_sender, committed) = watch::channel(0);
        let commits = Arc::new(AtomicU64::new(0));
        let start = WriterStart {
            source: source.clone(),
            now,
            orders,
            committed: committed_sender,
            commits: Arc::clone(&commits),
            owner,
        };
        let writer = start_writer(start)?;
        let (read_sender, reads) = mpsc::channel(READ_PLACES);
        let mut shared = Shared {
            source,
            orders: Some(order_sender),
            reads: Some(read_sender),
            write_places: Arc::new(Semaphore::new(WRITE_PLACES)),
            later_places: Arc::new(Semaphore::new(LATER_PLACES)),
            committed,
            commits,
            readers: Vec::with_capacity(READERS),
            writer: Some(writer),
        };
        let queue: ReadQueue = Arc::new(Mutex::new(reads));
        for number in 1..=READERS {
            let reader = start_reader(shared.source.clone(), Arc::clone(&queue), number)?;
            shared.readers.push(reader);
        }
        Ok(Store { shared: Arc::new(shared) })
    }

    /// Runs `job` in the writer and gives its value once it is durable. Jobs run in the order they were handed in.
    ///
    /// # Errors
    /// What the job gave; `Unavailable` where the commit failed; `Broken` where the job panicked; or why an earlier
    /// [`Store::write_later`] failed, in which case `job` did not run. An error means the job left nothing.
    pub async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(job, Durability::PowerCut).await
    }

    /// Runs `job` in the writer and gives its value once it is committed: no end of this process takes it back, and readers
    /// see it. A power cut may, until the next [`Store::write`] or a few milliseconds have passed.
    ///
    /// For what nobody outside has been told of and what can be done again.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_unsynced<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(job, Durability::Kill).await
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
        durability: Durability,
    ) -> Result<T, StoreError> {
        let place = Arc::clone(&self.shared.write_places).acquire_owned().await.map_err(|_| closed())?;
        let (reply, answer) = oneshot::channel();
        let work = Awaited {
            job: Some(job),
            value: None,
            reply,
            durability,
            place,
        };
        self.order(Order::Run(Box::new(work)))?;
        answer.await.map_err(|_| closed())?
    }

    /// Hands `job` to the writer and returns at once. A later [`Store::write`] of the same caller makes it durable with it.
    ///
    /// If it fails, that is logged and the next awaited write on this store is refused with the cause.
    pub fn write_later(&self, job: impl FnOnce(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static) {
        let order = match Arc::clone(&self.shared.later_places).try_acquire_owned() {
            Ok(place) => Order::Run(Box::new(Later { job: Some(job), place })),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                let error = StoreError::unavailable(format!(
                    "more than {LATER_PLACES} writes are waiting for the disk, one was given up"
                ));
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a write that nobody waits for found no place"
                );
                Order::Lost(error)
            }
        };
        if let Err(error) = self.order(order) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a write that nobody waits for was given up"
            );
        }
    }

    /// Runs `job` on a reader, in one snapshot that holds every write acknowledged before.
    ///
    /// # Errors
    /// What the job gave; `Unavailable` where the database cannot be reached; `Broken` where the job panicked or wrote.
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let work: ReadJob = Box::new(move |tx| {
            let outcome =
                tx.and_then(|tx| catch_unwind(AssertUnwindSafe(|| job(tx))).unwrap_or_else(|panic| Err(panic_error(panic.as_ref()))));
            // The caller may have gone; a read leaves nothing behind.
            let _ = reply.send(outcome);
        });
        let queue = self.shared.reads.as_ref().ok_or_else(closed)?;
        queue.send(work).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// The highest durable journal seq, now and whenever a commit raises it.
    ///
    /// A new receiver counts as changed, so that a subscriber who read before it asked for one looks once more.
    pub fn committed(&self) -> watch::Receiver<i64> {
        let mut receiver = self.shared.committed.clone();
        receiver.mark_changed();
        receiver
    }

    /// Transactions committed by this store since it was opened.
    pub fn commit_count(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Writes a copy of one moment to a new file at `target`, mode 0600. Writers go on meanwhile. SQLite only.
    ///
    /// # Errors
    /// `Unsupported` on PostgreSQL; `Unavailable` where the file is there already or cannot be written.
    pub async fn backup_to(&self, target: &Path) -> Result<(), StoreError> {
        let target = target.to_owned();
        self.on_own_thread(move |source| match source {
            Source::Sqlite(path) => SqliteConnection::open_reader(&path)?.copy_to(&target),
            Source::Postgres(_) => Err(StoreError::Unsupported {
                what: "Steward does not copy a PostgreSQL database, use pg_dump --format=custom with the URL of the store".to_owned(),
            }),
        })
        .await
    }

    /// Reads the whole database and says what does not fit; an empty list is good. On PostgreSQL it reads every table.
    ///
    /// # Errors
    /// `Unavailable` where the database cannot be read.
    pub async fn integrity_check(&self) -> Result<Vec<String>, StoreError> {
        self.on_own_thread(|source| match source {
            Source::Sqlite(path) => crate::integrity::check(&mut Connection::Sqlite(SqliteConnection::open_reader(&path)?)),
            Source::Postgres(url) => crate::integrity::check(&mut Connection::Postgres(Box::new(PostgresConnection::open(&url)?))),
        })
        .await
    }

    fn order(&self, order: Order) -> Result<(), StoreError> {
        let queue = self.shared.orders.as_ref().ok_or_else(closed)?;
        queue.send(order).map_err(|_| closed())
    }

    /// Long work gets a thread and a connection of its own, so that no read waits behind it.
    async fn on_own_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(Source) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let source = self.shared.source.clone();
        let (reply, answer) = oneshot::channel();
        let spawned = thread::Builder::new().name("store-task".to_owned()).spawn(move || {
            // The caller may have gone; the work is done all the same.
            let _ = reply.send(work(source));
        });
        spawned.map_err(|error| StoreError::unavailable_from("cannot start a thread for the store", error))?;
        answer.await.map_err(|_| StoreError::broken("a task of the store panicked"))?
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.reads = None;
        self.orders = None;
        // Readers first: the last connection to close folds the WAL into the file, and readers cannot write.
        for thread in self.readers.drain(..).chain(self.writer.take()) {
            let is_own_thread = thread.thread().id() == thread::current().id();
            if is_own_thread {
                // A job held the last clone. This thread ends by itself after the job.
                continue;
            }
            if thread.join().is_err() {
                tracing::error!("a thread of the store ended with a panic");
            }
        }
    }
}

fn closed() -> StoreError {
    StoreError::unavailable("the store is closed")
}

struct WriterStart {
    source: Source,
    now: Timestamp,
    orders: blocking::Receiver<Order>,
    committed: watch::Sender<i64>,
    commits: Arc<AtomicU64>,
    owner: Option<OwnerLock>,
}

/// Starts the writer's thread and waits until its database is open: a PostgreSQL client must be made and used on a
/// thread that runs no async runtime.
fn start_writer(start: WriterStart) -> Result<JoinHandle<()>, StoreError> {
    start_thread("store-writer".to_owned(), move |report| {
        let opened = open_writer(&start.source, start.now).and_then(|mut connection| {
            let seq = crate::journal::highest_seq(&mut Tx::new(&mut connection))?;
            Ok((connection, seq))
        });
        let (connection, seq) = match opened {
            Ok(opened) => opened,
            Err(error) => return report(Err(error)),
        };
        start.committed.send_replace(seq);
        report(Ok(()));
        let writer = Writer {
            connection,
            orders: start.orders,
            committed: start.committed,
            commits: start.commits,
            lost: None,
            is_unsynced: false,
        };
        writer.run();
        // The connection is closed; only now may another process have the file.
        drop(start.owner);
    })
}

fn open_writer(source: &Source, now: Timestamp) -> Result<Connection, StoreError> {
    let mut connection = match source {
        Source::Sqlite(path) => {
            if path.exists() {
                SqliteConnection::finish_rollback(path)?;
                // Checked on a connection that cannot write, before WAL mode and the like change the file.
                migrations::check_version(&mut Connection::Sqlite(SqliteConnection::open_reader(path)?))?;
            }
            Connection::Sqlite(SqliteConnection::open_writer(path)?)
        }
        Source::Postgres(url) => Connection::Postgres(Box::new(PostgresConnection::open(url)?)),
    };
    migrations::migrate(&mut connection, now)?;
    Ok(connection)
}

fn start_reader(source: Source, queue: ReadQueue, number: usize) -> Result<JoinHandle<()>, StoreError> {
    start_thread(format!("store-reader-{number}"), move |report| {
        let opened = match &source {
            Source::Sqlite(path) => SqliteConnection::open_reader(path).map(Connection::Sqlite),
            Source::Postgres(url) => PostgresConnection::open(url).map(|connection| Connection::Postgres(Box::new(connection))),
        };
        match opened {
            Ok(connection) => {
                report(Ok(()));
                reader::run(connection, &queue);
            }
            Err(error) => report(Err(error)),
        }
    })
}

type Report = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Starts a thread and waits for its report that it is ready.
fn start_thread(name: String, body: impl FnOnce(Report) + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let (sender, ready) = std::sync::mpsc::sync_channel(1);
    let report: Report = Box::new(move |outcome| {
        // `start_thread` waits for exactly one report.
        let _ = sender.send(outcome);
    });
    let thread = thread::Builder::new()
        .name(name)
        .spawn(move || body(report))
        .map_err(|error| StoreError::unavailable_from("cannot start a thread for the store", error))?;
    ready
        .recv()
        .map_err(|_| StoreError::broken("a thread of the store ended before it was ready"))??;
    Ok(thread)
}

#[cfg(test)]
mod tests;
