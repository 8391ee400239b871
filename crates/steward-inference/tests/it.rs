//! The router against scripted providers on loopback: what a caller sees, what providers are sent, what is booked.

#![allow(clippy::unwrap_used)]

#[path = "it/balance.rs"]
mod balance;
#[path = "it/bench.rs"]
mod bench;
#[path = "it/cache.rs"]
mod cache;
#[path = "it/chaos.rs"]
mod chaos;
#[path = "it/coalesce.rs"]
mod coalesce;
#[path = "it/continuation.rs"]
mod continuation;
#[path = "it/dialects.rs"]
mod dialects;
#[path = "it/fallback.rs"]
mod fallback;
#[path = "it/keys.rs"]
mod keys;
#[path = "it/local.rs"]
mod local;
#[path = "it/loopback.rs"]
mod loopback;
#[path = "it/measures.rs"]
mod measures;
#[path = "it/money.rs"]
mod money;
#[path = "it/probes.rs"]
mod probes;
#[path = "it/providers.rs"]
mod providers;
#[path = "it/rollouts.rs"]
mod rollouts;
#[path = "it/sim.rs"]
mod sim;
