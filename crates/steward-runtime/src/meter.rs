//! The meter over the ledger: a row before the call leaves, the exact cost after it.
//!
//! One row an upstream request. Budgets above a caller join here with the money issue; this part keeps the ledger whole.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use steward_budget::price::Price;
use steward_domain::clock::Clock;
use steward_domain::id::RequestId;
use steward_domain::meter::{Meter, Refusal, SettledCall};
use steward_domain::model::{Caller, ModelRequest};
use steward_domain::money::Usd;
use steward_domain::principal::Principal;
use steward_domain::usage::{Usage, UsageSource};
use steward_store::ledger::{LedgerState, Reservation, Settlement};
use steward_store::{Store, StoreError, Tx, ledger};
use tracing::warn;

use crate::config::ModelFacts;
use crate::error::ServiceError;
use crate::runtime::Runtime;

/// Output tokens reserved for a call that states no limit.
const DEFAULT_OUTPUT_TOKENS: u64 = 4_096;
/// Bytes a token has at least, for the worst case of an input.
const BYTES_A_TOKEN: usize = 3;
/// Upstream requests of one call that have rows of their own.
const ROWS_A_CALL: usize = 64;

/// Books every call in the ledger.
pub struct LedgerMeter {
    store: Store,
    clock: Arc<dyn Clock>,
    models: Arc<dyn ModelFacts>,
}

impl LedgerMeter {
    /// A meter over a store.
    pub fn new(store: Store, clock: Arc<dyn Clock>, models: Arc<dyn ModelFacts>) -> Self {
        LedgerMeter { store, clock, models }
    }

    /// A model without a known price is booked at zero and its row says `unpriced`, so that a report can tell.
    fn price(&self, target: &str) -> Price {
        self.models.price(target).unwrap_or_else(|| Price::free("unpriced"))
    }

    fn reservation(&self, request: &ModelRequest, caller: &Caller, target: &str, (reserved, price_version): (Usd, String)) -> Reservation {
        Reservation {
            request: caller.request.clone(),
            at: self.clock.now(),
            principal: caller.principal.clone(),
            user: user_of(&caller.principal),
            team: caller.team.clone(),
            agent: caller.agent.clone(),
            session: caller.session.clone(),
            turn: caller.turn.as_ref().map(|(turn, _)| turn.clone()),
            step: caller.turn.as_ref().map(|(_, step)| *step),
            key: caller.key.clone(),
            route: request.model.clone(),
            target: target.to_owned(),
            price_version,
            reserved,
        }
    }
}

impl Meter for LedgerMeter {
    fn reserve<'a>(&'a self, request: &'a ModelRequest, caller: &'a Caller, target: &'a str) -> BoxFuture<'a, Result<Usd, Refusal>> {
        let price = self.price(target);
        let output = request.max_output_tokens.unwrap_or(DEFAULT_OUTPUT_TOKENS);
        let worst = price.worst_case(input_tokens_at_most(request), output);
        let row = self.reservation(request, caller, target, (worst, price.version));
        // In order before the settlement; a crash in between leaves a row that the next start settles and flags.
        self.store.write_later(move |tx| reserve(tx, row));
        async move { Ok(worst) }.boxed()
    }

    fn settle<'a>(&'a self, call: SettledCall<'a>) -> BoxFuture<'a, Usd> {
        let price = self.price(call.target);
        let cost = price.cost(&call.usage);
        let settlement = Settlement {
            target: call.target.to_owned(),
            usage: call.usage,
            cost,
            price_version: price.version,
            source: call.source,
            status: call.status.to_owned(),
            first_token_ms: call.first_token_ms,
            total_ms: call.total_ms,
        };
        let request = call.caller.request.clone();
        self.store.write_later(move |tx| settle(tx, &request, &settlement));
        async move { cost }.boxed()
    }

    fn book_free<'a>(&'a self, request: &'a ModelRequest, call: SettledCall<'a>) -> BoxFuture<'a, ()> {
        let price_version = self.price(call.target).version;
        let row = self.reservation(request, call.caller, call.target, (Usd::ZERO, price_version.clone()));
        let settlement = Settlement {
            target: call.target.to_owned(),
            usage: call.usage,
            cost: Usd::ZERO,
            price_version,
            source: call.source,
            status: call.status.to_owned(),
            first_token_ms: call.first_token_ms,
            total_ms: call.total_ms,
        };
        let request = call.caller.request.clone();
        self.store.write_later(move |tx| {
            reserve(tx, row)?;
            settle(tx, &request, &settlement)
        });
        async {}.boxed()
    }

    fn release<'a>(&'a self, caller: &'a Caller, _target: &'a str) -> BoxFuture<'a, ()> {
        let request = caller.request.clone();
        self.store.write_later(move |tx| match open_row(tx, &request)? {
            Some(row) => ledger::release(tx, &row).map(drop),
            None => Ok(()),
        });
        async {}.boxed()
    }
}

impl Runtime {
    /// Settles what a crash left reserved at its estimate and flags it: the provider may have been asked.
    pub(crate) async fn settle_orphans(&self) -> Result<(), ServiceError> {
        let settled = self.store.write(settle_orphans).await?;
        if settled > 0 {
            warn!(
                calls = settled,
                "{settled} model calls were cut off by a crash; they are booked at their estimate and flagged"
            );
        }
        Ok(())
    }
}

fn settle_orphans(tx: &mut Tx<'_>) -> Result<usize, StoreError> {
    let orphans = ledger::orphans(tx)?;
    for row in &orphans {
        let settlement = Settlement {
            target: row.reservation.target.clone(),
            usage: Usage::default(),
            cost: row.reservation.reserved,
            price_version: row.reservation.price_version.clone(),
            source: UsageSource::Estimated,
            status: "orphaned".into(),
            first_token_ms: None,
            total_ms: 0,
        };
        ledger::settle(tx, &row.reservation.request, &settlement)?;
    }
    Ok(orphans.len())
}

/// The id of the n-th upstream request of a call: the call's own for the first, then with a number.
fn row_id(call: &RequestId, number: usize) -> RequestId {
    if number == 0 {
        call.clone()
    } else {
        RequestId::from_text(format!("{call}.{number}"))
    }
}

/// Opens a row under the first number that is free.
fn reserve(tx: &mut Tx<'_>, mut row: Reservation) -> Result<(), StoreError> {
    let call = row.request.clone();
    for number in 0..ROWS_A_CALL {
        row.request = row_id(&call, number);
        if ledger::get(tx, &row.request)?.is_none() {
            return ledger::reserve(tx, &row);
        }
    }
    Err(StoreError::conflict(format!(
        "call {call} has more than {ROWS_A_CALL} upstream requests"
    )))
}

fn settle(tx: &mut Tx<'_>, call: &RequestId, settlement: &Settlement) -> Result<(), StoreError> {
    match open_row(tx, call)? {
        Some(row) => ledger::settle(tx, &row, settlement).map(drop),
        None => {
            warn!(request.id = %call, "call {call} was settled without a reservation");
            Ok(())
        }
    }
}

/// The row of a call that is reserved and not settled.
fn open_row(tx: &mut Tx<'_>, call: &RequestId) -> Result<Option<RequestId>, StoreError> {
    for number in 0..ROWS_A_CALL {
        let id = row_id(call, number);
        match ledger::get(tx, &id)? {
            Some(row) if row.state == LedgerState::Reserved => return Ok(Some(id)),
            Some(_) => {}
            None => return Ok(None),
        }
    }
    Ok(None)
}

fn user_of(principal: &Principal) -> Option<String> {
    match principal {
        Principal::User(name) => Some(name.clone()),
        Principal::Key(_) | Principal::Agent(_) | Principal::System => None,
    }
}

fn input_tokens_at_most(request: &ModelRequest) -> u64 {
    let messages = serde_json::to_string(&request.messages).map_or(0, |json| json.len());
    let tools: usize = request
        .tools
        .iter()
        .map(|tool| tool.description.len() + tool.input_schema.to_string().len())
        .sum();
    u64::try_from((messages + tools) / BYTES_A_TOKEN + 1).unwrap_or(u64::MAX)
}
