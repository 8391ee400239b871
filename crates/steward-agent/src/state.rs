//! What the journal says of a turn so far. Rebuilt from events, never kept anywhere else.

use std::collections::{BTreeMap, HashSet};

use steward_domain::id::{ApprovalId, CallId};
use steward_domain::journal::{CallIntent, JournalEvent, TurnStatus};
use steward_domain::message::{Message, Part, Role};
use steward_domain::money::Usd;
use steward_domain::tool::{Repeat, ToolOutcome};

/// A turn as its events tell it.
#[derive(Default, Debug, Clone)]
pub struct TurnState {
    /// The conversation of this turn: new messages, answers, results.
    pub conversation: Vec<Message>,
    /// Model calls finished.
    pub steps: u32,
    /// Tokens used, in and out.
    pub tokens: u64,
    /// Steps that were finished when the last message came.
    pub steps_before_message: u32,
    /// Money used.
    pub cost: Usd,
    /// Calls of the last step, in order, with what became of them.
    pub calls: Vec<CallState>,
    /// Every finished call of the turn: tool, arguments, outcome; for guards, claims and receipts.
    pub finished: Vec<(CallIntent, ToolOutcome)>,
    /// The checkpoint that stands for everything before `conversation`, history included.
    pub checkpoint: Option<String>,
    /// A corrective step was already asked for.
    pub was_corrected: bool,
    /// How it ended, if it did.
    pub end: Option<TurnStatus>,
}

/// One call of the last step.
#[derive(Clone, Debug)]
pub struct CallState {
    /// What it is.
    pub intent: CallIntent,
    /// Its outcome, once there is one.
    pub outcome: Option<ToolOutcome>,
    /// The question put to a person about it.
    pub approval: Option<ApprovalId>,
    /// The person's answer: allowed or not, and the note.
    pub answer: Option<(bool, String)>,
    /// It began after a person said yes.
    pub was_started: bool,
}

/// Begins the text of a corrective note, by which recovery knows that the step was asked for.
pub(crate) const CORRECTION: &str = "[steward] Check your last answer:";

impl TurnState {
    /// Steps taken for the last message: a person who writes on gives the turn new ones.
    pub(crate) fn steps_for_message(&self) -> u32 {
        self.steps.saturating_sub(self.steps_before_message)
    }

    /// Rebuilds a turn from its events in order.
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a JournalEvent>) -> Self {
        let mut state = TurnState::default();
        for event in events {
            state.apply(event);
        }
        state
    }

    /// Takes one more event.
    pub fn apply(&mut self, event: &JournalEvent) {
        match event {
            JournalEvent::TurnStarted { messages, .. } | JournalEvent::Steered { messages, .. } => {
                self.conversation.extend(messages.iter().cloned());
                self.steps_before_message = self.steps;
            }
            JournalEvent::StepFinished {
                step,
                usage,
                cost,
                message,
                calls,
                ..
            } => {
                self.steps = *step;
                self.tokens += usage.total_input() + usage.total_output();
                self.cost += *cost;
                self.conversation.push(message.clone());
                self.calls = calls.iter().map(CallState::new).collect();
            }
            JournalEvent::CallStarted { call } => self.with_call(call, |state| state.was_started = true),
            JournalEvent::CallFinished { call, outcome, .. } => self.finish_call(call, outcome),
            JournalEvent::ApprovalOpened { approval, call } => self.with_call(call, |state| state.approval = Some(approval.clone())),
            JournalEvent::ApprovalAnswered {
                call, is_allowed, note, ..
            } => self.with_call(call, |state| state.answer = Some((*is_allowed, note.clone()))),
            JournalEvent::Compacted { summary, kept, .. } => {
                self.checkpoint = Some(summary.clone());
                self.conversation.clone_from(kept);
            }
            JournalEvent::Noted { text } => {
                self.was_corrected |= text.starts_with(CORRECTION);
                self.conversation.push(Message::text(Role::User, text.clone()));
            }
            JournalEvent::TurnFinished { end, .. } => self.end = Some(*end),
            JournalEvent::ContextBuilt { .. } => {}
        }
    }

    /// Calls of the last step without an outcome.
    pub fn has_open_calls(&self) -> bool {
        self.calls.iter().any(|call| call.outcome.is_none())
    }

    /// The last answer's text.
    pub fn last_answer(&self) -> Option<&Message> {
        self.conversation.iter().rev().find(|message| message.role == Role::Assistant)
    }

    /// The outcomes that end calls which a stop or a limit cut off: what may have begun is uncertain.
    pub fn outcomes_of_cut_calls(&self, reason: &str) -> Vec<JournalEvent> {
        let mut events = Vec::new();
        let mut may_have_begun = true;
        for call in self.calls.iter().filter(|call| call.outcome.is_none()) {
            let began = may_have_begun && call.may_have_begun();
            let is_ordered = call.intent.repeat == Repeat::Never;
            let outcome = if began && is_ordered {
                ToolOutcome::Uncertain {
                    reason: format!("{reason} while it ran; it may have taken effect"),
                }
            } else {
                ToolOutcome::Failed { reason: reason.to_owned() }
            };
            may_have_begun &= !is_ordered;
            events.push(JournalEvent::CallFinished {
                call: call.intent.id.clone(),
                outcome,
                blob: None,
            });
        }
        events
    }

    fn with_call(&mut self, id: &CallId, change: impl FnOnce(&mut CallState)) {
        if let Some(call) = self.calls.iter_mut().find(|call| call.intent.id == *id) {
            change(call);
        }
    }

    fn finish_call(&mut self, id: &CallId, outcome: &ToolOutcome) {
        let Some(call) = self.calls.iter_mut().find(|call| call.intent.id == *id) else {
            return;
        };
        call.outcome = Some(outcome.clone());
        self.finished.push((call.intent.clone(), outcome.clone()));
        if !self.has_open_calls() {
            self.conversation.push(results_of(&self.calls));
        }
    }
}

impl CallState {
    fn new(intent: &CallIntent) -> Self {
        CallState {
            intent: intent.clone(),
            outcome: None,
            approval: None,
            answer: None,
            was_started: false,
        }
    }

    /// Could this call have begun before a crash? An asked call begins only after its start is recorded.
    pub fn may_have_begun(&self) -> bool {
        match self.intent.ruling.decision {
            steward_domain::decision::Decision::Allow => true,
            steward_domain::decision::Decision::Ask => self.was_started,
            steward_domain::decision::Decision::Deny => false,
        }
    }
}

/// The conversation that earlier turns of a session left, with the checkpoint that stands before it.
///
/// `events` are those of whole turns, in order, oldest first.
pub fn history<'a>(events: impl IntoIterator<Item = (&'a str, &'a JournalEvent)>) -> (Option<String>, Vec<Message>) {
    let mut checkpoint = None;
    let mut order: Vec<&str> = Vec::new();
    let mut turns: BTreeMap<&str, TurnState> = BTreeMap::new();
    for (turn, event) in events {
        if matches!(event, JournalEvent::Compacted { .. }) {
            // What was before the checkpoint, of whatever turn, is inside it.
            turns.retain(|name, _| *name == turn);
            order.retain(|name| *name == turn);
        }
        if !turns.contains_key(turn) {
            order.push(turn);
        }
        turns.entry(turn).or_default().apply(event);
    }
    let mut messages = Vec::new();
    for name in order {
        let Some(state) = turns.remove(name) else { continue };
        if state.checkpoint.is_some() {
            checkpoint = state.checkpoint;
        }
        messages.extend(state.conversation);
    }
    (checkpoint, without_dangling_calls(messages))
}

/// A provider refuses a tool call without its result; a turn that was cut off may have left one.
fn without_dangling_calls(messages: Vec<Message>) -> Vec<Message> {
    let answered: HashSet<CallId> = messages
        .iter()
        .flat_map(|message| &message.parts)
        .filter_map(|part| match part {
            Part::ToolResult { call_id, .. } => Some(call_id.clone()),
            Part::Text { .. }
            | Part::Image { .. }
            | Part::File { .. }
            | Part::Thinking { .. }
            | Part::ToolCall(_)
            | Part::Opaque { .. } => None,
        })
        .collect();
    messages
        .into_iter()
        .filter_map(|mut message| {
            message
                .parts
                .retain(|part| !matches!(part, Part::ToolCall(call) if !answered.contains(&call.id)));
            (!message.parts.is_empty()).then_some(message)
        })
        .collect()
}

/// The message that answers all calls of a step, in their order.
fn results_of(calls: &[CallState]) -> Message {
    let parts = calls
        .iter()
        .filter_map(|call| call.outcome.as_ref().map(|outcome| result_part(&call.intent, outcome)))
        .collect();
    Message { role: Role::User, parts }
}

fn result_part(intent: &CallIntent, outcome: &ToolOutcome) -> Part {
    let (content, is_error) = match outcome {
        ToolOutcome::Done(output) => (output.parts.clone(), false),
        ToolOutcome::Failed { reason } => (vec![Part::text(format!("failed: {reason}"))], true),
        ToolOutcome::Refused { reason } => (vec![Part::text(format!("refused: {reason}"))], true),
        ToolOutcome::Uncertain { reason } => (vec![Part::text(format!("uncertain: {reason}"))], true),
    };
    Part::ToolResult {
        call_id: intent.id.clone(),
        name: intent.tool.clone(),
        content,
        is_error,
    }
}
