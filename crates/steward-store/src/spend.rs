//! Figures over the ledger: what was spent, by whom, since when. Reads only.
//!
//! Sums are kept in two halves, whole micro-dollars and the rest, so that they are exact far past what one column holds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use steward_domain::clock::Timestamp;
use steward_domain::id::{AgentName, KeyId, SessionId, TurnId};
use steward_domain::money::Usd;

use crate::error::StoreError;
use crate::tx::{Columns, Tx};
use crate::value::ToCell;

const PICO_PER_MICRO: i128 = 1_000_000;

/// What a report has one row for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpendBy {
    /// A team.
    Team,
    /// A user.
    User,
    /// An agent.
    Agent,
    /// A key; rows carry its id too.
    Key,
    /// `provider/model` that answered.
    Model,
    /// A route.
    Route,
    /// A session.
    Session,
    /// A day, UTC, as `2026-01-31`.
    Day,
}

/// Whose spending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpendScope {
    /// All.
    Global,
    /// A team's.
    Team(String),
    /// A user's.
    User(String),
    /// An agent's.
    Agent(AgentName),
    /// A key's.
    Key(KeyId),
    /// A route's.
    Route(String),
    /// A session's.
    Session(SessionId),
    /// A turn's.
    Turn(TurnId),
}

/// Settled and set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Final cost of settled calls.
    pub settled: Usd,
    /// Worst case of calls that go on.
    pub reserved: Usd,
}

/// Totals over settled calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpendTotals {
    /// What they cost.
    pub cost: Usd,
    /// How many.
    pub calls: u64,
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// Calls whose usage Steward counted because the provider did not.
    pub estimated_calls: u64,
}

/// One line of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendRow {
    /// Of whom; empty for calls that have no such owner.
    pub name: String,
    /// The key's id, in a report by key.
    pub id: Option<KeyId>,
    /// Its figures.
    pub totals: SpendTotals,
}

/// A report: totals and rows, the dearest first, days in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendReport {
    /// Over all rows.
    pub totals: SpendTotals,
    /// One for each owner.
    pub rows: Vec<SpendRow>,
}

macro_rules! by {
    ($name:literal) => {
        concat!(
            "SELECT COALESCE(",
            $name,
            ", '') AS name, NULL AS id, CAST(SUM(l.cost_pico / 1000000) AS BIGINT), CAST(SUM(l.cost_pico % 1000000) AS BIGINT),
             COUNT(*), CAST(SUM(l.input_tokens) AS BIGINT), CAST(SUM(l.output_tokens) AS BIGINT),
             CAST(SUM(CASE WHEN l.source = 'estimated' THEN 1 ELSE 0 END) AS BIGINT)
             FROM ledger l WHERE l.state = 'settled' AND l.at >= ?1 GROUP BY 1"
        )
    };
}

const BY_KEY: &str = "SELECT COALESCE(k.name, ''), l.key_id, CAST(SUM(l.cost_pico / 1000000) AS BIGINT),
     CAST(SUM(l.cost_pico % 1000000) AS BIGINT), COUNT(*), CAST(SUM(l.input_tokens) AS BIGINT), CAST(SUM(l.output_tokens) AS BIGINT),
     CAST(SUM(CASE WHEN l.source = 'estimated' THEN 1 ELSE 0 END) AS BIGINT)
     FROM ledger l LEFT JOIN keys k ON k.id = l.key_id WHERE l.state = 'settled' AND l.at >= ?1 GROUP BY 1, 2";

/// What settled calls since `since` cost, one row for each owner.
pub fn report(tx: &mut Tx<'_>, by: SpendBy, since: Timestamp) -> Result<SpendReport, StoreError> {
    let sql = match by {
        SpendBy::Team => by!("l.team"),
        SpendBy::User => by!("l.user_name"),
        SpendBy::Agent => by!("l.agent"),
        SpendBy::Key => BY_KEY,
        SpendBy::Model => by!("l.target"),
        SpendBy::Route => by!("l.route"),
        SpendBy::Session => by!("l.session_id"),
        SpendBy::Day => by!("CAST(l.at / 86400000 AS TEXT)"),
    };
    let mut rows = tx.query(sql, &[&since], |row| {
        Ok(SpendRow {
            name: row.next()?,
            id: row.next()?,
            totals: SpendTotals {
                cost: sum(row)?,
                calls: row.next()?,
                input_tokens: row.next()?,
                output_tokens: row.next()?,
                estimated_calls: row.next()?,
            },
        })
    })?;
    match by {
        SpendBy::Day => {
            for row in &mut rows {
                row.name = day_name(&row.name)?;
            }
            rows.sort_by(|left, right| left.name.cmp(&right.name));
        }
        SpendBy::Team | SpendBy::User | SpendBy::Agent | SpendBy::Key | SpendBy::Model | SpendBy::Route | SpendBy::Session => {
            rows.sort_by(|left, right| right.totals.cost.cmp(&left.totals.cost).then_with(|| left.name.cmp(&right.name)));
        }
    }
    let mut totals = SpendTotals::default();
    for row in &rows {
        totals.cost += row.totals.cost;
        totals.calls += row.totals.calls;
        totals.input_tokens += row.totals.input_tokens;
        totals.output_tokens += row.totals.output_tokens;
        totals.estimated_calls += row.totals.estimated_calls;
    }
    Ok(SpendReport { totals, rows })
}

macro_rules! spent {
    ($condition:literal) => {
        concat!(
            "SELECT COALESCE(CAST(SUM(CASE WHEN state = 'settled' THEN cost_pico / 1000000 ELSE 0 END) AS BIGINT), 0),
             COALESCE(CAST(SUM(CASE WHEN state = 'settled' THEN cost_pico % 1000000 ELSE 0 END) AS BIGINT), 0),
             COALESCE(CAST(SUM(CASE WHEN state = 'reserved' THEN reserved_pico / 1000000 ELSE 0 END) AS BIGINT), 0),
             COALESCE(CAST(SUM(CASE WHEN state = 'reserved' THEN reserved_pico % 1000000 ELSE 0 END) AS BIGINT), 0)
             FROM ledger WHERE at >= ?1",
            $condition
        )
    };
}

/// What calls that began at `since` or later have spent and set aside.
pub fn spent_since(tx: &mut Tx<'_>, scope: &SpendScope, since: Timestamp) -> Result<Spent, StoreError> {
    let (sql, owner): (&'static str, Option<&dyn ToCell>) = match scope {
        SpendScope::Global => (spent!(""), None),
        SpendScope::Team(name) => (spent!(" AND team = ?2"), Some(name)),
        SpendScope::User(name) => (spent!(" AND user_name = ?2"), Some(name)),
        SpendScope::Agent(name) => (spent!(" AND agent = ?2"), Some(name)),
        SpendScope::Key(id) => (spent!(" AND key_id = ?2"), Some(id)),
        SpendScope::Route(name) => (spent!(" AND route = ?2"), Some(name)),
        SpendScope::Session(id) => (spent!(" AND session_id = ?2"), Some(id)),
        SpendScope::Turn(id) => (spent!(" AND turn_id = ?2"), Some(id)),
    };
    let mut params: Vec<&dyn ToCell> = vec![&since];
    params.extend(owner);
    tx.query_one(sql, &params, |row| {
        Ok(Spent {
            settled: sum(row)?,
            reserved: sum(row)?,
        })
    })
}

fn sum(row: &mut Columns<'_>) -> Result<Usd, StoreError> {
    let micro: i64 = row.next()?;
    let rest: i64 = row.next()?;
    Ok(Usd::from_pico(i128::from(micro) * PICO_PER_MICRO + i128::from(rest)))
}

/// `20484`, days since 1970, as `2026-01-31`.
fn day_name(days: &str) -> Result<String, StoreError> {
    let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| StoreError::unreadable(format!("{days:?} is no day"), error);
    let days: i64 = days.parse().map_err(|error: std::num::ParseIntError| unreadable(error.into()))?;
    let instant = Timestamp::from_second(days * 86_400).map_err(|error| unreadable(error.into()))?;
    Ok(instant.to_string().chars().take(10).collect())
}
