//! Reads which guard the crash tests want taken out. Not in any build for people.
//!
//! Only compiled with the feature `sabotage`; without `STEWARD_SABOTAGE` such a build behaves like any other.

use steward_agent::sabotage::{Guard, take_out};

/// Takes out the guard that `STEWARD_SABOTAGE` names. An unknown name stops the process, so that no control passes by mistake.
pub(crate) fn take_out_named_guard() {
    match std::env::var("STEWARD_SABOTAGE").as_deref() {
        Err(_) => {}
        Ok("intent") => take_out(Guard::Intent),
        Ok("results") => take_out(Guard::Results),
        Ok("repeats") => take_out(Guard::Repeats),
        Ok("sync") => steward_store::sabotage::never_sync(),
        Ok(other) => panic!("STEWARD_SABOTAGE={other} names no guard: intent, results, repeats or sync"),
    }
}
