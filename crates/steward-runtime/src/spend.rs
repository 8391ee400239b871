//! Reports over the ledger. Every figure shown anywhere comes from its rows.

use schemars::JsonSchema;
use serde::Serialize;
use steward_domain::clock::{Timestamp, rfc3339};
use steward_domain::id::RequestId;
use steward_domain::money::Usd;
use steward_domain::usage::{Usage, UsageSource};
use steward_store::ledger::LedgerRow;
pub use steward_store::spend::SpendBy as ReportBy;
use steward_store::{ledger, spend};

use crate::error::ServiceError;
use crate::runtime::Runtime;

/// A report in the contract's shape.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SpendReport {
    /// The sum.
    pub total_usd: Usd,
    /// Calls.
    pub calls: u64,
    /// Tokens in, cached ones included.
    pub input_tokens: u64,
    /// Tokens out, reasoning included.
    pub output_tokens: u64,
    /// Calls whose usage the provider did not report.
    pub estimated_calls: u64,
    /// By the asked dimension.
    pub rows: Vec<SpendRow>,
}

/// One line of a report.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SpendRow {
    /// The team, user, agent … or day.
    pub name: String,
    /// The key's id, in a report by key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The sum.
    pub usd: Usd,
    /// Calls.
    pub calls: u64,
    /// Tokens in.
    pub input_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
}

impl Runtime {
    /// What was spent since an instant, by a dimension.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn spend_report(&self, by: ReportBy, since: Option<Timestamp>) -> Result<SpendReport, ServiceError> {
        let report = self
            .store
            .read(move |tx| spend::report(tx, by, since.unwrap_or(Timestamp::UNIX_EPOCH)))
            .await?;
        let rows = report.rows.into_iter().map(|row| SpendRow {
            name: row.name,
            id: row.id.map(|id| id.to_string()),
            usd: row.totals.cost,
            calls: row.totals.calls,
            input_tokens: row.totals.input_tokens,
            output_tokens: row.totals.output_tokens,
        });
        Ok(SpendReport {
            total_usd: report.totals.cost,
            calls: report.totals.calls,
            input_tokens: report.totals.input_tokens,
            output_tokens: report.totals.output_tokens,
            estimated_calls: report.totals.estimated_calls,
            rows: rows.collect(),
        })
    }

    /// Everything the ledger has about one call.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn call(&self, request: &RequestId) -> Result<CallRecord, ServiceError> {
        let id = request.clone();
        let found = self.store.read(move |tx| ledger::get(tx, &id)).await?;
        found.map(record).ok_or_else(|| ServiceError::not_found("call", request))
    }
}

/// One model call as the ledger has it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CallRecord {
    /// Its id.
    pub request_id: String,
    /// RFC 3339: when it was reserved.
    pub at: String,
    /// On whose behalf.
    pub principal: String,
    /// The agent, in a turn.
    pub agent: Option<String>,
    /// The turn and step, in a turn.
    pub turn_id: Option<String>,
    /// The step, from 1.
    pub step: Option<u32>,
    /// The route or model asked for.
    pub route: String,
    /// `provider/model` that answered.
    pub target: String,
    /// What it used.
    pub usage: Usage,
    /// Reported or estimated.
    pub source: UsageSource,
    /// US dollars, set aside before it left.
    pub reserved_usd: Usd,
    /// US dollars, exact.
    pub cost_usd: Usd,
    /// The price list it was priced with.
    pub price_version: String,
    /// `ok`, or the kind of error; empty while it runs.
    pub status: String,
    /// Milliseconds to the first content.
    pub first_token_ms: Option<u64>,
    /// Milliseconds in all.
    pub total_ms: u64,
}

fn record(row: LedgerRow) -> CallRecord {
    let (asked, end) = (row.reservation, row.settlement);
    CallRecord {
        request_id: asked.request.to_string(),
        at: rfc3339(asked.at),
        principal: asked.principal.to_string(),
        agent: asked.agent.map(|agent| agent.to_string()),
        turn_id: asked.turn.map(|turn| turn.to_string()),
        step: asked.step,
        route: asked.route,
        target: end.target,
        usage: end.usage,
        source: end.source,
        reserved_usd: asked.reserved,
        cost_usd: end.cost,
        price_version: end.price_version,
        status: end.status,
        first_token_ms: end.first_token_ms,
        total_ms: end.total_ms,
    }
}
