//! Follows turns for callers that wait: which turn takes a message, its text as it comes, and small facts of all turns.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::Serialize;
use steward_domain::clock::{Timestamp, rfc3339};
use steward_domain::id::{InboundId, TurnId};
use steward_domain::journal::{JournalEvent, TurnStatus};
use steward_store::journal::JournalRow;
use steward_store::{inbox, journal, turns};
use tokio::sync::broadcast::error::RecvError;

use crate::access::{Identity, may_see};
use crate::error::ServiceError;
use crate::hub::{LiveEvent, Shown, Watch};
use crate::runtime::Runtime;

/// Facts of the journal after a cursor.
pub struct Facts {
    /// The last place read; `None` when nothing is new.
    pub last_seq: Option<i64>,
    /// Facts with their places.
    pub items: Vec<(i64, Fact)>,
}

/// A small fact of the journal, the same for everyone who may see its turn.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Fact {
    /// `hello`, `turn.state`, `turn.step`, `approval.opened`, `approval.answered` or `message.in`.
    pub r#type: &'static str,
    /// The turn it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// The session it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The question it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<String>,
    /// Where the turn stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TurnStatus>,
    /// The step, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// RFC 3339: when the turn's state changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// In `hello`: where the stream begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<i64>,
}

impl Fact {
    /// The first fact of a stream: where it begins.
    pub fn hello(cursor: i64) -> Self {
        Fact {
            cursor: Some(cursor),
            ..Fact::of("hello")
        }
    }

    fn of(r#type: &'static str) -> Self {
        Fact {
            r#type,
            turn_id: None,
            session: None,
            approval_id: None,
            status: None,
            step: None,
            at: None,
            cursor: None,
        }
    }
}

impl Runtime {
    /// The instant now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The instant a span before now.
    pub fn before_now(&self, span: Duration) -> Timestamp {
        self.clock.now().checked_sub(span).unwrap_or(Timestamp::MIN)
    }

    /// Midnight UTC of today.
    pub fn start_of_today(&self) -> Timestamp {
        let seconds = self.clock.now().as_second();
        Timestamp::from_second(seconds - seconds.rem_euclid(86_400)).unwrap_or(Timestamp::MIN)
    }

    /// The last place of the journal.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn journal_head(&self) -> Result<i64, ServiceError> {
        Ok(self.store.read(journal::highest_seq).await?)
    }

    /// Waits until a turn has taken a message.
    ///
    /// # Errors
    /// When the store cannot be read or Steward stops.
    pub async fn turn_taking(&self, inbound: &InboundId) -> Result<TurnId, ServiceError> {
        let mut commits = self.store.committed();
        loop {
            commits.mark_unchanged();
            let id = inbound.clone();
            if let Some(turn) = self.store.read(move |tx| Ok(inbox::get(tx, &id)?.and_then(|row| row.turn))).await? {
                return Ok(turn);
            }
            tokio::select! {
                changed = commits.changed() => changed.map_err(|_| stopping())?,
                () = self.shutdown.cancelled() => return Err(stopping()),
            }
        }
    }

    /// The text of a turn as it comes, until the turn ends or waits. What was not seen live is given at the end.
    pub fn follow_text(self: &Arc<Self>, turn: TurnId) -> BoxStream<'static, String> {
        let watch = self.hub.watch(&turn);
        let follower = TextFollower {
            runtime: Arc::clone(self),
            turn,
            watch,
            has_shown: false,
            is_over: false,
        };
        stream::unfold(follower, TextFollower::next).boxed()
    }

    /// Small facts after a place in the journal, of turns that the caller may see.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn facts_after(&self, cursor: i64, limit: u32, identity: &Identity) -> Result<Facts, ServiceError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let entries = self.store.read(move |tx| journal::after(tx, cursor, limit)).await?;
        let last_seq = entries.last().map(|row| row.entry.seq);
        let visible = entries.iter().filter(|row| may_see(identity, &row.principal));
        let items = visible.filter_map(|row| fact_of(&row.entry).map(|fact| (row.entry.seq, fact)));
        Ok(Facts {
            last_seq,
            items: items.collect(),
        })
    }
}

fn stopping() -> ServiceError {
    ServiceError::Unavailable("Steward is stopping".into())
}

fn fact_of(entry: &JournalRow) -> Option<Fact> {
    let of_turn = |r#type| Fact {
        turn_id: Some(entry.turn.to_string()),
        ..Fact::of(r#type)
    };
    let state = |status: TurnStatus| Fact {
        session: Some(entry.session.to_string()),
        status: Some(status),
        at: Some(rfc3339(entry.at)),
        ..of_turn("turn.state")
    };
    Some(match &entry.event {
        JournalEvent::TurnStarted { .. } => state(TurnStatus::Running),
        JournalEvent::TurnFinished { end, .. } => state(*end),
        JournalEvent::ApprovalOpened { approval, .. } => Fact {
            approval_id: Some(approval.to_string()),
            ..of_turn("approval.opened")
        },
        JournalEvent::ApprovalAnswered { approval, .. } => Fact {
            approval_id: Some(approval.to_string()),
            ..of_turn("approval.answered")
        },
        JournalEvent::Steered { .. } => Fact {
            session: Some(entry.session.to_string()),
            ..of_turn("message.in")
        },
        JournalEvent::StepFinished { step, .. } => Fact {
            step: Some(*step),
            ..of_turn("turn.step")
        },
        JournalEvent::ContextBuilt { .. }
        | JournalEvent::CallStarted { .. }
        | JournalEvent::CallFinished { .. }
        | JournalEvent::Compacted { .. }
        | JournalEvent::Noted { .. } => return None,
    })
}

struct TextFollower {
    runtime: Arc<Runtime>,
    turn: TurnId,
    watch: Option<Watch>,
    has_shown: bool,
    is_over: bool,
}

impl TextFollower {
    async fn next(mut self) -> Option<(String, Self)> {
        if self.is_over {
            return None;
        }
        if let Some(watch) = &mut self.watch
            && !watch.so_far.text.is_empty()
        {
            let text = std::mem::take(&mut watch.so_far.text);
            self.has_shown = true;
            return Some((text, self));
        }
        while let Some(watch) = &mut self.watch {
            match watch.events.recv().await {
                Ok(Shown::Live(LiveEvent::Text(text))) => {
                    self.has_shown = true;
                    return Some((text, self));
                }
                Ok(Shown::Live(LiveEvent::StepStarted { .. })) if self.has_shown => {
                    return Some(("\n\n".into(), self));
                }
                Ok(Shown::Live(_) | Shown::ApprovalOpened(_)) => {}
                Ok(Shown::Ended { status, text }) => {
                    self.is_over = true;
                    // The end has words of its own when it is no plain answer.
                    let is_plain = status == TurnStatus::Done && self.has_shown;
                    return (!is_plain && !text.is_empty()).then_some((text, self));
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            }
        }
        self.is_over = true;
        let turn = self.turn.clone();
        let row = self.runtime.store.read(move |tx| turns::get(tx, &turn)).await.ok().flatten()?;
        let is_news = !self.has_shown && !row.text.is_empty();
        is_news.then_some((row.text, self))
    }
}
