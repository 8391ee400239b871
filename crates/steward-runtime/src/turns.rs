//! Turns as surfaces show them, made from the journal; stopping them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use steward_agent::sink::JournalSink;
use steward_agent::state::TurnState;
use steward_domain::clock::{Timestamp, rfc3339};
use steward_domain::decision::Decision;
use steward_domain::id::{AgentName, TurnId};
use steward_domain::journal::{CallIntent, ContextPart, JournalEvent, TurnStatus};
use steward_domain::message::{Message, Part};
use steward_domain::money::Usd;
use steward_domain::tool::{Evidence, EvidenceAction, LeftBy, ToolOutcome};
use steward_store::journal::JournalRow;
use steward_store::turns::{TurnFilter, TurnRow};
use steward_store::{StoreError, Tx, journal, sessions, turns};

use crate::access::{Identity, Right, may, may_see};
use crate::error::ServiceError;
use crate::hub::Watch;
use crate::journal::TurnSink;
use crate::runtime::Runtime;
use crate::sessions::{own_thread, shown_name};

/// One line of a list of turns.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TurnLine {
    /// Its id.
    pub id: String,
    /// The session's name as the caller gave it.
    pub session: String,
    /// The session's id.
    pub session_id: String,
    /// The agent.
    pub agent: String,
    /// Where it stands.
    pub status: TurnStatus,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339; absent while it is open.
    pub ended_at: Option<String>,
    /// The reply, or why there is none.
    pub text: String,
    /// Model calls.
    pub steps: u32,
    /// US dollars.
    pub cost_usd: Usd,
    /// Tokens in, cached ones included.
    pub input_tokens: u64,
    /// Tokens out, reasoning included.
    pub output_tokens: u64,
}

/// A whole turn.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TurnView {
    /// Its id.
    pub id: String,
    /// The session's name as the caller gave it.
    pub session: String,
    /// The session's id.
    pub session_id: String,
    /// The agent.
    pub agent: String,
    /// Where it stands.
    pub status: TurnStatus,
    /// What was asked.
    pub asked: String,
    /// The reply, or why there is none.
    pub text: String,
    /// US dollars.
    pub cost_usd: Usd,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339; absent while it is open.
    pub ended_at: Option<String>,
    /// Its steps.
    pub steps: Vec<StepView>,
    /// What was read, written, sent, with the evidence.
    pub receipts: Vec<ReceiptView>,
    /// Words of Steward in the turn: corrections, compactions.
    pub notes: Vec<String>,
}

/// One model call and its tool calls.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StepView {
    /// From 1.
    pub step: u32,
    /// Id of the model call.
    pub request_id: String,
    /// The route or model asked for.
    pub model: String,
    /// `provider/model` that answered.
    pub target: String,
    /// Tokens in, cached ones included.
    pub input_tokens: u64,
    /// Of these, read from the provider's cache.
    pub cached_input_tokens: u64,
    /// Tokens out, reasoning included.
    pub output_tokens: u64,
    /// US dollars.
    pub cost_usd: Usd,
    /// The answer's text.
    pub text: String,
    /// What the model thought.
    pub thinking: String,
    /// Its tool calls.
    pub calls: Vec<CallView>,
}

/// One tool call.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CallView {
    /// The model's id.
    pub id: String,
    /// The tool.
    pub tool: String,
    /// The arguments.
    pub args: Value,
    /// What it does.
    pub effect: steward_domain::decision::Effect,
    /// Allow, ask or deny.
    pub decision: Decision,
    /// The rule that decided.
    pub rule: String,
    /// Why.
    pub reason: String,
    /// `done`, `failed`, `refused`, `uncertain`; absent while open.
    #[schemars(extend("enum" = ["done", "failed", "refused", "uncertain", null]))]
    pub outcome: Option<&'static str>,
    /// What the model read.
    pub output: String,
    /// RFC 3339: the decision was durable.
    pub started_at: String,
    /// RFC 3339; absent while open.
    pub ended_at: Option<String>,
}

/// One line of a turn's receipt.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReceiptView {
    /// The call that shows it.
    pub call: String,
    /// The tool.
    pub tool: String,
    /// What was done.
    pub action: EvidenceAction,
    /// To what.
    pub object: String,
    /// Hash, size, status.
    pub detail: String,
}

/// The context of one step.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ContextView {
    /// From 1.
    pub step: u32,
    /// Tokens by estimate.
    pub tokens: u64,
    /// The parts.
    pub parts: Vec<ContextPart>,
}

/// Which turns to list.
#[derive(Clone, Debug, Default)]
pub struct TurnQuery {
    /// Only of this agent.
    pub agent: Option<AgentName>,
    /// Only in this state.
    pub status: Option<TurnStatus>,
    /// Only of the session with this name or id.
    pub session: Option<String>,
    /// Older than this turn.
    pub cursor: Option<TurnId>,
    /// At most this many.
    pub limit: u32,
}

impl Runtime {
    /// Turns, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn turns(&self, query: TurnQuery, identity: &Identity) -> Result<Vec<TurnLine>, ServiceError> {
        let limit = usize::try_from(query.limit.clamp(1, 500)).unwrap_or(500);
        // A member's page holds only what is the member's.
        let principal = (!may(identity.role, Right::Read)).then(|| identity.principal.clone());
        let own = query.session.as_deref().map(|name| own_thread(&identity.principal, name));
        let rows = self
            .store
            .read(move |tx| {
                let session = match query.session {
                    Some(name) => {
                        match sessions::by_id_or_thread(tx, own.as_ref().unwrap_or(&name))?.or(sessions::by_id_or_thread(tx, &name)?) {
                            Some(row) => Some(row.id),
                            None => return Ok(Vec::new()),
                        }
                    }
                    None => None,
                };
                let filter = TurnFilter {
                    agent: query.agent,
                    session,
                    status: query.status,
                    principal,
                };
                let rows = turns::list(tx, &filter, query.cursor.as_ref(), limit)?;
                rows.into_iter()
                    .map(|row| Ok((name_of(tx, &row)?, row)))
                    .collect::<Result<Vec<_>, StoreError>>()
            })
            .await?;
        Ok(rows
            .into_iter()
            .filter(|(_, row)| may_see(identity, &row.principal))
            .map(|(session, row)| line(row, session))
            .collect())
    }

    /// A whole turn.
    ///
    /// # Errors
    /// When it does not exist or is not the caller's to see.
    pub async fn turn(&self, id: &TurnId, identity: &Identity) -> Result<TurnView, ServiceError> {
        let (row, entries) = self.visible_turn(id, identity).await?;
        let named = row.clone();
        let session = self.store.read(move |tx| name_of(tx, &named)).await?;
        Ok(view(&row, &session, &entries))
    }

    /// What each step of a turn had in context.
    ///
    /// # Errors
    /// When it does not exist or is not the caller's to see.
    pub async fn turn_context(&self, id: &TurnId, identity: &Identity) -> Result<Vec<ContextView>, ServiceError> {
        let (_, entries) = self.visible_turn(id, identity).await?;
        let contexts = entries.into_iter().filter_map(|entry| match entry.event {
            JournalEvent::ContextBuilt { step, parts } => Some(ContextView {
                step,
                tokens: parts.iter().map(|part| part.tokens).sum(),
                parts,
            }),
            _ => None,
        });
        Ok(contexts.collect())
    }

    /// Watches a turn: how it stands, and what comes if it runs.
    ///
    /// # Errors
    /// When it does not exist or is not the caller's to see.
    pub async fn watch(&self, id: &TurnId, identity: &Identity) -> Result<(TurnView, Option<Watch>), ServiceError> {
        // Watching first and reading after misses nothing; what is seen twice is told apart by its step.
        let watch = self.hub.watch(id);
        let seen = self.turn(id, identity).await?;
        let is_open = seen.status == TurnStatus::Running;
        Ok((seen, watch.filter(|_| is_open)))
    }

    /// Stops a turn: a waiting one at once, a running one within a second, with every process that it started. Of a turn that is over,
    /// the background processes that it left are ended.
    ///
    /// # Errors
    /// When it does not exist, is not the caller's, or the store cannot take it.
    pub async fn stop(self: &Arc<Self>, id: &TurnId, identity: &Identity) -> Result<TurnStatus, ServiceError> {
        let (row, entries) = self.visible_turn(id, identity).await?;
        let may_stop = may(identity.role, Right::Operate) || row.principal == identity.principal;
        if !may_stop {
            return Err(ServiceError::Denied(
                "only the person who asked, an operator or an owner may stop this turn".into(),
            ));
        }
        match row.status {
            TurnStatus::Running => {
                if !self.queues.stop(&row.session, id) {
                    self.end_parked(&row, &entries).await?;
                }
                Ok(TurnStatus::Stopped)
            }
            TurnStatus::Waiting => {
                self.end_parked(&row, &entries).await?;
                Ok(TurnStatus::Stopped)
            }
            over @ (TurnStatus::Done | TurnStatus::Refused | TurnStatus::Stopped | TurnStatus::Failed) => {
                self.end_left_running(&row.agent, LeftBy::Turn(id.clone())).await;
                Ok(over)
            }
        }
    }

    /// Ends background processes that an agent's calls left. Gives what was ended.
    pub(crate) async fn end_left_running(self: &Arc<Self>, agent: &AgentName, by: LeftBy) -> Vec<Evidence> {
        // An agent that is gone has no tools, and without its tools nothing of it runs.
        let Ok(agent) = self.agent(agent) else { return Vec::new() };
        match self.toolset(&agent) {
            Ok(tools) => tools.end_left_running(&by).await,
            Err(_) => Vec::new(),
        }
    }

    /// Ends a turn that no task runs: its questions are closed, its calls get an outcome.
    async fn end_parked(self: &Arc<Self>, row: &TurnRow, entries: &[JournalRow]) -> Result<(), ServiceError> {
        let state = TurnState::replay(entries.iter().map(|entry| &entry.event));
        let (turn, session, now) = (row.id.clone(), row.session.clone(), self.clock.now());
        let (closing, owner) = ((turn.clone(), session.clone()), row.session.clone());
        self.store
            .write(move |tx| crate::approvals::supersede(tx, &closing.0, &closing.1, now))
            .await?;
        let sink = TurnSink {
            runtime: Arc::clone(self),
            agent: self.agent(&row.agent)?,
            turn,
            session,
        };
        for event in state.outcomes_of_cut_calls("stopped by a person") {
            sink.record_later(event);
        }
        let ended = self.end_left_running(&row.agent, LeftBy::Turn(row.id.clone())).await;
        crate::turn_run::note_ended(&sink, &ended);
        let wanted = owner.clone();
        let Some(session_row) = self.store.read(move |tx| sessions::get(tx, &wanted)).await? else {
            return Err(ServiceError::not_found("session", owner));
        };
        self.finish(
            &session_row,
            row,
            steward_agent::turn::TurnEnd {
                status: TurnStatus::Stopped,
                text: "Stopped.".into(),
            },
        )
        .await?;
        self.wake(&row.session);
        Ok(())
    }

    pub(crate) async fn visible_turn(&self, id: &TurnId, identity: &Identity) -> Result<(TurnRow, Vec<JournalRow>), ServiceError> {
        let wanted = id.clone();
        let found = self
            .store
            .read(move |tx| {
                let Some(row) = turns::get(tx, &wanted)? else { return Ok(None) };
                Ok(Some((row, journal::of_turn(tx, &wanted)?)))
            })
            .await?;
        match found {
            Some((row, entries)) if may_see(identity, &row.principal) => Ok((row, entries)),
            Some(_) | None => Err(ServiceError::not_found("turn", id)),
        }
    }
}

/// The name that the caller gave to a turn's session.
fn name_of(tx: &mut Tx<'_>, row: &TurnRow) -> Result<String, StoreError> {
    Ok(sessions::get(tx, &row.session)?.map_or_else(String::new, |session| shown_name(&session).to_owned()))
}

fn line(row: TurnRow, session: String) -> TurnLine {
    TurnLine {
        id: row.id.to_string(),
        session,
        session_id: row.session.to_string(),
        agent: row.agent.to_string(),
        status: row.status,
        started_at: rfc3339(row.started_at),
        ended_at: row.ended_at.map(rfc3339),
        text: row.text,
        steps: row.steps,
        cost_usd: row.cost,
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
    }
}

/// Builds the view of a turn from its row and events.
pub(crate) fn view(row: &TurnRow, session: &str, entries: &[JournalRow]) -> TurnView {
    let mut view = TurnView {
        id: row.id.to_string(),
        session: session.to_owned(),
        session_id: row.session.to_string(),
        agent: row.agent.to_string(),
        status: row.status,
        asked: String::new(),
        text: row.text.clone(),
        cost_usd: Usd::ZERO,
        started_at: rfc3339(row.started_at),
        ended_at: row.ended_at.map(rfc3339),
        steps: Vec::new(),
        receipts: Vec::new(),
        notes: Vec::new(),
    };
    for entry in entries {
        add_event(&mut view, entry);
    }
    view
}

fn add_event(view: &mut TurnView, entry: &JournalRow) {
    match &entry.event {
        JournalEvent::TurnStarted { messages, .. } | JournalEvent::Steered { messages, .. } => {
            let texts: Vec<String> = messages.iter().map(|message| shown_text(message).trim().to_owned()).collect();
            if !view.asked.is_empty() {
                view.asked.push('\n');
            }
            view.asked.push_str(&texts.join("\n"));
        }
        JournalEvent::StepFinished { .. } => add_step(view, &entry.event, entry.at),
        JournalEvent::CallFinished { call, outcome, .. } => finish_call(view, call.as_str(), outcome, entry.at),
        JournalEvent::CallStarted { call } => {
            if let Some(found) = find_call(view, call.as_str()) {
                found.started_at = rfc3339(entry.at);
            }
        }
        JournalEvent::Noted { text } => view.notes.push(text.clone()),
        JournalEvent::Compacted { tokens, .. } => view
            .notes
            .push(format!("compacted the conversation from about {} to {} tokens", tokens.0, tokens.1)),
        JournalEvent::TurnFinished { text, .. } => view.text.clone_from(text),
        JournalEvent::ContextBuilt { .. } | JournalEvent::ApprovalOpened { .. } | JournalEvent::ApprovalAnswered { .. } => {}
    }
}

/// A person's message without the time that was put before it for the model.
pub(crate) fn shown_text(message: &Message) -> String {
    let text = message.joined_text();
    match text.strip_prefix('[').and_then(|rest| rest.split_once(" UTC] ")) {
        Some((time, rest)) if time.len() == 16 => rest.to_owned(),
        Some(_) | None => text,
    }
}

fn add_step(view: &mut TurnView, event: &JournalEvent, at: Timestamp) {
    let JournalEvent::StepFinished {
        step,
        request,
        model,
        target,
        usage,
        cost,
        message,
        calls,
    } = event
    else {
        return;
    };
    view.cost_usd += *cost;
    view.steps.push(StepView {
        step: *step,
        request_id: request.to_string(),
        model: model.clone(),
        target: target.clone(),
        input_tokens: usage.total_input(),
        cached_input_tokens: usage.cached_input,
        output_tokens: usage.total_output(),
        cost_usd: *cost,
        text: message.joined_text(),
        thinking: thinking_of(message),
        calls: calls.iter().map(|call| call_view(call, at)).collect(),
    });
}

fn thinking_of(message: &Message) -> String {
    let thoughts: Vec<&str> = message
        .parts
        .iter()
        .filter_map(|part| {
            if let Part::Thinking { text, .. } = part {
                Some(text.as_str())
            } else {
                None
            }
        })
        .collect();
    thoughts.join("\n")
}

fn call_view(call: &CallIntent, at: Timestamp) -> CallView {
    CallView {
        id: call.id.to_string(),
        tool: call.tool.clone(),
        args: call.arguments.clone(),
        effect: call.effect,
        decision: call.ruling.decision,
        rule: call.ruling.rule.clone(),
        reason: call.ruling.reason.clone(),
        outcome: None,
        output: String::new(),
        started_at: rfc3339(at),
        ended_at: None,
    }
}

fn find_call<'a>(view: &'a mut TurnView, id: &str) -> Option<&'a mut CallView> {
    // The last step first: some models use the same id again.
    view.steps
        .iter_mut()
        .rev()
        .flat_map(|step| step.calls.iter_mut())
        .find(|call| call.id == id)
}

fn finish_call(view: &mut TurnView, id: &str, outcome: &ToolOutcome, at: Timestamp) {
    let Some(call) = find_call(view, id) else { return };
    let (word, output, evidence): (&'static str, String, &[Evidence]) = match outcome {
        ToolOutcome::Done(done) => ("done", text_of(&done.parts), &done.evidence),
        ToolOutcome::Failed { reason } => ("failed", format!("failed: {reason}"), &[]),
        ToolOutcome::Refused { reason } => ("refused", format!("refused: {reason}"), &[]),
        ToolOutcome::Uncertain { reason } => ("uncertain", format!("uncertain: {reason}"), &[]),
    };
    call.outcome = Some(word);
    call.output = output;
    call.ended_at = Some(rfc3339(at));
    let (call_id, tool) = (call.id.clone(), call.tool.clone());
    let receipt = |fact: &Evidence| ReceiptView {
        call: call_id.clone(),
        tool: tool.clone(),
        action: fact.action,
        object: fact.object.clone(),
        detail: fact.detail.clone(),
    };
    view.receipts.extend(evidence.iter().map(receipt));
}

fn text_of(parts: &[Part]) -> String {
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| {
            if let Part::Text { text, .. } = part {
                Some(text.as_str())
            } else {
                None
            }
        })
        .collect();
    texts.join("\n")
}
