//! The loop of steps: build context, call the model, settle its tool calls, until the turn ends.
//!
//! All progress goes through the journal sink first, so a turn that was cut off anywhere goes on from its events.

use std::sync::Arc;

use steward_domain::decision::{Gate, Marks};
use steward_domain::id::{AgentName, RequestId, SessionId, TurnId};
use steward_domain::journal::{JournalEvent, TurnStatus};
use steward_domain::limits::TurnLimits;
use steward_domain::message::{Message, Part, Role};
use steward_domain::model::{Caller, Model, ModelError, ModelErrorKind, ModelRequest, ToolChoice};
use steward_domain::principal::Principal;

use crate::claims;
use crate::compaction;
use crate::context::{self, Background, Prefix};
use crate::fold::{Answer, fold};
use crate::guard;
use crate::live::LiveEvent;
use crate::sink::{JournalSink, SinkError};
use crate::state::{CORRECTION, TurnState};
use crate::tool_calls::Settled;
use crate::toolset::ToolSet;

/// Share of the context window that a request may fill, in percent; the rest is for the answer.
const FILL_PERCENT: u64 = 75;
/// Share of the window that a compaction keeps of the latest messages, in percent.
const KEEP_PERCENT: u64 = 30;
/// Times a call is made again after its answer broke off.
const RESTARTS: u32 = 2;
/// Output tokens that a summary may use.
const SUMMARY_TOKENS: u64 = 800;

/// Everything fixed for one turn.
pub struct Turn {
    /// Its id.
    pub id: TurnId,
    /// Its session.
    pub session: SessionId,
    /// Its agent.
    pub agent: AgentName,
    /// On whose behalf it runs.
    pub principal: Principal,
    /// The route or model to ask.
    pub model_name: String,
    /// Tokens that the model's context window holds.
    pub context_tokens: u64,
    /// The model.
    pub model: Arc<dyn Model>,
    /// The tools.
    pub tools: Arc<ToolSet>,
    /// The authoriser.
    pub gate: Arc<dyn Gate>,
    /// Limits.
    pub limits: TurnLimits,
    /// What stands before this turn.
    pub background: Background,
}

/// How a run of the loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnEnd {
    /// Done, waiting, refused or failed.
    pub status: TurnStatus,
    /// The reply, or the sentence that says why there is none; empty while waiting.
    pub text: String,
}

pub(crate) struct Loop<'a> {
    pub(crate) turn: &'a Turn,
    pub(crate) sink: &'a dyn JournalSink,
    prefix: Prefix,
}

/// Runs a turn from where its events left it until it ends or waits for a person.
///
/// `events` are all its events so far; `is_recovery` says that the process which wrote them is gone.
///
/// # Errors
/// When the journal cannot be written: the turn stays open and goes on once it can.
pub async fn run(turn: &Turn, events: &[JournalEvent], is_recovery: bool, sink: &dyn JournalSink) -> Result<TurnEnd, SinkError> {
    let state = TurnState::replay(events);
    let prefix = context::prefix(&turn.background.files, turn.tools.definitions(), &turn.limits);
    #[cfg(feature = "sabotage")]
    let late = crate::sabotage::LateSink::new(sink);
    #[cfg(feature = "sabotage")]
    let sink: &dyn JournalSink = &late;
    let end = Loop { turn, sink, prefix }.run(state, is_recovery).await?;
    #[cfg(feature = "sabotage")]
    late.flush().await?;
    Ok(end)
}

/// Sums up everything before this turn. Gives the estimated tokens before and after.
///
/// # Errors
/// When the journal cannot be written.
pub async fn compact(turn: &Turn, sink: &dyn JournalSink) -> Result<(u64, u64), SinkError> {
    let prefix = context::prefix(&turn.background.files, turn.tools.definitions(), &turn.limits);
    let mut state = TurnState::default();
    let this = Loop { turn, sink, prefix };
    let before = compaction::tokens_of(&context::messages(&this.prefix, &turn.background, &state));
    this.make_room(&mut state, Room::Always).await?;
    let after = compaction::tokens_of(&context::messages(&this.prefix, &turn.background, &state));
    Ok((before, after))
}

impl Loop<'_> {
    async fn run(&self, mut state: TurnState, is_recovery: bool) -> Result<TurnEnd, SinkError> {
        if let Settled::Waiting = self.settle_calls(&mut state, is_recovery).await? {
            return Ok(TurnEnd {
                status: TurnStatus::Waiting,
                text: String::new(),
            });
        }
        loop {
            let has_new_words = self.take_steering(&mut state).await?;
            if !has_new_words && let Some(end) = self.finished(&mut state).await? {
                return Ok(end);
            }
            if let Some(reason) = guard::must_end(&state, &self.turn.limits) {
                return Ok(TurnEnd {
                    status: TurnStatus::Failed,
                    text: reason,
                });
            }
            if let Err(end) = self.step(&mut state).await? {
                return Ok(end);
            }
            if let Settled::Waiting = self.settle_calls(&mut state, false).await? {
                return Ok(TurnEnd {
                    status: TurnStatus::Waiting,
                    text: String::new(),
                });
            }
        }
    }

    async fn take_steering(&self, state: &mut TurnState) -> Result<bool, SinkError> {
        let Some(event) = self.sink.steering().await? else {
            return Ok(false);
        };
        state.apply(&event);
        Ok(true)
    }

    /// The end, if the last answer asked for no tools and claims nothing that did not happen.
    async fn finished(&self, state: &mut TurnState) -> Result<Option<TurnEnd>, SinkError> {
        let is_answer_last = state.conversation.last().is_some_and(|message| message.role == Role::Assistant);
        if !is_answer_last {
            return Ok(None);
        }
        let text = state.last_answer().map(Message::joined_text).unwrap_or_default();
        let Some(verb) = claims::unshown(&text, &state.finished) else {
            return Ok(Some(TurnEnd {
                status: TurnStatus::Done,
                text,
            }));
        };
        if state.was_corrected {
            let noted = format!("{text}\n\n[Steward: the reply says \"{verb}\", but no successful call of this turn shows it.]");
            return Ok(Some(TurnEnd {
                status: TurnStatus::Done,
                text: noted,
            }));
        }
        let note = format!(
            "{CORRECTION} it says \"{verb}\", but no successful tool call of this turn shows that. Do it now with a tool, or say plainly that it was not done."
        );
        self.note(state, note).await?;
        Ok(None)
    }

    async fn note(&self, state: &mut TurnState, text: String) -> Result<(), SinkError> {
        let event = JournalEvent::Noted { text: text.clone() };
        self.sink.record_later(event.clone());
        self.sink.show(LiveEvent::Note(text));
        state.apply(&event);
        Ok(())
    }

    /// One model call, journaled with the decisions on what it asks for.
    async fn step(&self, state: &mut TurnState) -> Result<Result<(), TurnEnd>, SinkError> {
        self.make_room(state, Room::WhenNeeded).await?;
        let step = state.steps + 1;
        let mut restarts = 0;
        let mut was_compacted = false;
        let request_id = RequestId::generate();
        let answer = loop {
            let request = self.request(state);
            self.sink.record_later(JournalEvent::ContextBuilt {
                step,
                parts: context::record(&self.prefix, &request.messages, state.conversation.len()),
            });
            self.sink.show(LiveEvent::StepStarted { step });
            match fold(self.turn.model.stream(request, self.caller(&request_id, step)), self.sink).await {
                Ok(answer) => break answer,
                Err(error) if error.kind == ModelErrorKind::ContextTooLong && !was_compacted => {
                    was_compacted = true;
                    self.make_room(state, Room::Always).await?;
                }
                Err(error) if may_restart(&error) && restarts < RESTARTS => {
                    restarts += 1;
                    self.sink.show(LiveEvent::StepRestarted { reason: error.to_string() });
                }
                Err(error) => {
                    return Ok(Err(TurnEnd {
                        status: status_of(&error),
                        text: sentence_of(&error),
                    }));
                }
            }
        };
        self.keep_step(state, step, request_id, answer).await?;
        Ok(Ok(()))
    }

    async fn keep_step(&self, state: &mut TurnState, step: u32, request: RequestId, answer: Answer) -> Result<(), SinkError> {
        let calls = self.intents(&answer.message, self.marks(state));
        for call in &calls {
            self.sink.show(LiveEvent::CallDecided(call.clone()));
        }
        let event = JournalEvent::StepFinished {
            step,
            request,
            model: self.turn.model_name.clone(),
            target: answer.target,
            usage: answer.finish.usage,
            cost: answer.finish.cost,
            message: answer.message,
            calls,
        };
        state.apply(&event);
        if state.has_open_calls() {
            // The intents must be durable before anything runs.
            self.sink.record(event).await
        } else {
            // A plain answer is made durable together with the end of the turn.
            self.sink.record_later(event);
            Ok(())
        }
    }

    fn request(&self, state: &TurnState) -> ModelRequest {
        let mut request = ModelRequest::new(
            self.turn.model_name.clone(),
            context::messages(&self.prefix, &self.turn.background, state),
        );
        request.tools = self.turn.tools.definitions().to_vec();
        let is_last_step = state.steps_for_message() + 1 >= self.turn.limits.steps;
        if is_last_step {
            request.tool_choice = ToolChoice::None;
        }
        request
    }

    fn caller(&self, request: &RequestId, step: u32) -> Caller {
        Caller {
            agent: Some(self.turn.agent.clone()),
            session: Some(self.turn.session.clone()),
            turn: Some((self.turn.id.clone(), step)),
            ..Caller::new(self.turn.principal.clone(), request.clone())
        }
    }

    fn marks(&self, state: &TurnState) -> Marks {
        let mut all = self.turn.background.history.iter().chain(&state.conversation);
        let has_outside = all.any(|message| {
            message
                .parts
                .iter()
                .any(|part| matches!(part, Part::ToolResult { name, .. } if self.turn.tools.gives_outside(name)))
        });
        Marks {
            has_outside: has_outside || self.background_mentions_outside(state),
        }
    }

    /// A checkpoint keeps the fence of what it sums up.
    fn background_mentions_outside(&self, state: &TurnState) -> bool {
        let checkpoint = state.checkpoint.as_ref().or(self.turn.background.checkpoint.as_ref());
        checkpoint.is_some_and(|summary| summary.contains("<outside"))
    }

    /// Compacts the conversation when the next request would not fit, or always when a provider said so.
    async fn make_room(&self, state: &mut TurnState, room: Room) -> Result<(), SinkError> {
        let window = self.turn.context_tokens;
        let limit = window * FILL_PERCENT / 100;
        let messages = context::messages(&self.prefix, &self.turn.background, state);
        let before = compaction::tokens_of(&messages) + self.prefix.tokens;
        if before <= limit && room == Room::WhenNeeded {
            return Ok(());
        }
        let mut rest: Vec<Message> = messages.into_iter().skip(1).collect();
        compaction::trim_old_outputs(&mut rest);
        let after_trim = compaction::tokens_of(&rest) + self.prefix.tokens;
        let (summary, kept) = if after_trim <= limit && room == Room::WhenNeeded {
            (
                state
                    .checkpoint
                    .clone()
                    .or_else(|| self.turn.background.checkpoint.clone())
                    .unwrap_or_default(),
                rest,
            )
        } else {
            let by_window = (window * KEEP_PERCENT / 100).saturating_sub(self.prefix.tokens / 2);
            let by_length = compaction::tokens_of(&rest) * KEEP_PERCENT / 100;
            let keep_tokens = by_window.min(by_length).max(200);
            let point = compaction::cut_point(&rest, keep_tokens).unwrap_or(0);
            let kept = rest.split_off(point);
            (self.summary(state, rest).await, kept)
        };
        let after = compaction::tokens_of(&kept) + self.prefix.tokens;
        let event = JournalEvent::Compacted {
            summary,
            kept,
            tokens: (before, after),
        };
        self.sink.record(event.clone()).await?;
        self.sink.show(LiveEvent::Note(format!(
            "compacted the conversation from about {before} to {after} tokens"
        )));
        state.apply(&event);
        Ok(())
    }

    /// A checkpoint of old messages, by the model; by code where the model cannot.
    async fn summary(&self, state: &TurnState, old: Vec<Message>) -> String {
        let earlier = state.checkpoint.as_deref().or(self.turn.background.checkpoint.as_deref());
        let by_code = compaction::extract(earlier, &old);
        if old.is_empty() {
            return by_code;
        }
        let outside = old
            .iter()
            .flat_map(|message| &message.parts)
            .any(|part| matches!(part, Part::ToolResult { name, .. } if self.turn.tools.gives_outside(name)));
        let prompt = format!("{by_code}\n\n{}", include_str!("../prompts/summary.md"));
        let mut request = ModelRequest::new(self.turn.model_name.clone(), vec![Message::text(Role::User, prompt)]);
        request.max_output_tokens = Some(SUMMARY_TOKENS);
        let silent = Silent(self.sink);
        let answer = fold(
            self.turn.model.stream(request, self.caller(&RequestId::generate(), state.steps)),
            &silent,
        )
        .await;
        let text = answer
            .map(|answer| answer.message.joined_text())
            .ok()
            .filter(|text| !text.trim().is_empty())
            .unwrap_or(by_code);
        if outside {
            format!("<outside source=\"summary\">\n{text}\n</outside>")
        } else {
            text
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    WhenNeeded,
    Always,
}

/// A sink whose watchers see nothing: a summary is no part of the answer.
struct Silent<'a>(&'a dyn JournalSink);

impl JournalSink for Silent<'_> {
    fn record(&self, event: JournalEvent) -> futures_util::future::BoxFuture<'_, Result<(), SinkError>> {
        self.0.record(event)
    }
    fn record_later(&self, event: JournalEvent) {
        self.0.record_later(event);
    }
    fn steering(&self) -> futures_util::future::BoxFuture<'_, Result<Option<JournalEvent>, SinkError>> {
        self.0.steering()
    }
    fn open_approval(
        &self,
        intent: steward_domain::journal::CallIntent,
    ) -> futures_util::future::BoxFuture<'_, Result<steward_domain::id::ApprovalId, SinkError>> {
        self.0.open_approval(intent)
    }
    fn blobs(&self) -> &dyn crate::sink::BlobSink {
        self.0.blobs()
    }
    fn show(&self, _event: LiveEvent) {}
}

fn may_restart(error: &ModelError) -> bool {
    matches!(error.kind, ModelErrorKind::Cut | ModelErrorKind::Malformed)
}

fn status_of(error: &ModelError) -> TurnStatus {
    match error.kind {
        ModelErrorKind::BudgetExceeded => TurnStatus::Refused,
        ModelErrorKind::RateLimited
        | ModelErrorKind::Overloaded
        | ModelErrorKind::Server
        | ModelErrorKind::Network
        | ModelErrorKind::Timeout
        | ModelErrorKind::Auth
        | ModelErrorKind::BadRequest
        | ModelErrorKind::ContextTooLong
        | ModelErrorKind::NotFound
        | ModelErrorKind::Unsupported
        | ModelErrorKind::NoTarget
        | ModelErrorKind::Cut
        | ModelErrorKind::Malformed => TurnStatus::Failed,
    }
}

fn sentence_of(error: &ModelError) -> String {
    let hint = match error.kind {
        ModelErrorKind::Auth => " Check the key with `steward providers test`.",
        ModelErrorKind::NotFound => " See `steward models list` for what can be asked.",
        ModelErrorKind::ContextTooLong => " Start a new session with /new, or choose a model with a larger context.",
        ModelErrorKind::BudgetExceeded => "",
        ModelErrorKind::RateLimited
        | ModelErrorKind::Overloaded
        | ModelErrorKind::Server
        | ModelErrorKind::Network
        | ModelErrorKind::Timeout
        | ModelErrorKind::NoTarget
        | ModelErrorKind::Cut
        | ModelErrorKind::Malformed => " Nothing you wrote is lost; say \"go on\" to try again.",
        ModelErrorKind::BadRequest | ModelErrorKind::Unsupported => "",
    };
    format!("The model could not answer: {}.{hint}", error.to_string().trim_end_matches('.'))
}
