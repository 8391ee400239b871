//! The PostgreSQL side: one connection in one thread, made anew when it is lost.
//!
//! Statements are written once for SQLite's `?N` and turned to `$N` when they are first prepared.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use postgres::error::SqlState;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, NoTls, Statement};

use crate::connection::{RawRow, RowSink};
use crate::error::{Cause, StoreError};
use crate::value::Cell;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Unacknowledged bytes longer than this end the connection, so that a vanished server cannot hold the writer for ever.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(30);
/// A durable commit counts as one: a server that was set to `off` is overruled. Other levels are the operator's choice.
const SESSION: &str = "SET application_name = 'steward'; SET statement_timeout = '60s'; SET client_min_messages = warning; \
     SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
/// `steward` in ASCII, as the name of our advisory locks.
const JOURNAL_LOCK: &str = "SELECT pg_advisory_xact_lock(32497608806261348)";
pub(crate) const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(32497608806261349)";

/// One connection, or the means to make it.
pub(crate) struct PostgresConnection {
    config: Config,
    client: Option<Client>,
    statements: HashMap<&'static str, Statement>,
    has_journal_lock: bool,
}

impl PostgresConnection {
    /// Connects. Must run on a thread outside any async runtime.
    pub(crate) fn open(url: &str) -> Result<Self, StoreError> {
        let mut config: Config = url
            .parse()
            .map_err(|error| StoreError::unavailable_from("the PostgreSQL URL of the store cannot be read", error))?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(NETWORK_TIMEOUT);
        }
        let mut connection = PostgresConnection {
            config,
            client: None,
            statements: HashMap::new(),
            has_journal_lock: false,
        };
        connection.connect()?;
        Ok(connection)
    }

    fn connect(&mut self) -> Result<(), StoreError> {
        self.client = None;
        self.statements.clear();
        let mut client = self
            .config
            .connect(NoTls)
            .map_err(|error| StoreError::unavailable_from("cannot connect to PostgreSQL", error))?;
        client
            .batch_execute(SESSION)
            .map_err(|error| StoreError::unavailable_from("cannot set up the PostgreSQL session", error))?;
        self.client = Some(client);
        Ok(())
    }

    /// Begins a transaction. Nothing was asked of a lost connection yet, so connecting again here repeats nothing.
    pub(crate) fn begin(&mut self, sql: &str) -> Result<(), StoreError> {
        self.has_journal_lock = false;
        if !self.is_connected() {
            self.connect()?;
        }
        match self.batch(sql) {
            Err(StoreError::Unavailable { .. }) if !self.is_connected() => {
                self.connect()?;
                self.batch(sql)
            }
            outcome => outcome,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client.as_ref().is_some_and(|client| !client.is_closed())
    }

    pub(crate) fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        let outcome = self.client()?.batch_execute(sql);
        outcome.map_err(|error| self.sort(sql, error))
    }

    pub(crate) fn execute(&mut self, sql: &'static str, params: &[Cell<'_>]) -> Result<u64, StoreError> {
        let statement = self.statement(sql)?;
        let outcome = self.client()?.execute(&statement, &bound(params));
        outcome.map_err(|error| self.sort(sql, error))
    }

    pub(crate) fn query(&mut self, sql: &'static str, params: &[Cell<'_>], sink: RowSink<'_>) -> Result<(), StoreError> {
        let statement = self.statement(sql)?;
        let outcome = self.client()?.query(&statement, &bound(params));
        let rows = outcome.map_err(|error| self.sort(sql, error))?;
        rows.iter().try_for_each(|row| sink(RawRow::Postgres(row)))
    }

    pub(crate) fn lock_journal(&mut self) -> Result<(), StoreError> {
        if !self.has_journal_lock {
            self.batch(JOURNAL_LOCK)?;
            self.has_journal_lock = true;
        }
        Ok(())
    }

    /// A savepoint was rolled back, and with it a lock that was taken in it.
    pub(crate) fn forget_journal_lock(&mut self) {
        self.has_journal_lock = false;
    }

    fn client(&mut self) -> Result<&mut Client, StoreError> {
        self.client
            .as_mut()
            .ok_or_else(|| StoreError::unavailable("the connection to PostgreSQL is lost"))
    }

    fn statement(&mut self, sql: &'static str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let outcome = self.client()?.prepare(&with_dollars(sql));
        let statement = outcome.map_err(|error| self.sort(sql, error))?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// Sorts PostgreSQL's errors into the kinds a caller branches on, and lets go of a connection that is gone.
    fn sort(&mut self, tried: &str, error: postgres::Error) -> StoreError {
        let Some(state) = error.code().cloned() else {
            if error.is_closed() || !self.is_connected() {
                self.client = None;
                return StoreError::unavailable_from("the connection to PostgreSQL was lost", error);
            }
            if error.source().is_some_and(|source| source.is::<std::io::Error>()) {
                self.client = None;
                return StoreError::unavailable_from("the connection to PostgreSQL failed", error);
            }
            return StoreError::broken_from(format!("the database refused: {tried}"), error);
        };
        let class = &state.code()[..2];
        match class {
            "23" => StoreError::Conflict {
                what: "a row with the same name or key exists, or one it refers to is missing".to_owned(),
                source: Some(Cause::new(error)),
            },
            "53" if state == SqlState::DISK_FULL => StoreError::unavailable_from("the disk is full, nothing was stored", error),
            // 08 connection, 25006 read-only, 40 serialization, 53 resources, 55 not ready, 57 operator, 58 system, XX internal.
            "08" | "40" | "53" | "55" | "57" | "58" | "XX" => StoreError::unavailable_from("the database cannot be used", error),
            _ => StoreError::broken_from(format!("the database refused: {tried}"), error),
        }
    }
}

fn bound<'a>(params: &'a [Cell<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
}

/// `?N` becomes `$N`. The statements hold no question mark of any other meaning.
pub(crate) fn with_dollars(sql: &str) -> String {
    sql.replace('?', "$")
}

impl ToSql for Cell<'_> {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Cell::Null => return Ok(IsNull::Yes),
            Cell::Int(number) if *wanted == Type::INT4 => out.put_i32(i32::try_from(*number)?),
            Cell::Int(number) if *wanted == Type::INT8 => out.put_i64(*number),
            Cell::Text(text) if *wanted == Type::TEXT || *wanted == Type::VARCHAR => out.put_slice(text.as_bytes()),
            Cell::Bytes(bytes) if *wanted == Type::BYTEA => out.put_slice(bytes),
            Cell::Int(_) | Cell::Text(_) | Cell::Bytes(_) => return Err(format!("{self:?} cannot be bound as {wanted}").into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

pub(crate) fn cell(row: &postgres::Row, index: usize) -> Result<Cell<'_>, StoreError> {
    let column = row
        .columns()
        .get(index)
        .ok_or_else(|| StoreError::broken("a row has fewer columns than its reader"))?;
    let kind = column.type_();
    let unreadable = |error: postgres::Error| StoreError::unreadable(format!("column {} cannot be read", column.name()), error);
    let cell = if *kind == Type::INT8 {
        row.try_get::<_, Option<i64>>(index).map_err(unreadable)?.map(Cell::Int)
    } else if *kind == Type::INT4 {
        let number = row.try_get::<_, Option<i32>>(index).map_err(unreadable)?;
        number.map(|number| Cell::Int(i64::from(number)))
    } else if *kind == Type::BYTEA {
        let bytes = row.try_get::<_, Option<&[u8]>>(index).map_err(unreadable)?;
        bytes.map(|bytes| Cell::Bytes(Cow::Borrowed(bytes)))
    } else {
        let text = row.try_get::<_, Option<&str>>(index).map_err(unreadable)?;
        text.map(|text| Cell::Text(Cow::Borrowed(text)))
    };
    Ok(cell.unwrap_or(Cell::Null))
}
