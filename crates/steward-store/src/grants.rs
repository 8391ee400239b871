//! Grants: allowances that a person gave for a session or for good, each a visible rule that can be taken back.

use std::fmt;

use serde::{Deserialize, Serialize};
use steward_domain::clock::Timestamp;
use steward_domain::id::{AgentName, SessionId};

use crate::error::StoreError;
use crate::tx::{Columns, Tx};
use crate::value::{Cell, FromCell, ToCell};

/// One grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GrantId(pub i64);

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ToCell for GrantId {
    fn to_cell(&self) -> Result<Cell<'_>, StoreError> {
        self.0.to_cell()
    }
}

impl FromCell for GrantId {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        i64::from_cell(cell).map(GrantId)
    }
}

/// What is allowed, before it has an id.
#[derive(Clone, Debug, PartialEq)]
pub struct NewGrant {
    /// To which agent.
    pub agent: AgentName,
    /// In which session; `None` for always.
    pub session: Option<SessionId>,
    /// Which tool.
    pub tool: String,
    /// The shape of its arguments, as policy writes it.
    pub pattern: String,
    /// When, to the millisecond.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

/// An allowance with its id.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantRow {
    /// Its id.
    pub id: GrantId,
    /// What is allowed.
    pub grant: NewGrant,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, agent, session_id, tool, pattern, created_at, created_by FROM grants ",
            $rest
        )
    };
}

fn read(row: &mut Columns<'_>) -> Result<GrantRow, StoreError> {
    Ok(GrantRow {
        id: row.next()?,
        grant: NewGrant {
            agent: row.next()?,
            session: row.next()?,
            tool: row.next()?,
            pattern: row.next()?,
            created_at: row.next()?,
            created_by: row.next()?,
        },
    })
}

/// Stores a grant and gives its id.
pub fn insert(tx: &mut Tx<'_>, grant: &NewGrant) -> Result<GrantId, StoreError> {
    tx.query_one(
        "INSERT INTO grants (agent, session_id, tool, pattern, created_at, created_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
        &[
            &grant.agent,
            &grant.session,
            &grant.tool,
            &grant.pattern,
            &grant.created_at,
            &grant.created_by,
        ],
        |row| row.next(),
    )
}

/// What an agent may do in a session: grants for the session and grants for always.
pub fn matching(tx: &mut Tx<'_>, agent: &AgentName, session: &SessionId) -> Result<Vec<GrantRow>, StoreError> {
    tx.query(
        select!("WHERE agent = ?1 AND (session_id IS NULL OR session_id = ?2) ORDER BY id"),
        &[agent, session],
        read,
    )
}

/// All grants, newest first.
pub fn list(tx: &mut Tx<'_>, limit: usize) -> Result<Vec<GrantRow>, StoreError> {
    tx.query(select!("ORDER BY id DESC LIMIT ?1"), &[&limit], read)
}

/// Takes a grant back; `false` where there is none of that id.
pub fn delete(tx: &mut Tx<'_>, id: GrantId) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM grants WHERE id = ?1", &[&id])? == 1)
}
