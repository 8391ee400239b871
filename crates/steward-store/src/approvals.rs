//! Approvals: questions to people and their answers. A turn that waits is a row here, not a sleeping task.

use serde_json::Value;
use steward_domain::approval::{ApprovalKind, ApprovalState, Scope};
use steward_domain::clock::Timestamp;
use steward_domain::decision::Effect;
use steward_domain::id::{AgentName, ApprovalId, CallId, SessionId, TurnId};

use crate::error::StoreError;
use crate::tx::{Columns, Tx};
use crate::value::{Json, Word};

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub struct ApprovalRow {
    /// Its id.
    pub id: ApprovalId,
    /// Of which turn.
    pub turn: TurnId,
    /// About which call.
    pub call: CallId,
    /// In which session.
    pub session: SessionId,
    /// Of which agent.
    pub agent: AgentName,
    /// May it run, or the agent's own question.
    pub kind: ApprovalKind,
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub args: Value,
    /// What the call would do.
    pub effect: Effect,
    /// Why a person is asked; the question itself for [`ApprovalKind::Question`].
    pub reason: String,
    /// The rule that asked.
    pub rule: String,
    /// Names exactly what is approved, so that an answer cannot be moved to another call.
    pub digest: String,
    /// Answers to choose from; empty for free text.
    pub choices: Vec<String>,
    /// Where it stands.
    pub state: ApprovalState,
    /// When it was put, to the millisecond.
    pub opened_at: Timestamp,
    /// When silence becomes No.
    pub expires_at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// By whom.
    pub answered_by: Option<String>,
    /// How long the allowance holds.
    pub scope: Option<Scope>,
    /// What the person wrote.
    pub note: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct ApprovalAnswer {
    /// Anything but `Waiting`.
    pub state: ApprovalState,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// How long an allowance holds.
    pub scope: Option<Scope>,
    /// What the person wrote.
    pub note: String,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, turn_id, call_id, session_id, agent, kind, tool, args, effect, reason, rule, digest, choices, state, ",
            "opened_at, expires_at, answered_at, answered_by, scope, note FROM approvals ",
            $rest
        )
    };
}

fn read(row: &mut Columns<'_>) -> Result<ApprovalRow, StoreError> {
    Ok(ApprovalRow {
        id: row.next()?,
        turn: row.next()?,
        call: row.next()?,
        session: row.next()?,
        agent: row.next()?,
        kind: row.next::<Word<_>>()?.0,
        tool: row.next()?,
        args: row.next::<Json<_>>()?.0,
        effect: row.next::<Word<_>>()?.0,
        reason: row.next()?,
        rule: row.next()?,
        digest: row.next()?,
        choices: row.next::<Json<_>>()?.0,
        state: row.next::<Word<_>>()?.0,
        opened_at: row.next()?,
        expires_at: row.next()?,
        answered_at: row.next()?,
        answered_by: row.next()?,
        scope: row.next::<Option<Word<_>>>()?.map(|word| word.0),
        note: row.next()?,
    })
}

/// Stores a new question.
pub fn open(tx: &mut Tx<'_>, row: &ApprovalRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO approvals (id, turn_id, call_id, session_id, agent, kind, tool, args, effect, reason, rule, digest, choices, state,
             opened_at, expires_at, answered_at, answered_by, scope, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
        &[
            &row.id,
            &row.turn,
            &row.call,
            &row.session,
            &row.agent,
            &Word(row.kind),
            &row.tool,
            &Json(&row.args),
            &Word(row.effect),
            &row.reason,
            &row.rule,
            &row.digest,
            &Json(&row.choices),
            &Word(row.state),
            &row.opened_at,
            &row.expires_at,
            &row.answered_at,
            &row.answered_by,
            &row.scope.map(Word),
            &row.note,
        ],
    )?;
    Ok(())
}

/// A question by id.
pub fn get(tx: &mut Tx<'_>, id: &ApprovalId) -> Result<Option<ApprovalRow>, StoreError> {
    tx.query_optional(select!("WHERE id = ?1"), &[id], read)
}

/// Questions in a state, or in any, newest first.
pub fn list(tx: &mut Tx<'_>, state: Option<ApprovalState>, limit: usize) -> Result<Vec<ApprovalRow>, StoreError> {
    tx.query(
        select!("WHERE CAST(?1 AS TEXT) IS NULL OR state = ?1 ORDER BY id DESC LIMIT ?2"),
        &[&state.map(Word), &limit],
        read,
    )
}

/// Questions of a turn, in the order they were put.
pub fn of_turn(tx: &mut Tx<'_>, turn: &TurnId) -> Result<Vec<ApprovalRow>, StoreError> {
    tx.query(select!("WHERE turn_id = ?1 ORDER BY id"), &[turn], read)
}

/// Questions nobody answered in time, the longest overdue first.
pub fn due(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<Vec<ApprovalRow>, StoreError> {
    tx.query(
        select!("WHERE state = 'waiting' AND expires_at <= ?1 ORDER BY expires_at, id LIMIT ?2"),
        &[&now, &limit],
        read,
    )
}

/// Answers a question that waits; `false` where someone, or time, was first.
pub fn answer(tx: &mut Tx<'_>, id: &ApprovalId, answer: &ApprovalAnswer) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE approvals SET state = ?2, answered_at = ?3, answered_by = ?4, scope = ?5, note = ?6 WHERE id = ?1 AND state = 'waiting'",
        &[
            id,
            &Word(answer.state),
            &answer.at,
            &answer.by,
            &answer.scope.map(Word),
            &answer.note,
        ],
    )?;
    Ok(changed == 1)
}
