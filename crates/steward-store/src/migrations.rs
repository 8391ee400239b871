//! Brings a database to the version this program knows. Never goes back, and refuses a database that is ahead.
//!
//! One set of files serves both databases. They are plain SQL but for two words that the databases spell differently:
//! `{AUTO_ID}` is a key that counts up by itself and never comes again, `{BYTES}` is the type of raw bytes.

use steward_domain::clock::Timestamp;

use crate::connection::{Access, Connection, Durability};
use crate::error::StoreError;
use crate::tx::Tx;

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

macro_rules! migrations {
    ($($version:literal $name:literal),* $(,)?) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../migrations/", $name, ".sql")),
        }),*]
    };
}

const MIGRATIONS: &[Migration] = migrations![1 "0001_turns", 2 "0002_money", 3 "0003_access", 4 "0004_files", 5 "0005_rollouts"];

/// Newest version that this program knows.
pub(crate) const KNOWN_VERSION: i64 = MIGRATIONS[MIGRATIONS.len() - 1].version;

const HAS_TABLE_SQLITE: &str = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_versions'";
const HAS_TABLE_POSTGRES: &str =
    "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'schema_versions'";
const CREATE_TABLE: &str = "CREATE TABLE schema_versions (version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)";

/// Refuses a database that a newer program has written. Reads only.
pub(crate) fn check_version(connection: &mut Connection) -> Result<(), StoreError> {
    refuse_newer(version_of(connection)?)
}

/// Applies what is missing, all or nothing.
pub(crate) fn migrate(connection: &mut Connection, now: Timestamp) -> Result<(), StoreError> {
    connection.begin(Access::Write(Durability::PowerCut))?;
    let outcome = migrate_in_transaction(connection, now).and_then(|()| connection.batch("COMMIT"));
    if outcome.is_err() {
        connection.abandon();
    }
    outcome
}

fn migrate_in_transaction(connection: &mut Connection, now: Timestamp) -> Result<(), StoreError> {
    if let Connection::Postgres(_) = connection {
        connection.batch(crate::postgresql::MIGRATION_LOCK)?;
    }
    let current = version_of(connection)?;
    refuse_newer(current)?;
    if current == 0 {
        connection.batch(CREATE_TABLE)?;
    }
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > current) {
        let sql = in_dialect(migration.sql, connection);
        connection
            .batch(&sql)
            .map_err(|error| StoreError::unavailable_from(format!("migration {} failed, nothing was changed", migration.name), error))?;
        let mut tx = Tx::new(connection);
        tx.execute(
            "INSERT INTO schema_versions (version, name, applied_at) VALUES (?1, ?2, ?3)",
            &[&migration.version, &migration.name, &now],
        )?;
    }
    Ok(())
}

fn refuse_newer(found: i64) -> Result<(), StoreError> {
    if found > KNOWN_VERSION {
        return Err(StoreError::NewerVersion {
            found,
            known: KNOWN_VERSION,
        });
    }
    Ok(())
}

/// 0 for a database that Steward has not written yet.
fn version_of(connection: &mut Connection) -> Result<i64, StoreError> {
    let has_table = match connection {
        Connection::Sqlite(_) => HAS_TABLE_SQLITE,
        Connection::Postgres(_) => HAS_TABLE_POSTGRES,
    };
    let mut tx = Tx::new(connection);
    let tables: i64 = tx.query_one(has_table, &[], |row| row.next())?;
    if tables == 0 {
        return Ok(0);
    }
    tx.query_one("SELECT COALESCE(MAX(version), 0) FROM schema_versions", &[], |row| row.next())
}

fn in_dialect(sql: &str, connection: &Connection) -> String {
    let (auto_id, bytes) = match connection {
        Connection::Sqlite(_) => ("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB"),
        Connection::Postgres(_) => ("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BYTEA"),
    };
    sql.replace("{AUTO_ID}", auto_id).replace("{BYTES}", bytes)
}
