//! What watchers of a running turn are shown at once, before and beside the journal.

use steward_domain::id::CallId;
use steward_domain::journal::CallIntent;

/// One thing to show. Nothing here is kept: the journal has all that matters.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveEvent {
    /// A model call begins.
    StepStarted {
        /// Which, from 1.
        step: u32,
    },
    /// More thinking.
    Thinking(String),
    /// More text.
    Text(String),
    /// The text shown since the step began is void: the call is made again.
    StepRestarted {
        /// Why, in words.
        reason: String,
    },
    /// A call was decided and, if allowed, begins.
    CallDecided(CallIntent),
    /// A call has its outcome.
    CallFinished {
        /// Which.
        call: CallId,
        /// `done`, `failed`, `refused`, `uncertain`.
        outcome: &'static str,
        /// What the model reads.
        output: String,
    },
    /// A word from Steward.
    Note(String),
}
