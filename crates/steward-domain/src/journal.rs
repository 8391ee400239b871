//! What a turn leaves behind: the events that recovery, the console and receipts are made from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decision::{Effect, Ruling};
use crate::files::Touched;
use crate::id::{ApprovalId, CallId, InboundId, OutboxId, RequestId};
use crate::message::Message;
use crate::money::Usd;
use crate::tool::{Repeat, ToolOutcome};
use crate::usage::Usage;

/// One fact about a turn, appended once and never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JournalEvent {
    /// The turn began with these messages.
    TurnStarted {
        /// Inbox rows taken.
        inbound: Vec<InboundId>,
        /// What they say, as the model will see it.
        messages: Vec<Message>,
    },
    /// A message that came while the turn ran was put before the next model call.
    Steered {
        /// Inbox rows taken.
        inbound: Vec<InboundId>,
        /// What they say.
        messages: Vec<Message>,
    },
    /// What the model is about to be shown, part by part.
    ContextBuilt {
        /// Which step it is for, from 1.
        step: u32,
        /// The parts.
        parts: Vec<ContextPart>,
    },
    /// A model call is whole and paid for; with it the calls it asks for, each decided.
    StepFinished {
        /// Which step, from 1.
        step: u32,
        /// Id of the model call.
        request: RequestId,
        /// The route or model asked for.
        model: String,
        /// `provider/model` that answered.
        target: String,
        /// What it used.
        usage: Usage,
        /// What it cost.
        cost: Usd,
        /// The answer, tool calls included.
        message: Message,
        /// The intents: what will run, be refused or be asked.
        calls: Vec<CallIntent>,
    },
    /// A call is about to run after a person said yes.
    CallStarted {
        /// Which call.
        call: CallId,
    },
    /// A call has its outcome.
    CallFinished {
        /// Which call.
        call: CallId,
        /// How it ended, as the model is told.
        outcome: ToolOutcome,
        /// Where the whole output is, if it was capped.
        blob: Option<String>,
    },
    /// A question was put to a person.
    ApprovalOpened {
        /// The question.
        approval: ApprovalId,
        /// The call it is about.
        call: CallId,
    },
    /// A person answered, or time did.
    ApprovalAnswered {
        /// The question.
        approval: ApprovalId,
        /// The call it is about.
        call: CallId,
        /// May it run?
        is_allowed: bool,
        /// What the person wrote; the answer itself for a question.
        note: String,
        /// Who.
        by: String,
    },
    /// Old content was replaced by a checkpoint.
    Compacted {
        /// The summary that stands for everything before this event.
        summary: String,
        /// What is kept after it, as the model sees it.
        kept: Vec<Message>,
        /// Tokens before and after.
        tokens: (u64, u64),
    },
    /// A line put into the conversation by Steward itself, such as the corrective step.
    Noted {
        /// The text.
        text: String,
    },
    /// The turn is over.
    TurnFinished {
        /// How.
        end: TurnStatus,
        /// The reply, or the error a person understands.
        text: String,
        /// The outbox row of the reply, if one goes out.
        outbox: Option<OutboxId>,
    },
}

/// A part of the context, for `steward turns show --context`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContextPart {
    /// `rules`, `SOUL.md`, `history` …
    pub name: String,
    /// Tokens by a real tokenizer.
    pub tokens: u64,
    /// The part's cap in characters; 0 for none.
    pub cap_chars: usize,
    /// Characters cut away.
    pub cut_chars: usize,
    /// A word to the reader: missing, not UTF-8 …
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// A call with the decision on it, durable before it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallIntent {
    /// The model's id.
    pub id: CallId,
    /// The tool.
    pub tool: String,
    /// The arguments, checked; the raw text as a string where they were malformed.
    pub arguments: Value,
    /// The files that those named when it was decided; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touched: Option<Box<Touched>>,
    /// What it would do.
    pub effect: Effect,
    /// What recovery may do with it.
    pub repeat: Repeat,
    /// The decision.
    pub ruling: Ruling,
}

/// Where a turn stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TurnStatus {
    /// Going on.
    Running,
    /// A person is asked.
    Waiting,
    /// Over, with an answer.
    Done,
    /// Over: not allowed.
    Refused,
    /// Over: someone said stop.
    Stopped,
    /// Over: it could not go on.
    Failed,
}

impl TurnStatus {
    /// The word kept in rows and shown to callers.
    pub fn as_str(self) -> &'static str {
        match self {
            TurnStatus::Running => "running",
            TurnStatus::Waiting => "waiting",
            TurnStatus::Done => "done",
            TurnStatus::Refused => "refused",
            TurnStatus::Stopped => "stopped",
            TurnStatus::Failed => "failed",
        }
    }
}
