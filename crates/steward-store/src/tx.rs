//! One transaction, as the nouns see it: statements with `?N` parameters, rows read column by column.
//!
//! A statement that failed fails the whole job, also where the job looked away: the databases differ there otherwise.

use crate::connection::{Connection, RawRow};
use crate::error::StoreError;
use crate::value::{Cell, FromCell, ToCell};

/// The transaction a job runs in. Only the store's own nouns speak SQL through it.
pub struct Tx<'c> {
    connection: &'c mut Connection,
    appended_seq: Option<i64>,
    failure: Option<StoreError>,
}

impl<'c> Tx<'c> {
    pub(crate) fn new(connection: &'c mut Connection) -> Self {
        Tx {
            connection,
            appended_seq: None,
            failure: None,
        }
    }

    /// What a job left: the highest journal seq it appended, or the first statement that failed.
    pub(crate) fn end(self) -> Result<Option<i64>, StoreError> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.appended_seq),
        }
    }

    pub(crate) fn note_appended(&mut self, seq: i64) {
        self.appended_seq = Some(self.appended_seq.map_or(seq, |highest| highest.max(seq)));
    }

    /// Makes this transaction the only one that appends to the journal until it commits.
    pub(crate) fn lock_journal(&mut self) -> Result<(), StoreError> {
        let outcome = self.connection.lock_journal();
        self.remember(outcome)
    }

    /// Runs a statement and gives the number of rows it changed.
    pub(crate) fn execute(&mut self, sql: &'static str, params: &[&dyn ToCell]) -> Result<u64, StoreError> {
        let outcome = cells_of(params).and_then(|cells| self.connection.execute(sql, &cells));
        self.remember(outcome)
    }

    /// All rows of a query. Every query of the nouns carries a LIMIT or is bound to one parent row.
    pub(crate) fn query<T>(
        &mut self,
        sql: &'static str,
        params: &[&dyn ToCell],
        mut read: impl FnMut(&mut Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::new();
        let outcome = cells_of(params).and_then(|cells| {
            self.connection.query(sql, &cells, &mut |row| {
                rows.push(read(&mut Columns { row, next: 0 })?);
                Ok(())
            })
        });
        self.remember(outcome)?;
        Ok(rows)
    }

    /// The first row of a query, if there is one.
    pub(crate) fn query_optional<T>(
        &mut self,
        sql: &'static str,
        params: &[&dyn ToCell],
        read: impl FnMut(&mut Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.query(sql, params, read)?.into_iter().next())
    }

    /// The one row that a query such as a count or a RETURNING always has.
    pub(crate) fn query_one<T>(
        &mut self,
        sql: &'static str,
        params: &[&dyn ToCell],
        read: impl FnMut(&mut Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.query_optional(sql, params, read)?
            .ok_or_else(|| StoreError::broken(format!("a query gave no row: {sql}")))
    }

    fn remember<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &outcome
            && self.failure.is_none()
        {
            self.failure = Some(error.clone());
        }
        outcome
    }
}

fn cells_of<'a>(params: &[&'a dyn ToCell]) -> Result<Vec<Cell<'a>>, StoreError> {
    params.iter().map(|param| param.to_cell()).collect()
}

/// Reads the columns of a row from left to right, so that struct fields stand in the order of the SELECT.
pub(crate) struct Columns<'r> {
    row: RawRow<'r>,
    next: usize,
}

impl Columns<'_> {
    /// The next column.
    pub(crate) fn next<T: FromCell>(&mut self) -> Result<T, StoreError> {
        let index = self.next;
        self.next += 1;
        T::from_cell(self.row.cell(index)?)
    }
}
