//! Signed-in browsers of the console. Only hashes of their cookies are kept.

use steward_domain::clock::Timestamp;
use steward_domain::principal::Role;

use crate::error::StoreError;
use crate::tx::{Columns, Tx};
use crate::value::Word;

/// A signed-in browser.
#[derive(Clone, Debug, PartialEq)]
pub struct WebSessionRow {
    /// A one-way hash of the cookie.
    pub hash: String,
    /// Who.
    pub user: String,
    /// As what.
    pub role: Role,
    /// What a changing request must repeat, against forged ones.
    pub csrf: String,
    /// When it was signed in, to the millisecond.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

fn read(row: &mut Columns<'_>) -> Result<WebSessionRow, StoreError> {
    Ok(WebSessionRow {
        hash: row.next()?,
        user: row.next()?,
        role: row.next::<Word<_>>()?.0,
        csrf: row.next()?,
        created_at: row.next()?,
        last_at: row.next()?,
        expires_at: row.next()?,
    })
}

/// Stores a new browser session.
pub fn insert(tx: &mut Tx<'_>, row: &WebSessionRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO web_sessions (hash, user_name, role, csrf, created_at, last_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        &[
            &row.hash,
            &row.user,
            &Word(row.role),
            &row.csrf,
            &row.created_at,
            &row.last_at,
            &row.expires_at,
        ],
    )?;
    Ok(())
}

/// The browser session of that hash, if its time is not over.
pub fn find(tx: &mut Tx<'_>, hash: &str, now: Timestamp) -> Result<Option<WebSessionRow>, StoreError> {
    tx.query_optional(
        "SELECT hash, user_name, role, csrf, created_at, last_at, expires_at FROM web_sessions WHERE hash = ?1 AND expires_at > ?2",
        &[&hash, &now],
        read,
    )
}

/// Notes its use and moves its end.
pub fn touch(tx: &mut Tx<'_>, hash: &str, now: Timestamp, expires_at: Timestamp) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE web_sessions SET last_at = ?2, expires_at = ?3 WHERE hash = ?1",
        &[&hash, &now, &expires_at],
    )?;
    if changed == 0 {
        return Err(StoreError::NotFound {
            what: "browser session of that cookie".to_owned(),
        });
    }
    Ok(())
}

/// Signs one browser out; `false` where it was not signed in.
pub fn delete(tx: &mut Tx<'_>, hash: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM web_sessions WHERE hash = ?1", &[&hash])? == 1)
}

/// Signs a user out everywhere and gives the number of browsers.
pub fn delete_of_user(tx: &mut Tx<'_>, user: &str) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM web_sessions WHERE user_name = ?1", &[&user])
}

/// Removes browser sessions whose time is over and gives their number.
pub fn delete_expired(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM web_sessions WHERE expires_at <= ?1", &[&now])
}
