//! The seam to money: reserve before a call, settle after it.

use futures_util::future::BoxFuture;

use crate::model::{Caller, ModelRequest};
use crate::money::Usd;
use crate::usage::{Usage, UsageSource};

/// Counts what model calls cost and refuses what is over a limit.
pub trait Meter: Send + Sync {
    /// Sets the worst case aside before a call leaves, or refuses with a sentence that names the limit.
    fn reserve<'a>(&'a self, request: &'a ModelRequest, caller: &'a Caller, target: &'a str) -> BoxFuture<'a, Result<Usd, Refusal>>;
    /// Books what the call used and gives its exact cost. Also called for failed calls that used something.
    fn settle<'a>(&'a self, call: SettledCall<'a>) -> BoxFuture<'a, Usd>;
    /// Gives back what was set aside for a call to `target` that used nothing: it failed before it cost anything.
    fn release<'a>(&'a self, caller: &'a Caller, target: &'a str) -> BoxFuture<'a, ()> {
        let _ = (caller, target);
        Box::pin(std::future::ready(()))
    }
    /// Books an answer that was given again and cost nothing, so that the ledger has every answer. Nothing was reserved for it.
    fn book_free<'a>(&'a self, request: &'a ModelRequest, call: SettledCall<'a>) -> BoxFuture<'a, ()> {
        let _ = (request, call);
        Box::pin(std::future::ready(()))
    }
}

/// A finished call, for the ledger.
#[derive(Clone, Debug)]
pub struct SettledCall<'a> {
    /// On whose behalf.
    pub caller: &'a Caller,
    /// The route asked for.
    pub route: &'a str,
    /// `provider/model` that answered.
    pub target: &'a str,
    /// What it used.
    pub usage: Usage,
    /// Whether the provider said so.
    pub source: UsageSource,
    /// `ok`, or the error's kind.
    pub status: &'a str,
    /// From request to first content, in milliseconds.
    pub first_token_ms: Option<u64>,
    /// From request to end, in milliseconds.
    pub total_ms: u64,
}

/// A budget's no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// Which limit, and when it heals.
    pub reason: String,
}
