//! The ledger: one row for each model call, reserved before it leaves and settled when its cost is known.
//!
//! Figures over many rows are in `spend`.

use serde::{Deserialize, Serialize};
use steward_domain::clock::Timestamp;
use steward_domain::id::{AgentName, KeyId, RequestId, SessionId, TurnId};
use steward_domain::money::Usd;
use steward_domain::principal::Principal;
use steward_domain::usage::{Usage, UsageSource};

use crate::error::StoreError;
use crate::tx::{Columns, Tx};
use crate::value::{Json, Word};

/// A call that is about to leave, on whose account, and the worst it can cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Reservation {
    /// The call.
    pub request: RequestId,
    /// When, to the millisecond.
    pub at: Timestamp,
    /// Who acts.
    pub principal: Principal,
    /// The user it is charged to.
    pub user: Option<String>,
    /// The team it is charged to.
    pub team: Option<String>,
    /// The agent, in a turn.
    pub agent: Option<AgentName>,
    /// The session, in a turn.
    pub session: Option<SessionId>,
    /// The turn.
    pub turn: Option<TurnId>,
    /// Its step, from 1.
    pub step: Option<u32>,
    /// The key, on the gateway.
    pub key: Option<KeyId>,
    /// The route asked for.
    pub route: String,
    /// `provider/model` it is meant for.
    pub target: String,
    /// The price list the reservation was made with.
    pub price_version: String,
    /// The worst case set aside.
    pub reserved: Usd,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// `provider/model` that answered.
    pub target: String,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Usd,
    /// The price list that said so.
    pub price_version: String,
    /// Whether the provider reported the usage.
    pub source: UsageSource,
    /// `ok`, or the error's kind.
    pub status: String,
    /// From request to first content, in milliseconds.
    pub first_token_ms: Option<u64>,
    /// From request to end, in milliseconds.
    pub total_ms: u64,
}

/// Where a ledger row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerState {
    /// The worst case is set aside.
    Reserved,
    /// The cost is final.
    Settled,
}

/// A row of the ledger. Until it is settled, cost and usage are zero.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerRow {
    /// On whose account. `reserved` stays what it was.
    pub reservation: Reservation,
    /// What it came to; its target and price list replace those of the reservation.
    pub settlement: Settlement,
    /// Where it stands.
    pub state: LedgerState,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT request_id, at, principal, user_name, team, agent, session_id, turn_id, step, key_id, route, target, price_version, ",
            "reserved_pico, usage, cost_pico, source, status, first_token_ms, total_ms, state FROM ledger ",
            $rest
        )
    };
}

fn read(row: &mut Columns<'_>) -> Result<LedgerRow, StoreError> {
    let reservation = Reservation {
        request: row.next()?,
        at: row.next()?,
        principal: row.next::<Json<_>>()?.0,
        user: row.next()?,
        team: row.next()?,
        agent: row.next()?,
        session: row.next()?,
        turn: row.next()?,
        step: row.next()?,
        key: row.next()?,
        route: row.next()?,
        target: row.next()?,
        price_version: row.next()?,
        reserved: row.next()?,
    };
    let settlement = Settlement {
        target: reservation.target.clone(),
        usage: row.next::<Json<_>>()?.0,
        cost: row.next()?,
        price_version: reservation.price_version.clone(),
        source: row.next::<Word<_>>()?.0,
        status: row.next()?,
        first_token_ms: row.next()?,
        total_ms: row.next()?,
    };
    Ok(LedgerRow {
        reservation,
        settlement,
        state: row.next::<Word<_>>()?.0,
    })
}

/// Sets the worst case of a call aside.
///
/// # Errors
/// `Conflict` where the call has a row already.
pub fn reserve(tx: &mut Tx<'_>, row: &Reservation) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO ledger (request_id, at, principal, user_name, team, agent, session_id, turn_id, step, key_id, route, target,
             price_version, reserved_pico, usage, input_tokens, output_tokens, cost_pico, source, status, total_ms, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 0, 0, 0, 'estimated', '', 0, 'reserved')",
        &[
            &row.request,
            &row.at,
            &Json(&row.principal),
            &row.user,
            &row.team,
            &row.agent,
            &row.session,
            &row.turn,
            &row.step,
            &row.key,
            &row.route,
            &row.target,
            &row.price_version,
            &row.reserved,
            &Json(Usage::default()),
        ],
    )?;
    Ok(())
}

/// Raises or lowers what is set aside for a call that goes on; `false` where it is settled.
pub fn set_reserved(tx: &mut Tx<'_>, request: &RequestId, reserved: Usd) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE ledger SET reserved_pico = ?2 WHERE request_id = ?1 AND state = 'reserved'",
        &[request, &reserved],
    )?;
    Ok(changed == 1)
}

/// Books what a call came to, once; `false` where it was settled before.
///
/// # Errors
/// `NotFound` where nothing was reserved for it.
pub fn settle(tx: &mut Tx<'_>, request: &RequestId, end: &Settlement) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE ledger SET state = 'settled', target = ?2, usage = ?3, input_tokens = ?4, output_tokens = ?5, cost_pico = ?6,
             price_version = ?7, source = ?8, status = ?9, first_token_ms = ?10, total_ms = ?11
         WHERE request_id = ?1 AND state = 'reserved'",
        &[
            request,
            &end.target,
            &Json(end.usage),
            &end.usage.total_input(),
            &end.usage.total_output(),
            &end.cost,
            &end.price_version,
            &Word(end.source),
            &end.status,
            &end.first_token_ms,
            &end.total_ms,
        ],
    )?;
    if changed == 1 {
        return Ok(true);
    }
    match get(tx, request)? {
        Some(_) => Ok(false),
        None => Err(StoreError::not_found("ledger row for call", request)),
    }
}

/// Gives back what was set aside for a call that used nothing; `false` where it is settled or was never reserved.
pub fn release(tx: &mut Tx<'_>, request: &RequestId) -> Result<bool, StoreError> {
    let changed = tx.execute("DELETE FROM ledger WHERE request_id = ?1 AND state = 'reserved'", &[request])?;
    Ok(changed == 1)
}

/// The row of a call.
pub fn get(tx: &mut Tx<'_>, request: &RequestId) -> Result<Option<LedgerRow>, StoreError> {
    tx.query_optional(select!("WHERE request_id = ?1"), &[request], read)
}

/// The rows of a turn, in order.
pub fn of_turn(tx: &mut Tx<'_>, turn: &TurnId) -> Result<Vec<LedgerRow>, StoreError> {
    tx.query(select!("WHERE turn_id = ?1 ORDER BY at, request_id"), &[turn], read)
}

/// Calls that were reserved and never settled, oldest first. At start these are what a crash left.
pub fn orphans(tx: &mut Tx<'_>) -> Result<Vec<LedgerRow>, StoreError> {
    tx.query(select!("WHERE state = 'reserved' ORDER BY at, request_id"), &[], read)
}

/// Rows from `since` on, in order, for exports; `after` is the last call of the page before.
pub fn list(tx: &mut Tx<'_>, since: Timestamp, after: Option<(Timestamp, &RequestId)>, limit: usize) -> Result<Vec<LedgerRow>, StoreError> {
    let (after_at, after_request) = match after {
        Some((at, request)) => (at, request.as_str()),
        None => (since, ""),
    };
    tx.query(
        select!("WHERE at >= ?1 AND (at > ?2 OR (at = ?2 AND request_id > ?3)) ORDER BY at, request_id LIMIT ?4"),
        &[&since, &after_at, &after_request, &limit],
        read,
    )
}
