//! The SQLite side: one file in WAL mode, owned by one process.
//!
//! What was acknowledged as durable was committed with `synchronous=FULL`. `NORMAL` writes the same log without waiting
//! for the disk; it serves only commits of which nobody was told that they survive a power cut.

use std::borrow::Cow;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::connection::{Durability, RawRow, RowSink};
use crate::error::StoreError;
use crate::value::Cell;

/// Statements kept prepared per connection; the nouns have fewer.
const STATEMENTS: usize = 200;
const BUSY_TIMEOUT_MS: u32 = 10_000;

/// One connection to the file.
pub(crate) struct SqliteConnection {
    inner: Connection,
    /// What `synchronous` is set to; the writer's only.
    durability: Durability,
    file: PathBuf,
    /// The log beside the file, opened when it is first synced without a commit.
    log: Option<File>,
}

/// Holds the file for this process until it is dropped.
#[derive(Debug)]
pub(crate) struct OwnerLock {
    _file: File,
}

/// Takes `<db>.lock`, or says who has it.
pub(crate) fn lock_owner(db: &Path) -> Result<OwnerLock, StoreError> {
    let path = lock_path(db);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| StoreError::unavailable_from(format!("cannot open the lock file {}", path.display()), error))?;
    match file.try_lock() {
        Ok(()) => Ok(OwnerLock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(StoreError::unavailable(format!("another Steward owns {}", db.display()))),
        Err(TryLockError::Error(error)) => Err(StoreError::unavailable_from(format!("cannot lock {}", path.display()), error)),
    }
}

fn lock_path(db: &Path) -> PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

impl SqliteConnection {
    /// The writer's connection: makes the file, sets what makes a commit durable.
    pub(crate) fn open_writer(db: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Self::open(db, flags)?;
        let setup = format!(
            "PRAGMA busy_timeout={BUSY_TIMEOUT_MS}; PRAGMA journal_mode=WAL; {} PRAGMA foreign_keys=ON;
             PRAGMA trusted_schema=OFF; PRAGMA journal_size_limit=67108864;",
            synchronous(Durability::PowerCut),
        );
        connection
            .inner
            .execute_batch(&setup)
            .map_err(|error| sql_error("cannot set up the database", error))?;
        let mode: String = connection
            .inner
            .query_row("PRAGMA journal_mode", [], |row| row.get(0))
            .map_err(|error| sql_error("cannot read the journal mode", error))?;
        if mode != "wal" {
            return Err(StoreError::unavailable(format!(
                "{} cannot use WAL mode, its file system lacks shared memory",
                db.display()
            )));
        }
        Ok(connection)
    }

    /// Sets what the next commits survive.
    pub(crate) fn set_durability(&mut self, durability: Durability) -> Result<(), StoreError> {
        if self.durability != durability {
            self.batch(synchronous(durability))?;
            self.durability = durability;
        }
        Ok(())
    }

    /// Brings the log to the disk, and with it every commit.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        let log = match self.log.take() {
            Some(log) => log,
            None => open_log(&self.file)?,
        };
        let synced = log.sync_data();
        self.log = Some(log);
        synced.map_err(|error| StoreError::unavailable_from("the log of the database cannot be brought to the disk", error))
    }

    /// Takes back what a crash left half done before the file came to WAL mode; a connection that cannot write would be refused.
    pub(crate) fn finish_rollback(db: &Path) -> Result<(), StoreError> {
        let mut journal = db.as_os_str().to_owned();
        journal.push("-journal");
        if !Path::new(&journal).exists() {
            return Ok(());
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // The first read rolls back.
        let read = Self::open(db, flags)?
            .inner
            .query_row("SELECT COUNT(*) FROM sqlite_schema", [], |_| Ok(()));
        read.map_err(|error| sql_error("cannot take back what a crash left half done", error))
    }

    /// A connection that cannot write.
    pub(crate) fn open_reader(db: &Path) -> Result<Self, StoreError> {
        let connection = Self::open(db, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        let setup = format!("PRAGMA busy_timeout={BUSY_TIMEOUT_MS}; PRAGMA trusted_schema=OFF;");
        connection
            .inner
            .execute_batch(&setup)
            .map_err(|error| sql_error("cannot set up a reader", error))?;
        Ok(connection)
    }

    fn open(db: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let inner = Connection::open_with_flags(db, flags)
            .map_err(|error| StoreError::unavailable_from(format!("cannot open the database {}", db.display()), error))?;
        inner.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(SqliteConnection {
            inner,
            durability: Durability::PowerCut,
            file: db.to_owned(),
            log: None,
        })
    }

    pub(crate) fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.inner.execute_batch(sql).map_err(|error| sql_error(sql, error))
    }

    pub(crate) fn execute(&mut self, sql: &'static str, params: &[Cell<'_>]) -> Result<u64, StoreError> {
        let mut statement = self.inner.prepare_cached(sql).map_err(|error| sql_error(sql, error))?;
        let changed = statement
            .execute(rusqlite::params_from_iter(params))
            .map_err(|error| sql_error(sql, error))?;
        Ok(changed as u64)
    }

    pub(crate) fn query(&mut self, sql: &'static str, params: &[Cell<'_>], sink: RowSink<'_>) -> Result<(), StoreError> {
        let mut statement = self.inner.prepare_cached(sql).map_err(|error| sql_error(sql, error))?;
        let mut rows = statement
            .query(rusqlite::params_from_iter(params))
            .map_err(|error| sql_error(sql, error))?;
        while let Some(row) = rows.next().map_err(|error| sql_error(sql, error))? {
            sink(RawRow::Sqlite(row))?;
        }
        Ok(())
    }

    pub(crate) fn is_in_transaction(&self) -> bool {
        !self.inner.is_autocommit()
    }

    /// Writes a copy of one moment to `target`, which must not be there yet, and makes it durable.
    pub(crate) fn copy_to(&mut self, target: &Path) -> Result<(), StoreError> {
        let failed = |error: std::io::Error| StoreError::unavailable_from(format!("cannot write the copy {}", target.display()), error);
        let name = target
            .to_str()
            .ok_or_else(|| StoreError::unavailable(format!("{} is not UTF-8", target.display())))?;
        // Made first, and only for the owner: the copy holds what the database holds. SQLite accepts an empty file.
        let mut options = OpenOptions::new();
        options.create_new(true).write(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(target).map_err(failed)?;
        let copied = self
            .inner
            .execute("VACUUM INTO ?1", [name])
            .map_err(|error| sql_error("cannot copy the database", error));
        if let Err(error) = copied {
            if let Err(left) = std::fs::remove_file(target) {
                tracing::warn!(error = %left, "an unfinished copy is left behind");
            }
            return Err(error);
        }
        file.sync_all().map_err(failed)?;
        let folder = target
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

#[cfg_attr(feature = "sabotage", allow(unused_variables, reason = "a build without guards may sync nothing"))]
fn synchronous(durability: Durability) -> &'static str {
    #[cfg(feature = "sabotage")]
    if crate::sabotage::never_syncs() {
        return "PRAGMA synchronous=OFF;";
    }
    match durability {
        Durability::Kill => "PRAGMA synchronous=NORMAL;",
        Durability::PowerCut => "PRAGMA synchronous=FULL;",
    }
}

/// The write-ahead log, which is there from the first transaction until the last connection closes.
/// SQLite locks the file and its index, never the log, so that closing this handle takes no lock of SQLite's with it.
fn open_log(db: &Path) -> Result<File, StoreError> {
    let mut path = db.as_os_str().to_owned();
    path.push("-wal");
    File::open(&path).map_err(|error| StoreError::unavailable_from(format!("cannot open the log of {}", db.display()), error))
}

impl rusqlite::ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Cell::Null => ValueRef::Null,
            Cell::Int(number) => ValueRef::Integer(*number),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

pub(crate) fn cell<'r>(row: &'r rusqlite::Row<'_>, index: usize) -> Result<Cell<'r>, StoreError> {
    let value = row
        .get_ref(index)
        .map_err(|error| StoreError::broken_from("a row has fewer columns than its reader", error))?;
    match value {
        ValueRef::Null => Ok(Cell::Null),
        ValueRef::Integer(number) => Ok(Cell::Int(number)),
        ValueRef::Blob(bytes) => Ok(Cell::Bytes(Cow::Borrowed(bytes))),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes)
            .map(|text| Cell::Text(Cow::Borrowed(text)))
            .map_err(|error| StoreError::unreadable("a stored text is not UTF-8", error)),
        ValueRef::Real(_) => Err(StoreError::broken(
            "a column holds a floating-point number, which the store never writes",
        )),
    }
}

/// Sorts SQLite's errors into the kinds a caller branches on. `tried` is the statement or a phrase.
pub(crate) fn sql_error(tried: &str, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => StoreError::Conflict {
            what: "a row with the same name or key exists, or one it refers to is missing".to_owned(),
            source: Some(crate::error::Cause::new(error)),
        },
        Some(ErrorCode::DiskFull) => StoreError::unavailable_from("the disk is full, nothing was stored", error),
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::FileLockingProtocolFailed,
        ) => StoreError::unavailable_from("the database cannot be used", error),
        _ => StoreError::broken_from(format!("the database refused: {tried}"), error),
    }
}
