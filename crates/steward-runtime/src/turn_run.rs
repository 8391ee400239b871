//! Runs the turns of one session: takes what waits, runs the loop, keeps the end and the reply in one commit.

use std::sync::Arc;
use std::time::Duration;

use steward_agent::context::Background;
use steward_agent::sink::SinkError;
use steward_agent::state::{self, TurnState};
use steward_agent::toolset::ToolSet;
use steward_agent::turn::{self, Turn, TurnEnd};
use steward_domain::approval::ApprovalState;
use steward_domain::id::{OutboxId, SessionId, TurnId};
use steward_domain::journal::{JournalEvent, TurnStatus};
use steward_domain::principal::Surface;
use steward_domain::tool::{Evidence, LeftBy};
use steward_store::sessions::SessionRow;
use steward_store::turns::TurnRow;
use steward_store::{StoreError, Tx, approvals, journal, outbox, sessions, turns};
use tracing::{error, info, warn};

use crate::approvals::SessionGate;
use crate::config::Agent;
use crate::error::ServiceError;
use crate::inbox;
use crate::journal::TurnSink;
use crate::runtime::Runtime;
use crate::turn_queue::{RunningTurn, Wake};
use crate::workspace_files;

/// How long the session waits before it tries again when the store cannot be written; twice as long each time, up to the longest.
const STORE_RETRY: Duration = Duration::from_secs(2);
const STORE_RETRY_LONGEST: Duration = Duration::from_secs(60);
/// How long a turn waits for more messages of a platform before it begins.
const DEBOUNCE: Duration = Duration::from_millis(500);
/// Events of a session read back as history.
const HISTORY_EVENTS: usize = 4_000;

/// Why the loop was left.
enum Left {
    Ended(TurnEnd),
    Stopped(&'static str),
    Shutdown,
}

impl Runtime {
    /// Says that a session has work, and starts its task if nobody owns it.
    pub(crate) fn wake(self: &Arc<Self>, session: &SessionId) {
        if self.shutdown.is_cancelled() || self.queues.wake(session) == Wake::Noted {
            return;
        }
        let runtime = Arc::clone(self);
        let session = session.clone();
        self.tasks.spawn(async move { runtime.serve_session(&session).await });
    }

    /// Takes up every turn that a crash or a stop of the process left open.
    pub(crate) async fn resume_all(self: &Arc<Self>) -> Result<(), ServiceError> {
        let (open, waiting) = self
            .store
            .read(|tx| Ok((turns::unfinished(tx)?, steward_store::inbox::sessions_with_waiting(tx)?)))
            .await?;
        for turn in &open {
            if turn.status == TurnStatus::Running {
                self.hub.open(&turn.id);
                self.wake(&turn.session);
            }
        }
        for session in waiting {
            self.wake(&session);
        }
        if !open.is_empty() {
            info!(turns = open.len(), "took up open turns");
        }
        Ok(())
    }

    async fn serve_session(self: &Arc<Self>, session: &SessionId) {
        let mut wait = STORE_RETRY;
        loop {
            let outcome = self.serve_once(session).await;
            match outcome {
                Ok(true) => wait = STORE_RETRY,
                Ok(false) => {
                    if self.queues.try_release(session) {
                        return;
                    }
                }
                Err(cause) => {
                    error!(session.id = %session, error = %cause, "session {session} cannot go on, trying again");
                    tokio::select! {
                        () = self.clock.sleep(wait) => {}
                        () = self.shutdown.cancelled() => {}
                    }
                    wait = (wait * 2).min(STORE_RETRY_LONGEST);
                }
            }
            if self.shutdown.is_cancelled() {
                return;
            }
        }
    }

    /// One turn, if there is one to run. False when the session has nothing to do.
    async fn serve_once(self: &Arc<Self>, session: &SessionId) -> Result<bool, ServiceError> {
        let id = session.clone();
        let (row, open) = self
            .store
            .read(move |tx| Ok((sessions::get(tx, &id)?, turns::open_of_session(tx, &id)?)))
            .await?;
        let Some(row) = row else { return Ok(false) };
        match open {
            Some(turn) if turn.status == TurnStatus::Running => {
                self.run_turn(&row, turn).await?;
                Ok(true)
            }
            // Only an answer or new words wake a waiting turn, and both set it running first.
            Some(_) => Ok(false),
            None => inbox::begin_turn(self, &row).await,
        }
    }

    async fn run_turn(self: &Arc<Self>, session: &SessionRow, row: TurnRow) -> Result<(), ServiceError> {
        let _running = RunningTurn {
            queues: Arc::clone(&self.queues),
            session: session.id.clone(),
        };
        let stop = self.queues.begin(&session.id, &row.id);
        self.hub.open(&row.id);
        let agent = match self.agent(&row.agent) {
            Ok(agent) => agent,
            Err(missing) => {
                return self
                    .finish(
                        session,
                        &row,
                        end_failed(format!("{missing}; add it to steward.toml or use another agent")),
                    )
                    .await;
            }
        };
        let sink = TurnSink {
            runtime: Arc::clone(self),
            agent: agent.clone(),
            turn: row.id.clone(),
            session: session.id.clone(),
        };
        let (events, is_recovery) = self.events_of(session, &row).await?;
        if TurnState::replay(&events).end.is_some() {
            return Ok(());
        }
        let turn = match self.build_turn(session, &row, &agent).await? {
            Ok(turn) => turn,
            Err(reason) => return self.finish(session, &row, end_failed(reason)).await,
        };
        let left = tokio::select! {
            end = turn::run(&turn, &events, is_recovery, &sink) => Left::Ended(end.map_err(store_error)?),
            () = stop.cancelled() => Left::Stopped("stopped by a person"),
            () = self.clock.sleep(agent.limits.turn_time) => Left::Stopped("ran out of its time"),
            () = self.shutdown.cancelled() => Left::Shutdown,
        };
        match left {
            Left::Ended(end) => self.finish(session, &row, end).await,
            Left::Stopped(reason) => self.finish_cut(session, &row, (reason, &turn.tools)).await,
            Left::Shutdown => Ok(()),
        }
    }

    /// The turn's events so far; a fresh turn takes what waits in the inbox first.
    async fn events_of(self: &Arc<Self>, session: &SessionRow, row: &TurnRow) -> Result<(Vec<JournalEvent>, bool), ServiceError> {
        let id = row.id.clone();
        let events = self.store.read(move |tx| journal::of_turn(tx, &id)).await?;
        if !events.is_empty() {
            // An answer that cannot be kept is paid for in vain, so a store that cannot write is found out before the model is asked.
            let (touched, now) = (session.id.clone(), self.clock.now());
            self.store.write(move |tx| sessions::touch(tx, &touched, now)).await?;
            let is_recovery = !self.take_settled(&row.id);
            return Ok((events.into_iter().map(|entry| entry.event).collect(), is_recovery));
        }
        if row.surface == Surface::Channel {
            // On platforms people write one thought in several messages.
            self.clock.sleep(DEBOUNCE).await;
        }
        let started = inbox::take_for_new(self, &row.id, session).await?;
        Ok((vec![started], false))
    }

    async fn build_turn(
        self: &Arc<Self>,
        session: &SessionRow,
        row: &TurnRow,
        agent: &Agent,
    ) -> Result<Result<Turn, String>, ServiceError> {
        let tools = match self.toolset(agent) {
            Ok(tools) => tools,
            Err(reason) => return Ok(Err(reason)),
        };
        let settings = self.settings();
        let model_name = session.model.clone().unwrap_or_else(|| agent.route.clone());
        let gate = SessionGate::load(self, settings.policy.clone(), agent, &session.id).await?;
        let workspace = agent.workspace.clone();
        let files = tokio::task::spawn_blocking(move || workspace_files::read(&workspace))
            .await
            .unwrap_or_default();
        let (checkpoint, history) = self.history(session, row).await?;
        Ok(Ok(Turn {
            id: row.id.clone(),
            session: session.id.clone(),
            agent: agent.name.clone(),
            principal: row.principal.clone(),
            context_tokens: settings.models.context_tokens(&model_name),
            model_name,
            model: Arc::clone(&self.model),
            tools,
            gate: Arc::new(gate),
            limits: agent.limits.clone(),
            background: Background {
                files,
                checkpoint,
                history,
            },
        }))
    }

    async fn history(
        &self,
        session: &SessionRow,
        row: &TurnRow,
    ) -> Result<(Option<String>, Vec<steward_domain::message::Message>), ServiceError> {
        let (id, current) = (session.id.clone(), row.id.clone());
        let mut entries = self
            .store
            .read(move |tx| journal::of_session(tx, &id, None, HISTORY_EVENTS))
            .await?;
        entries.reverse();
        let earlier = entries
            .iter()
            .filter(|entry| entry.turn != current)
            .map(|entry| (entry.turn.as_str(), &entry.event));
        Ok(state::history(earlier))
    }

    /// Sums up a session that runs no turn. Gives the estimated tokens before and after.
    pub(crate) async fn compact_session(self: &Arc<Self>, session: &SessionRow) -> Result<(u64, u64), ServiceError> {
        let agent = self.agent(&session.agent)?;
        let (id, now) = (TurnId::generate(), self.clock.now());
        let new = inbox::turn_row(id, session, &session.principal, Surface::System, now);
        let row = self
            .store
            .write(move |tx| {
                turns::insert(tx, &new)?;
                let began = JournalEvent::TurnStarted {
                    inbound: Vec::new(),
                    messages: Vec::new(),
                };
                journal::append(tx, &new.id, &new.session, now, &began)?;
                turns::get(tx, &new.id)
            })
            .await?;
        let Some(row) = row else {
            return Err(ServiceError::not_found("turn", "of the compaction"));
        };
        let turn = self.build_turn(session, &row, &agent).await?.map_err(ServiceError::Invalid)?;
        let sink = TurnSink {
            runtime: Arc::clone(self),
            agent,
            turn: row.id.clone(),
            session: session.id.clone(),
        };
        let tokens = turn::compact(&turn, &sink).await.map_err(store_error)?;
        let text = format!("Compacted from about {} to {} tokens.", tokens.0, tokens.1);
        self.finish(
            session,
            &row,
            TurnEnd {
                status: TurnStatus::Done,
                text,
            },
        )
        .await?;
        Ok(tokens)
    }

    /// Ends a turn that was cut off: calls that may have taken effect are marked, nothing it started runs on, nothing is left open.
    async fn finish_cut(
        self: &Arc<Self>,
        session: &SessionRow,
        row: &TurnRow,
        (reason, tools): (&'static str, &ToolSet),
    ) -> Result<(), ServiceError> {
        let ended = tools.end_left_running(&LeftBy::Turn(row.id.clone())).await;
        let id = row.id.clone();
        // The barrier makes events that were written without waiting visible to the read.
        self.store.write(|_| Ok(())).await?;
        let events = self.store.read(move |tx| journal::of_turn(tx, &id)).await?;
        let state = TurnState::replay(events.iter().map(|entry| &entry.event));
        let sink = TurnSink {
            runtime: Arc::clone(self),
            agent: self.agent(&row.agent)?,
            turn: row.id.clone(),
            session: session.id.clone(),
        };
        for event in state.outcomes_of_cut_calls(reason) {
            steward_agent::sink::JournalSink::record_later(&sink, event);
        }
        note_ended(&sink, &ended);
        let status = if reason.starts_with("stopped") {
            TurnStatus::Stopped
        } else {
            TurnStatus::Failed
        };
        let text = if status == TurnStatus::Stopped {
            "Stopped.".to_owned()
        } else {
            format!("I stopped: this message {reason} ({:?}).", sink.agent.limits.turn_time)
        };
        self.finish(session, row, TurnEnd { status, text }).await
    }

    /// Keeps the end, the turn's row and the reply in one commit, then tells watchers.
    pub(crate) async fn finish(self: &Arc<Self>, session: &SessionRow, row: &TurnRow, end: TurnEnd) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let (turn_id, session_id, channel, thread) = (row.id.clone(), session.id.clone(), session.channel.clone(), session.thread.clone());
        let (status, text) = (end.status, end.text.clone());
        if status == TurnStatus::Waiting {
            let id = turn_id.clone();
            // An answer that came between opening the question and now has set the turn running; it must stay so.
            let still_waits = self.store.write(move |tx| park(tx, &id)).await?;
            self.note_settled(&row.id);
            if still_waits {
                self.hub.close(&turn_id, status, text);
            }
            return Ok(());
        }
        let is_own_channel = !self.channels.contains_key(&channel);
        self.store
            .write(move |tx| {
                let outbox_id = OutboxId::generate();
                let event = JournalEvent::TurnFinished {
                    end: status,
                    text: text.clone(),
                    outbox: (!is_own_channel).then(|| outbox_id.clone()),
                };
                let entries = journal::of_turn(tx, &turn_id)?;
                if entries.iter().any(|entry| matches!(entry.event, JournalEvent::TurnFinished { .. })) {
                    return Ok(());
                }
                journal::append(tx, &turn_id, &session_id, now, &event)?;
                turns::finish(tx, &turn_id, status, &text, now)?;
                sessions::touch(tx, &session_id, now)?;
                if !is_own_channel && !text.is_empty() {
                    let key = format!("reply-{turn_id}");
                    let message = outbox::NewOutbox {
                        id: outbox_id,
                        session: session_id.clone(),
                        turn: Some(turn_id.clone()),
                        channel,
                        thread,
                        text,
                        idempotency_key: key,
                        created_at: now,
                    };
                    outbox::enqueue(tx, &message)?;
                }
                Ok(())
            })
            .await?;
        self.hub.close(&row.id, end.status, end.text);
        match end.status {
            TurnStatus::Failed => warn!(turn.id = %row.id, "turn {} failed", row.id),
            TurnStatus::Running | TurnStatus::Waiting | TurnStatus::Done | TurnStatus::Refused | TurnStatus::Stopped => {
                info!(turn.id = %row.id, status = end.status.as_str(), "turn {} ended", row.id)
            }
        }
        Ok(())
    }
}

/// Parks a turn whose questions are still open; false when an answer came meanwhile.
fn park(tx: &mut Tx<'_>, id: &TurnId) -> Result<bool, StoreError> {
    let is_open = approvals::of_turn(tx, id)?.iter().any(|row| row.state == ApprovalState::Waiting);
    if is_open {
        turns::update_status(tx, id, TurnStatus::Waiting)?;
    }
    Ok(is_open)
}

/// Tells the journal, and by it the person and the model, which background processes ended with a turn.
pub(crate) fn note_ended(sink: &TurnSink, ended: &[Evidence]) {
    if !ended.is_empty() {
        let text = format!("Ended with this turn: {}.", in_words(ended));
        steward_agent::sink::JournalSink::record_later(sink, JournalEvent::Noted { text });
    }
}

/// Background processes that were ended, in one line.
pub(crate) fn in_words(ended: &[Evidence]) -> String {
    let words: Vec<String> = ended.iter().map(|one| format!("{} ({})", one.object, one.detail)).collect();
    words.join(", ")
}

fn end_failed(text: String) -> TurnEnd {
    TurnEnd {
        status: TurnStatus::Failed,
        text,
    }
}

fn store_error(error: SinkError) -> ServiceError {
    ServiceError::Unavailable(error.0)
}
