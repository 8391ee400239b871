//! A question to a person and its answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalKind {
    /// May this call run?
    Call,
    /// The agent's own question, from the `ask` tool.
    Question,
}

/// How long an allowance holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// For this call.
    #[default]
    Once,
    /// For this tool and these arguments' shape in this session.
    Session,
    /// From now on; a visible rule is written.
    Always,
}

/// Where a question stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Nobody has answered.
    Waiting,
    /// Yes.
    Allowed,
    /// No.
    Denied,
    /// Nobody answered in time, which is No.
    Expired,
    /// A question with its answer.
    Answered,
}
