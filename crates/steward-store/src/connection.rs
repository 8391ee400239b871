//! One open database connection of either kind, and the transaction words the writer and the readers need.
//!
//! Owned by one thread for its whole life; holds no policy about groups, retries or jobs.

use crate::error::StoreError;
use crate::postgresql::PostgresConnection;
use crate::sqlite::SqliteConnection;
use crate::value::Cell;

/// A connection. The two kinds are closed, so an enum and not a trait object.
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(Box<PostgresConnection>),
}

/// A row of either kind.
#[derive(Clone, Copy)]
pub(crate) enum RawRow<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r postgres::Row),
}

impl<'r> RawRow<'r> {
    pub(crate) fn cell(self, index: usize) -> Result<Cell<'r>, StoreError> {
        match self {
            RawRow::Sqlite(row) => crate::sqlite::cell(row, index),
            RawRow::Postgres(row) => crate::postgresql::cell(row, index),
        }
    }
}

/// Takes each row of a query.
pub(crate) type RowSink<'s> = &'s mut dyn FnMut(RawRow<'_>) -> Result<(), StoreError>;

/// What kind of transaction to begin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// One snapshot, nothing can be written.
    Read,
    /// The group transaction of the writer.
    Write(Durability),
}

/// What a commit survives once it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The end of this process at any instant; a power cut only after the next synced commit or [`Connection::sync`].
    Kill,
    /// A power cut as well.
    PowerCut,
}

impl Connection {
    /// Runs statements without parameters.
    pub(crate) fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(connection) => connection.batch(sql),
            Connection::Postgres(connection) => connection.batch(sql),
        }
    }

    pub(crate) fn execute(&mut self, sql: &'static str, params: &[Cell<'_>]) -> Result<u64, StoreError> {
        match self {
            Connection::Sqlite(connection) => connection.execute(sql, params),
            Connection::Postgres(connection) => connection.execute(sql, params),
        }
    }

    pub(crate) fn query(&mut self, sql: &'static str, params: &[Cell<'_>], sink: RowSink<'_>) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(connection) => connection.query(sql, params, sink),
            Connection::Postgres(connection) => connection.query(sql, params, sink),
        }
    }

    /// Begins a transaction; on PostgreSQL a connection that is gone is made anew first.
    pub(crate) fn begin(&mut self, access: Access) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(connection) => match access {
                Access::Read => connection.batch("BEGIN"),
                Access::Write(durability) => {
                    connection.set_durability(durability)?;
                    connection.batch("BEGIN IMMEDIATE")
                }
            },
            Connection::Postgres(connection) => connection.begin(match access {
                Access::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                Access::Write(Durability::PowerCut) => "BEGIN",
                // The server answers before its log is on its disk, which it brings there by itself within a second.
                Access::Write(Durability::Kill) => "BEGIN; SET LOCAL synchronous_commit TO off",
            }),
        }
    }

    /// Brings everything committed to the disk. PostgreSQL does that by itself.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(connection) => connection.sync(),
            Connection::Postgres(_) => Ok(()),
        }
    }

    /// Is a transaction still open and usable? A full disk or a lost connection ends it from outside.
    pub(crate) fn is_in_transaction(&self) -> bool {
        match self {
            Connection::Sqlite(connection) => connection.is_in_transaction(),
            Connection::Postgres(connection) => connection.is_connected(),
        }
    }

    /// Ends whatever transaction is open. Its failure changes nothing: the transaction is not committed either way.
    pub(crate) fn abandon(&mut self) {
        if self.is_in_transaction()
            && let Err(error) = self.batch("ROLLBACK")
        {
            tracing::debug!(%error, "rollback found no transaction to end");
        }
    }

    /// Takes back what the job in savepoint `job` did.
    pub(crate) fn undo_job(&mut self) -> Result<(), StoreError> {
        if let Connection::Postgres(connection) = self {
            connection.forget_journal_lock();
        }
        self.batch("ROLLBACK TO SAVEPOINT job; RELEASE SAVEPOINT job")
    }

    /// On PostgreSQL several processes could append; the lock makes seq order equal commit order. SQLite has one owner.
    pub(crate) fn lock_journal(&mut self) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(_) => Ok(()),
            Connection::Postgres(connection) => connection.lock_journal(),
        }
    }
}
