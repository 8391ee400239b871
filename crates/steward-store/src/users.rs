//! Users: people by name, their role and their team.

use steward_domain::clock::Timestamp;
use steward_domain::principal::Role;

use crate::error::StoreError;
use crate::tx::{Columns, Tx};
use crate::value::Word;

/// A user.
#[derive(Clone, Debug, PartialEq)]
pub struct UserRow {
    /// The user name.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// The user's team.
    pub team: Option<String>,
    /// A slow hash of the password; `None` where there is none and links are the way in.
    pub password_hash: Option<String>,
    /// When the user was made, to the millisecond.
    pub created_at: Timestamp,
}

fn read(row: &mut Columns<'_>) -> Result<UserRow, StoreError> {
    Ok(UserRow {
        name: row.next()?,
        role: row.next::<Word<_>>()?.0,
        team: row.next()?,
        password_hash: row.next()?,
        created_at: row.next()?,
    })
}

/// Stores a new user.
///
/// # Errors
/// `Conflict` where the name is taken.
pub fn insert(tx: &mut Tx<'_>, row: &UserRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO users (name, role, team, password_hash, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        &[&row.name, &Word(row.role), &row.team, &row.password_hash, &row.created_at],
    )?;
    Ok(())
}

/// A user by name.
pub fn get(tx: &mut Tx<'_>, name: &str) -> Result<Option<UserRow>, StoreError> {
    tx.query_optional(
        "SELECT name, role, team, password_hash, created_at FROM users WHERE name = ?1",
        &[&name],
        read,
    )
}

/// All users by name.
pub fn list(tx: &mut Tx<'_>, limit: usize) -> Result<Vec<UserRow>, StoreError> {
    tx.query(
        "SELECT name, role, team, password_hash, created_at FROM users ORDER BY name LIMIT ?1",
        &[&limit],
        read,
    )
}

/// Sets role and team, as the configuration or an administrator says.
pub fn set_role(tx: &mut Tx<'_>, name: &str, role: Role, team: Option<&str>) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE users SET role = ?2, team = ?3 WHERE name = ?1",
        &[&name, &Word(role), &team],
    )?;
    found(changed, name)
}

/// Sets or clears the password.
pub fn set_password(tx: &mut Tx<'_>, name: &str, password_hash: Option<&str>) -> Result<(), StoreError> {
    let changed = tx.execute("UPDATE users SET password_hash = ?2 WHERE name = ?1", &[&name, &password_hash])?;
    found(changed, name)
}

/// Removes a user; `false` where there is none of that name.
pub fn delete(tx: &mut Tx<'_>, name: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM users WHERE name = ?1", &[&name])? == 1)
}

fn found(changed: u64, name: &str) -> Result<(), StoreError> {
    if changed == 0 {
        return Err(StoreError::not_found("user", name));
    }
    Ok(())
}
