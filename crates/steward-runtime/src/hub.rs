//! Shows running turns to watchers: each gets what was shown of the current step, then everything after it.
//!
//! Nothing here is durable; a watcher that falls behind reads the journal.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

// Surfaces see live events through the hub; they do not know the agent crate.
pub use steward_agent::live::LiveEvent;
use steward_domain::id::TurnId;
use steward_domain::journal::TurnStatus;
use tokio::sync::broadcast;

/// Events kept for a slow watcher before it is told that it missed some.
const BACKLOG: usize = 1_024;

/// What a watcher sees.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// Something happened in the turn.
    Live(LiveEvent),
    /// A question was put to a person.
    ApprovalOpened(String),
    /// The turn ended or waits for a person.
    Ended {
        /// How.
        status: TurnStatus,
        /// The reply or the reason.
        text: String,
    },
}

/// A watcher's view of a turn.
pub struct Watch {
    /// Step and text shown so far of the step that runs.
    pub so_far: Partial,
    /// What comes.
    pub events: broadcast::Receiver<Shown>,
}

/// What was shown of the current step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    /// The step, 0 before the first.
    pub step: u32,
    /// Its thinking so far.
    pub thinking: String,
    /// Its text so far.
    pub text: String,
}

/// All running turns.
#[derive(Default)]
pub struct Hub {
    turns: Mutex<HashMap<TurnId, Running>>,
}

struct Running {
    sender: broadcast::Sender<Shown>,
    partial: Partial,
}

impl Hub {
    /// Opens a turn for watchers; without effect if it is open.
    pub fn open(&self, turn: &TurnId) {
        self.lock().entry(turn.clone()).or_insert_with(|| Running {
            sender: broadcast::channel(BACKLOG).0,
            partial: Partial::default(),
        });
    }

    /// Shows something. Costs next to nothing without watchers.
    pub fn show(&self, turn: &TurnId, event: Shown) {
        let mut turns = self.lock();
        let Some(running) = turns.get_mut(turn) else { return };
        running.partial.take(&event);
        // An error only says that nobody watches.
        let _ = running.sender.send(event);
    }

    /// Shows the end and closes the turn.
    pub fn close(&self, turn: &TurnId, status: TurnStatus, text: String) {
        if let Some(running) = self.lock().remove(turn) {
            let _ = running.sender.send(Shown::Ended { status, text });
        }
    }

    /// Watches a turn; `None` when it does not run.
    pub fn watch(&self, turn: &TurnId) -> Option<Watch> {
        let turns = self.lock();
        let running = turns.get(turn)?;
        Some(Watch {
            so_far: running.partial.clone(),
            events: running.sender.subscribe(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TurnId, Running>> {
        // The map is whole after each statement, so a panic elsewhere does not spoil it.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Partial {
    fn take(&mut self, event: &Shown) {
        let Shown::Live(event) = event else { return };
        match event {
            LiveEvent::StepStarted { step } => {
                *self = Partial {
                    step: *step,
                    ..Partial::default()
                }
            }
            LiveEvent::StepRestarted { .. } => {
                *self = Partial {
                    step: self.step,
                    ..Partial::default()
                }
            }
            LiveEvent::Thinking(text) => self.thinking.push_str(text),
            LiveEvent::Text(text) => self.text.push_str(text),
            LiveEvent::CallDecided(_) | LiveEvent::CallFinished { .. } | LiveEvent::Note(_) => {}
        }
    }
}
