//! One-time sign-in links. Only hashes of their secrets are kept.

use steward_domain::clock::Timestamp;
use steward_domain::principal::Role;

use crate::error::StoreError;
use crate::tx::{Columns, Tx};
use crate::value::Word;

/// A link.
#[derive(Clone, Debug, PartialEq)]
pub struct SigninLinkRow {
    /// A one-way hash of the link's secret.
    pub hash: String,
    /// Who signs in with it.
    pub user: String,
    /// As what.
    pub role: Role,
    /// Until when, to the millisecond.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

fn read(row: &mut Columns<'_>) -> Result<SigninLinkRow, StoreError> {
    Ok(SigninLinkRow {
        hash: row.next()?,
        user: row.next()?,
        role: row.next::<Word<_>>()?.0,
        expires_at: row.next()?,
        used_at: row.next()?,
    })
}

/// Stores a new link.
pub fn insert(tx: &mut Tx<'_>, row: &SigninLinkRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO signin_links (hash, user_name, role, expires_at, used_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        &[&row.hash, &row.user, &Word(row.role), &row.expires_at, &row.used_at],
    )?;
    Ok(())
}

/// Uses a link up and gives it; `None` where there is none of that hash, or it was used, or its time is over.
pub fn use_once(tx: &mut Tx<'_>, hash: &str, now: Timestamp) -> Result<Option<SigninLinkRow>, StoreError> {
    tx.query_optional(
        "UPDATE signin_links SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2
         RETURNING hash, user_name, role, expires_at, used_at",
        &[&hash, &now],
        read,
    )
}

/// Removes links whose time is over and gives their number.
pub fn delete_expired(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM signin_links WHERE expires_at <= ?1", &[&now])
}
