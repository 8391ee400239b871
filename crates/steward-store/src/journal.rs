//! The journal: what happened in turns, appended once and never changed, in one order for all.
//!
//! `seq` rises in commit order, so that whoever has seen seq N has missed nothing at or below N. It may have gaps.

use steward_domain::clock::Timestamp;
use steward_domain::id::{AgentName, ChannelName, SessionId, TurnId};
use steward_domain::journal::JournalEvent;
use steward_domain::principal::{Principal, Surface};

use crate::error::StoreError;
use crate::tx::{Columns, Tx};
use crate::value::{Json, Word};

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalRow {
    /// Its place in the order of all events.
    pub seq: i64,
    /// Of which turn.
    pub turn: TurnId,
    /// In which session.
    pub session: SessionId,
    /// When, to the millisecond.
    pub at: Timestamp,
    /// What happened.
    pub event: JournalEvent,
}

/// One event with what a stream needs to say who may see it.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamRow {
    /// The event.
    pub entry: JournalRow,
    /// The agent of the session.
    pub agent: AgentName,
    /// The channel of the session.
    pub channel: ChannelName,
    /// The thread of the session.
    pub thread: String,
    /// For whom the turn runs.
    pub principal: Principal,
    /// Through which door the turn began.
    pub surface: Surface,
}

fn read(row: &mut Columns<'_>) -> Result<JournalRow, StoreError> {
    Ok(JournalRow {
        seq: row.next()?,
        turn: row.next()?,
        session: row.next()?,
        at: row.next()?,
        event: row.next::<Json<_>>()?.0,
    })
}

/// Appends an event and gives its seq.
pub fn append(tx: &mut Tx<'_>, turn: &TurnId, session: &SessionId, at: Timestamp, event: &JournalEvent) -> Result<i64, StoreError> {
    tx.lock_journal()?;
    let seq = tx.query_one(
        "INSERT INTO journal (turn_id, session_id, at, kind, event) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING seq",
        &[turn, session, &at, &kind_of(event), &Json(event)],
        |row| row.next(),
    )?;
    tx.note_appended(seq);
    Ok(seq)
}

/// All events of a turn, in order.
pub fn of_turn(tx: &mut Tx<'_>, turn: &TurnId) -> Result<Vec<JournalRow>, StoreError> {
    tx.query(
        "SELECT seq, turn_id, session_id, at, event FROM journal WHERE turn_id = ?1 ORDER BY seq",
        &[turn],
        read,
    )
}

/// Events of a session before `before`, newest first.
pub fn of_session(tx: &mut Tx<'_>, session: &SessionId, before: Option<i64>, limit: usize) -> Result<Vec<JournalRow>, StoreError> {
    tx.query(
        "SELECT seq, turn_id, session_id, at, event FROM journal WHERE session_id = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
        &[session, &before.unwrap_or(i64::MAX), &limit],
        read,
    )
}

/// Events after a cursor, in order, for live subscribers.
pub fn after(tx: &mut Tx<'_>, cursor: i64, limit: usize) -> Result<Vec<StreamRow>, StoreError> {
    tx.query(
        "SELECT j.seq, j.turn_id, j.session_id, j.at, j.event, s.agent, s.channel, s.thread, t.principal, t.surface
         FROM journal j JOIN turns t ON t.id = j.turn_id JOIN sessions s ON s.id = t.session_id
         WHERE j.seq > ?1 ORDER BY j.seq LIMIT ?2",
        &[&cursor, &limit],
        |row| {
            Ok(StreamRow {
                entry: read(row)?,
                agent: row.next()?,
                channel: row.next()?,
                thread: row.next()?,
                principal: row.next::<Json<_>>()?.0,
                surface: row.next::<Word<_>>()?.0,
            })
        },
    )
}

/// Events of an agent whose content holds `text`, letter case of ASCII aside, newest first.
pub fn search_text(tx: &mut Tx<'_>, agent: &AgentName, text: &str, limit: usize) -> Result<Vec<JournalRow>, StoreError> {
    tx.query(
        "SELECT j.seq, j.turn_id, j.session_id, j.at, j.event FROM journal j JOIN turns t ON t.id = j.turn_id
         WHERE t.agent = ?1 AND j.kind <> 'context_built' AND LOWER(j.event) LIKE LOWER(CAST(?2 AS TEXT)) ESCAPE '!'
         ORDER BY j.seq DESC LIMIT ?3",
        &[agent, &containing(text), &limit],
        read,
    )
}

/// A LIKE pattern for events, which are JSON: quotes and line ends are looked for as JSON writes them.
fn containing(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let inner = quoted.strip_prefix('"').unwrap_or(&quoted);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let literal = inner.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{literal}%")
}

/// The last seq there is, 0 for none.
pub fn highest_seq(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    tx.query_one("SELECT COALESCE(MAX(seq), 0) FROM journal", &[], |row| row.next())
}

fn kind_of(event: &JournalEvent) -> &'static str {
    match event {
        JournalEvent::TurnStarted { .. } => "turn_started",
        JournalEvent::Steered { .. } => "steered",
        JournalEvent::ContextBuilt { .. } => "context_built",
        JournalEvent::StepFinished { .. } => "step_finished",
        JournalEvent::CallStarted { .. } => "call_started",
        JournalEvent::CallFinished { .. } => "call_finished",
        JournalEvent::ApprovalOpened { .. } => "approval_opened",
        JournalEvent::ApprovalAnswered { .. } => "approval_answered",
        JournalEvent::Compacted { .. } => "compacted",
        JournalEvent::Noted { .. } => "noted",
        JournalEvent::TurnFinished { .. } => "turn_finished",
    }
}
