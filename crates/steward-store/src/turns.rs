//! Turns: the row that says where each stands and what it used. What happened in it is in the journal.

use steward_domain::clock::Timestamp;
use steward_domain::id::{AgentName, SessionId, TurnId};
use steward_domain::journal::TurnStatus;
use steward_domain::money::Usd;
use steward_domain::principal::{Principal, Surface};

use crate::error::StoreError;
use crate::tx::{Columns, Tx};
use crate::value::{Json, Word};

/// A turn.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnRow {
    /// Its id.
    pub id: TurnId,
    /// In which session.
    pub session: SessionId,
    /// Of which agent.
    pub agent: AgentName,
    /// For whom.
    pub principal: Principal,
    /// Through which door it began.
    pub surface: Surface,
    /// Where it stands.
    pub status: TurnStatus,
    /// The reply or the error; empty until it is over.
    pub text: String,
    /// Model calls made.
    pub steps: u32,
    /// What they cost.
    pub cost: Usd,
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// When it began, to the millisecond.
    pub started_at: Timestamp,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
}

/// Which turns to list; `None` is any.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TurnFilter {
    /// Of this agent.
    pub agent: Option<AgentName>,
    /// In this session.
    pub session: Option<SessionId>,
    /// In this state.
    pub status: Option<TurnStatus>,
    /// For this principal.
    pub principal: Option<Principal>,
}

/// What one step adds to its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepTotals {
    /// What the call cost.
    pub cost: Usd,
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, session_id, agent, principal, surface, status, text, steps, cost_pico, input_tokens, output_tokens, ",
            "started_at, ended_at FROM turns ",
            $rest
        )
    };
}

fn read(row: &mut Columns<'_>) -> Result<TurnRow, StoreError> {
    Ok(TurnRow {
        id: row.next()?,
        session: row.next()?,
        agent: row.next()?,
        principal: row.next::<Json<_>>()?.0,
        surface: row.next::<Word<_>>()?.0,
        status: row.next::<Word<_>>()?.0,
        text: row.next()?,
        steps: row.next()?,
        cost: row.next()?,
        input_tokens: row.next()?,
        output_tokens: row.next()?,
        started_at: row.next()?,
        ended_at: row.next()?,
    })
}

/// Stores a new turn.
pub fn insert(tx: &mut Tx<'_>, row: &TurnRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO turns (id, session_id, agent, principal, surface, status, text, steps, cost_pico, input_tokens, output_tokens,
             started_at, ended_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        &[
            &row.id,
            &row.session,
            &row.agent,
            &Json(&row.principal),
            &Word(row.surface),
            &Word(row.status),
            &row.text,
            &row.steps,
            &row.cost,
            &row.input_tokens,
            &row.output_tokens,
            &row.started_at,
            &row.ended_at,
        ],
    )?;
    Ok(())
}

/// Moves a turn that is not over between running and waiting.
///
/// # Errors
/// `Conflict` where it is over.
pub fn update_status(tx: &mut Tx<'_>, id: &TurnId, status: TurnStatus) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE turns SET status = ?2 WHERE id = ?1 AND status IN ('running', 'waiting')",
        &[id, &Word(status)],
    )?;
    still_open(changed, id)
}

/// Adds a step and what it used.
pub fn add_step(tx: &mut Tx<'_>, id: &TurnId, totals: StepTotals) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE turns SET steps = steps + 1, cost_pico = cost_pico + ?2, input_tokens = input_tokens + ?3,
             output_tokens = output_tokens + ?4 WHERE id = ?1",
        &[id, &totals.cost, &totals.input_tokens, &totals.output_tokens],
    )?;
    if changed == 0 {
        return Err(StoreError::not_found("turn", id));
    }
    Ok(())
}

/// Ends a turn, once.
///
/// # Errors
/// `Conflict` where it is over already.
pub fn finish(tx: &mut Tx<'_>, id: &TurnId, status: TurnStatus, text: &str, now: Timestamp) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE turns SET status = ?2, text = ?3, ended_at = ?4 WHERE id = ?1 AND status IN ('running', 'waiting')",
        &[id, &Word(status), &text, &now],
    )?;
    still_open(changed, id)
}

fn still_open(changed: u64, id: &TurnId) -> Result<(), StoreError> {
    if changed == 0 {
        return Err(StoreError::conflict(format!("turn {id} is not open")));
    }
    Ok(())
}

/// A turn by id.
pub fn get(tx: &mut Tx<'_>, id: &TurnId) -> Result<Option<TurnRow>, StoreError> {
    tx.query_optional(select!("WHERE id = ?1"), &[id], read)
}

/// Turns newest first; `before` is the last id of the page before.
pub fn list(tx: &mut Tx<'_>, filter: &TurnFilter, before: Option<&TurnId>, limit: usize) -> Result<Vec<TurnRow>, StoreError> {
    tx.query(
        select!(
            "WHERE (CAST(?1 AS TEXT) IS NULL OR agent = ?1) AND (CAST(?2 AS TEXT) IS NULL OR session_id = ?2)
             AND (CAST(?3 AS TEXT) IS NULL OR status = ?3) AND (CAST(?4 AS TEXT) IS NULL OR principal = ?4)
             AND (CAST(?5 AS TEXT) IS NULL OR id < ?5) ORDER BY id DESC LIMIT ?6"
        ),
        &[
            &filter.agent,
            &filter.session,
            &filter.status.map(Word),
            &filter.principal.as_ref().map(Json),
            &before.cloned(),
            &limit,
        ],
        read,
    )
}

/// The first turn of a session.
pub fn first_of_session(tx: &mut Tx<'_>, session: &SessionId) -> Result<Option<TurnRow>, StoreError> {
    tx.query_optional(select!("WHERE session_id = ?1 ORDER BY id LIMIT 1"), &[session], read)
}

/// The latest turn of a session.
pub fn last_of_session(tx: &mut Tx<'_>, session: &SessionId) -> Result<Option<TurnRow>, StoreError> {
    tx.query_optional(select!("WHERE session_id = ?1 ORDER BY id DESC LIMIT 1"), &[session], read)
}

/// Turns that are not over, oldest first, for recovery.
pub fn unfinished(tx: &mut Tx<'_>) -> Result<Vec<TurnRow>, StoreError> {
    tx.query(select!("WHERE status IN ('running', 'waiting') ORDER BY id"), &[], read)
}

/// The turn of a session that is not over, if there is one.
pub fn open_of_session(tx: &mut Tx<'_>, session: &SessionId) -> Result<Option<TurnRow>, StoreError> {
    tx.query_optional(
        select!("WHERE session_id = ?1 AND status IN ('running', 'waiting') ORDER BY id LIMIT 1"),
        &[session],
        read,
    )
}
