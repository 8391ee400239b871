//! Rollouts: the state of each route's, as its engine wrote it, and the record of what happened to it.

use steward_domain::clock::Timestamp;

use crate::error::StoreError;
use crate::tx::Tx;

/// A route's rollout as it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutRow {
    /// The route.
    pub route: String,
    /// Its state, JSON that only the engine reads.
    pub state: String,
    /// When, to the millisecond.
    pub at: Timestamp,
}

/// One thing that happened to a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutEventRow {
    /// To which route's.
    pub route: String,
    /// When, to the millisecond.
    pub at: Timestamp,
    /// What, dotted, such as `route.shift`.
    pub action: String,
    /// Who: a principal, or `system`.
    pub who: String,
    /// Why, a sentence.
    pub why: String,
    /// The candidate's share before, a decimal number.
    pub share_before: String,
    /// The candidate's share after, a decimal number.
    pub share_after: String,
}

/// Keeps a route's state in place of the one before.
pub fn save(tx: &mut Tx<'_>, row: &RolloutRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO rollouts (route, state, at) VALUES (?1, ?2, ?3)
         ON CONFLICT (route) DO UPDATE SET state = excluded.state, at = excluded.at",
        &[&row.route, &row.state, &row.at],
    )?;
    Ok(())
}

/// The state of every route.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<RolloutRow>, StoreError> {
    tx.query("SELECT route, state, at FROM rollouts ORDER BY route", &[], |row| {
        Ok(RolloutRow {
            route: row.next()?,
            state: row.next()?,
            at: row.next()?,
        })
    })
}

/// Adds what happened.
pub fn add_event(tx: &mut Tx<'_>, row: &RolloutEventRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO rollout_events (route, at, action, who, why, share_before, share_after) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        &[
            &row.route,
            &row.at,
            &row.action,
            &row.who,
            &row.why,
            &row.share_before,
            &row.share_after,
        ],
    )?;
    Ok(())
}

/// What happened to a route's rollout, the latest first.
pub fn events(tx: &mut Tx<'_>, route: &str, limit: usize) -> Result<Vec<RolloutEventRow>, StoreError> {
    tx.query(
        "SELECT route, at, action, who, why, share_before, share_after FROM rollout_events WHERE route = ?1 ORDER BY id DESC LIMIT ?2",
        &[&route, &limit],
        |row| {
            Ok(RolloutEventRow {
                route: row.next()?,
                at: row.next()?,
                action: row.next()?,
                who: row.next()?,
                why: row.next()?,
                share_before: row.next()?,
                share_after: row.next()?,
            })
        },
    )
}
