//! Sessions: one thread on one channel with one agent.

use serde_json::Value;
use steward_domain::clock::Timestamp;
use steward_domain::id::{AgentName, ChannelName, SessionId};
use steward_domain::principal::Principal;

use crate::error::StoreError;
use crate::tx::{Columns, Tx};
use crate::value::Json;

/// A session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// With which agent.
    pub agent: AgentName,
    /// On which channel.
    pub channel: ChannelName,
    /// In which thread of the channel.
    pub thread: String,
    /// Who began it.
    pub principal: Principal,
    /// How messages are taken while a turn runs; `None` is the channel's way.
    pub mode: Option<String>,
    /// The route or model chosen by `/model`; `None` is the agent's.
    pub model: Option<String>,
    /// When it began, to the millisecond.
    pub created_at: Timestamp,
    /// When something last happened in it.
    pub last_at: Timestamp,
    /// What the runtime keeps with it.
    pub state: Value,
}

/// What names a session, and who began it if it is new.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionName {
    /// With which agent.
    pub agent: AgentName,
    /// On which channel.
    pub channel: ChannelName,
    /// In which thread of the channel.
    pub thread: String,
    /// Who began it.
    pub principal: Principal,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, agent, channel, thread, principal, mode, model, created_at, last_at, state FROM sessions ",
            $rest
        )
    };
}

fn read(row: &mut Columns<'_>) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        id: row.next()?,
        agent: row.next()?,
        channel: row.next()?,
        thread: row.next()?,
        principal: row.next::<Json<_>>()?.0,
        mode: row.next()?,
        model: row.next()?,
        created_at: row.next()?,
        last_at: row.next()?,
        state: row.next::<Json<_>>()?.0,
    })
}

/// The session of that name, made if it is new.
pub fn find_or_create(tx: &mut Tx<'_>, name: &SessionName, now: Timestamp) -> Result<SessionRow, StoreError> {
    tx.execute(
        "INSERT INTO sessions (id, agent, channel, thread, principal, created_at, last_at, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, '{}') ON CONFLICT (agent, channel, thread) DO NOTHING",
        &[
            &SessionId::generate(),
            &name.agent,
            &name.channel,
            &name.thread,
            &Json(&name.principal),
            &now,
        ],
    )?;
    find(tx, &name.agent, &name.channel, &name.thread)?.ok_or_else(|| StoreError::broken("a session just made is not there"))
}

/// The session of that name, if there is one.
pub fn find(tx: &mut Tx<'_>, agent: &AgentName, channel: &ChannelName, thread: &str) -> Result<Option<SessionRow>, StoreError> {
    tx.query_optional(
        select!("WHERE agent = ?1 AND channel = ?2 AND thread = ?3"),
        &[agent, channel, &thread],
        read,
    )
}

/// A session by id.
pub fn get(tx: &mut Tx<'_>, id: &SessionId) -> Result<Option<SessionRow>, StoreError> {
    tx.query_optional(select!("WHERE id = ?1"), &[id], read)
}

/// The sessions that were used last, newest first.
pub fn list(tx: &mut Tx<'_>, limit: usize) -> Result<Vec<SessionRow>, StoreError> {
    tx.query(select!("ORDER BY last_at DESC, id DESC LIMIT ?1"), &[&limit], read)
}

/// Sets or clears the model chosen for the session.
pub fn set_model(tx: &mut Tx<'_>, id: &SessionId, model: Option<&str>) -> Result<(), StoreError> {
    let changed = tx.execute("UPDATE sessions SET model = ?2 WHERE id = ?1", &[id, &model])?;
    found(changed, id)
}

/// Sets or clears how messages are taken while a turn runs.
pub fn set_mode(tx: &mut Tx<'_>, id: &SessionId, mode: Option<&str>) -> Result<(), StoreError> {
    let changed = tx.execute("UPDATE sessions SET mode = ?2 WHERE id = ?1", &[id, &mode])?;
    found(changed, id)
}

/// Replaces what the runtime keeps with the session.
pub fn set_state(tx: &mut Tx<'_>, id: &SessionId, state: &Value) -> Result<(), StoreError> {
    let changed = tx.execute("UPDATE sessions SET state = ?2 WHERE id = ?1", &[id, &Json(state)])?;
    found(changed, id)
}

/// Notes that something happened in the session.
pub fn touch(tx: &mut Tx<'_>, id: &SessionId, now: Timestamp) -> Result<(), StoreError> {
    let changed = tx.execute("UPDATE sessions SET last_at = ?2 WHERE id = ?1", &[id, &now])?;
    found(changed, id)
}

/// Frees the thread's name for a new session; the old one keeps its rows under `THREAD#ID`.
pub fn reset_thread(tx: &mut Tx<'_>, id: &SessionId) -> Result<(), StoreError> {
    let changed = tx.execute("UPDATE sessions SET thread = thread || '#' || id WHERE id = ?1", &[id])?;
    found(changed, id)
}

/// A session by its id, or else the one used last whose thread has that name.
pub fn by_id_or_thread(tx: &mut Tx<'_>, id_or_thread: &str) -> Result<Option<SessionRow>, StoreError> {
    tx.query_optional(
        select!("WHERE id = ?1 OR thread = ?1 ORDER BY CASE WHEN id = ?1 THEN 0 ELSE 1 END, last_at DESC LIMIT 1"),
        &[&id_or_thread],
        read,
    )
}

fn found(changed: u64, id: &SessionId) -> Result<(), StoreError> {
    if changed == 0 {
        return Err(StoreError::not_found("session", id));
    }
    Ok(())
}
