//! The inbox: what came in, unique by (channel, external id), until a turn takes it.

use serde::{Deserialize, Serialize};
use steward_domain::clock::Timestamp;
use steward_domain::id::{ChannelName, InboundId, SessionId, TurnId};
use steward_domain::message::Part;
use steward_domain::principal::{Principal, Surface};

use crate::error::StoreError;
use crate::tx::{Columns, Tx};
use crate::value::{Json, Word};

/// A message that came in.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxRow {
    /// Its id.
    pub id: InboundId,
    /// Through which channel.
    pub channel: ChannelName,
    /// The platform's id, unique in the channel.
    pub external_id: String,
    /// For which session.
    pub session: SessionId,
    /// From whom.
    pub principal: Principal,
    /// Through which door.
    pub surface: Surface,
    /// What it says.
    pub parts: Vec<Part>,
    /// When it came, to the millisecond.
    pub received_at: Timestamp,
    /// The turn that took it.
    pub turn: Option<TurnId>,
    /// Where it stands.
    pub state: InboxState,
}

/// Where a message that came in stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboxState {
    /// No turn has it.
    Waiting,
    /// A turn has it.
    Taken,
    /// The queue was full.
    Dropped,
}

/// What became of a message that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is stored.
    New,
    /// It was stored before, under this id.
    Duplicate {
        /// The id it has.
        inbound: InboundId,
        /// The turn that took it, if one has.
        turn: Option<TurnId>,
    },
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, channel, external_id, session_id, principal, surface, parts, received_at, turn_id, state FROM inbox ",
            $rest
        )
    };
}

fn read(row: &mut Columns<'_>) -> Result<InboxRow, StoreError> {
    Ok(InboxRow {
        id: row.next()?,
        channel: row.next()?,
        external_id: row.next()?,
        session: row.next()?,
        principal: row.next::<Json<_>>()?.0,
        surface: row.next::<Word<_>>()?.0,
        parts: row.next::<Json<_>>()?.0,
        received_at: row.next()?,
        turn: row.next()?,
        state: row.next::<Word<_>>()?.0,
    })
}

/// Stores a message once. The second time the platform hands it in, nothing changes.
pub fn accept(tx: &mut Tx<'_>, row: &InboxRow) -> Result<Accepted, StoreError> {
    let inserted = tx.execute(
        "INSERT INTO inbox (id, channel, external_id, session_id, principal, surface, parts, received_at, turn_id, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (channel, external_id) DO NOTHING",
        &[
            &row.id,
            &row.channel,
            &row.external_id,
            &row.session,
            &Json(&row.principal),
            &Word(row.surface),
            &Json(&row.parts),
            &row.received_at,
            &row.turn,
            &Word(row.state),
        ],
    )?;
    if inserted == 1 {
        return Ok(Accepted::New);
    }
    tx.query_one(
        "SELECT id, turn_id FROM inbox WHERE channel = ?1 AND external_id = ?2",
        &[&row.channel, &row.external_id],
        |found| {
            Ok(Accepted::Duplicate {
                inbound: found.next()?,
                turn: found.next()?,
            })
        },
    )
}

/// A message by id.
pub fn get(tx: &mut Tx<'_>, id: &InboundId) -> Result<Option<InboxRow>, StoreError> {
    tx.query_optional(select!("WHERE id = ?1"), &[id], read)
}

/// What waits in a session, oldest first.
pub fn waiting(tx: &mut Tx<'_>, session: &SessionId) -> Result<Vec<InboxRow>, StoreError> {
    tx.query(select!("WHERE session_id = ?1 AND state = 'waiting' ORDER BY id"), &[session], read)
}

/// Does anything wait in a session?
pub fn has_waiting(tx: &mut Tx<'_>, session: &SessionId) -> Result<bool, StoreError> {
    let count: i64 = tx.query_one(
        "SELECT COUNT(*) FROM inbox WHERE session_id = ?1 AND state = 'waiting'",
        &[session],
        |row| row.next(),
    )?;
    Ok(count > 0)
}

/// What a turn took, oldest first.
pub fn of_turn(tx: &mut Tx<'_>, turn: &TurnId) -> Result<Vec<InboxRow>, StoreError> {
    tx.query(select!("WHERE turn_id = ?1 ORDER BY id"), &[turn], read)
}

/// Gives waiting messages to a turn.
///
/// # Errors
/// `Conflict` where one of them does not wait any more; roll back then.
pub fn take(tx: &mut Tx<'_>, ids: &[InboundId], turn: &TurnId) -> Result<(), StoreError> {
    for id in ids {
        let taken = tx.execute(
            "UPDATE inbox SET state = 'taken', turn_id = ?2 WHERE id = ?1 AND state = 'waiting'",
            &[id, turn],
        )?;
        if taken == 0 {
            return Err(StoreError::conflict(format!("message {id} does not wait any more")));
        }
    }
    Ok(())
}

/// Keeps the newest `keep` waiting messages of a session and gives those it dropped, oldest first.
pub fn drop_oldest(tx: &mut Tx<'_>, session: &SessionId, keep: usize) -> Result<Vec<InboxRow>, StoreError> {
    let mut dropped = waiting(tx, session)?;
    dropped.truncate(dropped.len().saturating_sub(keep));
    for row in &mut dropped {
        tx.execute("UPDATE inbox SET state = 'dropped' WHERE id = ?1", &[&row.id])?;
        row.state = InboxState::Dropped;
    }
    Ok(dropped)
}

/// Sessions in which something waits, for recovery.
pub fn sessions_with_waiting(tx: &mut Tx<'_>) -> Result<Vec<SessionId>, StoreError> {
    tx.query(
        "SELECT DISTINCT session_id FROM inbox WHERE state = 'waiting' ORDER BY session_id",
        &[],
        |row| row.next(),
    )
}
