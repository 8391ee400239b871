//! Reads the whole database to see whether it is sound. Changes nothing.

use crate::connection::{Access, Connection};
use crate::error::StoreError;
use crate::tx::Tx;

/// PostgreSQL checks pages as it reads them (where it was initialised with checksums), so reading all rows is the check.
const TABLES: &[&str] = &[
    "SELECT COUNT(*) FROM (SELECT * FROM sessions) AS t WHERE t.state IS NULL",
    "SELECT COUNT(*) FROM (SELECT * FROM inbox) AS t WHERE t.parts IS NULL",
    "SELECT COUNT(*) FROM (SELECT * FROM turns) AS t WHERE t.text IS NULL",
    "SELECT COUNT(*) FROM (SELECT * FROM journal) AS t WHERE t.event IS NULL",
    "SELECT COUNT(*) FROM (SELECT * FROM approvals) AS t WHERE t.args IS NULL",
    "SELECT COUNT(*) FROM (SELECT * FROM outbox) AS t WHERE t.text IS NULL",
    "SELECT COUNT(*) FROM (SELECT * FROM ledger) AS t WHERE t.usage IS NULL",
    "SELECT COUNT(*) FROM (SELECT * FROM blobs) AS t WHERE length(t.data) <> t.size_bytes",
];

/// What does not fit, a sentence each.
pub(crate) fn check(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    let is_sqlite = matches!(connection, Connection::Sqlite(_));
    connection.begin(Access::Read)?;
    let mut tx = Tx::new(connection);
    let mut findings = Vec::new();
    if is_sqlite {
        let words: Vec<String> = tx.query("PRAGMA integrity_check(100)", &[], |row| row.next())?;
        findings.extend(words.into_iter().filter(|word| word != "ok"));
        // Columns: table, rowid (none for tables without one), parent table, number of the foreign key.
        let orphans: Vec<(String, String)> = tx.query("PRAGMA foreign_key_check", &[], |row| {
            let table: String = row.next()?;
            let _rowid: Option<i64> = row.next()?;
            Ok((table, row.next()?))
        })?;
        findings.extend(
            orphans
                .into_iter()
                .map(|(table, parent)| format!("a row of {table} refers to a missing row of {parent}")),
        );
    }
    for sql in TABLES {
        let misfits: i64 = tx.query_one(sql, &[], |row| row.next())?;
        if misfits > 0 {
            findings.push(format!("{misfits} rows fail: {sql}"));
        }
    }
    connection.abandon();
    Ok(findings)
}
