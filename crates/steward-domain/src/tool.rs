//! The seam to a tool: what it is, what it does to the world, and one call.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decision::Effect;
use crate::files::{FileRules, Touched};
use crate::id::{AgentName, CallId, SessionId, TurnId};
use crate::message::Part;

/// Something an agent can do.
pub trait Tool: Send + Sync {
    /// What it is.
    fn spec(&self) -> &ToolSpec;

    /// What this very call would do to the world; `shell` answers by command.
    fn effect_of(&self, arguments: &Value) -> Effect {
        let _ = arguments;
        self.spec().effect
    }

    /// The files that this very call names, resolved as the call itself would. The rules decide on these, not on the text.
    ///
    /// # Errors
    /// A sentence for the model when the arguments name nothing that can be resolved; the call is not run then.
    fn touches(&self, arguments: &Value) -> Result<Touched, String> {
        let _ = arguments;
        Ok(Touched::nothing())
    }

    /// Runs the call. Dropping the future stops it and everything it started.
    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'_, ToolOutcome>;

    /// Ends what calls that are over left running, such as background processes, and tells what was ended. Must take less than a second.
    fn end_left_running(&self, by: LeftBy) -> BoxFuture<'_, Vec<Evidence>> {
        let _ = by;
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// Whose calls left something running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftBy {
    /// One turn's.
    Turn(TurnId),
    /// Those of all turns of a session.
    Session(SessionId),
}

/// What a tool is.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// Its name, as in contract.md.
    pub name: &'static str,
    /// The group it belongs to in `tools = […]` of an agent: `files`, `shell`, `web`, `sessions` …
    pub group: &'static str,
    /// What the model is told; short, it is in every prompt.
    pub description: &'static str,
    /// JSON Schema of the arguments.
    pub input_schema: Value,
    /// What it does at most.
    pub effect: Effect,
    /// What may be done after a crash that left no result.
    pub repeat: Repeat,
    /// Its results are text from outside, hostile until shown otherwise.
    pub gives_outside: bool,
}

/// May a call without a known result be run again?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Yes: it reads, or it compares before it writes.
    Safe,
    /// No: its fate is `Uncertain`.
    Never,
}

/// Where and for whom a call runs.
#[derive(Clone, Debug)]
pub struct ToolContext {
    /// The turn.
    pub turn: TurnId,
    /// The session.
    pub session: SessionId,
    /// The agent.
    pub agent: AgentName,
    /// The call; also the idempotency key towards the world.
    pub call: CallId,
    /// This call was begun before a crash and is run again.
    pub is_repeat: bool,
    /// What the rules leave of the files that the call meets.
    pub files: Arc<dyn FileRules>,
}

/// How a call ended. The model reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ToolOutcome {
    /// It did what it should.
    Done(ToolOutput),
    /// It did not, and why.
    Failed {
        /// A sentence for the model.
        reason: String,
    },
    /// It was not allowed, and why.
    Refused {
        /// A sentence for the model.
        reason: String,
    },
    /// It may or may not have happened.
    Uncertain {
        /// What is known.
        reason: String,
    },
}

impl ToolOutcome {
    /// Done, with a text.
    pub fn done(text: impl Into<String>) -> Self {
        ToolOutcome::Done(ToolOutput {
            parts: vec![Part::text(text)],
            evidence: Vec::new(),
        })
    }

    /// Failed, with a reason.
    pub fn failed(reason: impl Into<String>) -> Self {
        ToolOutcome::Failed { reason: reason.into() }
    }
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolOutput {
    /// What the model reads.
    pub parts: Vec<Part>,
    /// What the receipt keeps: what was read, written, sent.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
}

/// One fact for the receipt of a turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was done.
    pub action: EvidenceAction,
    /// To what: a path, an address, a recipient, a command line.
    pub object: String,
    /// A hash, a size, an exit status, a receipt id.
    pub detail: String,
}

/// Kinds of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceAction {
    /// Looked at.
    Read,
    /// Changed.
    Wrote,
    /// Sent.
    Sent,
    /// Ran.
    Ran,
    /// Fetched from outside.
    Fetched,
}
