//! Access keys. Only their hashes are kept; a revoked key stays as a row, because the ledger names it.

use steward_domain::clock::Timestamp;
use steward_domain::id::{AgentName, KeyId};
use steward_domain::principal::Role;

use crate::error::StoreError;
use crate::tx::{Columns, Tx};
use crate::value::Word;

/// A key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyRow {
    /// Its id.
    pub id: KeyId,
    /// Its name, unique among keys that are not revoked.
    pub name: String,
    /// A one-way hash of the key.
    pub hash: String,
    /// Its first characters, to recognise it by.
    pub prefix: String,
    /// What it may do.
    pub role: Role,
    /// The user it acts for.
    pub user: Option<String>,
    /// The team it is charged to.
    pub team: Option<String>,
    /// The one agent it may talk to.
    pub agent: Option<AgentName>,
    /// When it was made, to the millisecond.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, hash, prefix, role, user_name, team, agent, created_at, expires_at, revoked_at FROM keys ",
            $rest
        )
    };
}

fn read(row: &mut Columns<'_>) -> Result<KeyRow, StoreError> {
    Ok(KeyRow {
        id: row.next()?,
        name: row.next()?,
        hash: row.next()?,
        prefix: row.next()?,
        role: row.next::<Word<_>>()?.0,
        user: row.next()?,
        team: row.next()?,
        agent: row.next()?,
        created_at: row.next()?,
        expires_at: row.next()?,
        revoked_at: row.next()?,
    })
}

/// Stores a new key.
///
/// # Errors
/// `Conflict` where a key of that name is in use.
pub fn insert(tx: &mut Tx<'_>, row: &KeyRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO keys (id, name, hash, prefix, role, user_name, team, agent, created_at, expires_at, revoked_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        &[
            &row.id,
            &row.name,
            &row.hash,
            &row.prefix,
            &Word(row.role),
            &row.user,
            &row.team,
            &row.agent,
            &row.created_at,
            &row.expires_at,
            &row.revoked_at,
        ],
    )?;
    Ok(())
}

/// The key with that hash, revoked and expired ones too: the caller says why it refuses.
pub fn find_by_hash(tx: &mut Tx<'_>, hash: &str) -> Result<Option<KeyRow>, StoreError> {
    tx.query_optional(select!("WHERE hash = ?1"), &[&hash], read)
}

/// A key by id.
pub fn get(tx: &mut Tx<'_>, id: &KeyId) -> Result<Option<KeyRow>, StoreError> {
    tx.query_optional(select!("WHERE id = ?1"), &[id], read)
}

/// All keys, newest first.
pub fn list(tx: &mut Tx<'_>, limit: usize) -> Result<Vec<KeyRow>, StoreError> {
    tx.query(select!("ORDER BY created_at DESC, id DESC LIMIT ?1"), &[&limit], read)
}

/// Revokes the key of that id, or else the one in use of that name, and gives it.
///
/// # Errors
/// `NotFound` where no key in use has that id or name.
pub fn revoke(tx: &mut Tx<'_>, id_or_name: &str, now: Timestamp) -> Result<KeyRow, StoreError> {
    let key = tx.query_optional(
        select!("WHERE revoked_at IS NULL AND (id = ?1 OR name = ?1) ORDER BY CASE WHEN id = ?1 THEN 0 ELSE 1 END LIMIT 1"),
        &[&id_or_name],
        read,
    )?;
    let mut key = key.ok_or_else(|| StoreError::not_found("key in use with id or name", id_or_name))?;
    tx.execute("UPDATE keys SET revoked_at = ?2 WHERE id = ?1", &[&key.id, &now])?;
    key.revoked_at = Some(now);
    Ok(key)
}

/// Is there anyone who may administer: a key in use, or a user, of role owner or admin?
pub fn any_admin(tx: &mut Tx<'_>, now: Timestamp) -> Result<bool, StoreError> {
    let found: i64 = tx.query_one(
        "SELECT (SELECT COUNT(*) FROM keys WHERE role IN ('owner', 'admin') AND revoked_at IS NULL
             AND (expires_at IS NULL OR expires_at > ?1)) + (SELECT COUNT(*) FROM users WHERE role IN ('owner', 'admin'))",
        &[&now],
        |row| row.next(),
    )?;
    Ok(found > 0)
}
