//! The seam to the one authoriser: a call goes in, a decision with its reason comes out.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::files::{FileRules, Leave, NoFileRules, Touched};
use crate::id::{AgentName, SessionId};
use crate::principal::{Principal, Surface};

/// Decides whether a call may run. Pure: same request, same ruling.
pub trait Gate: Send + Sync {
    /// The ruling on one request.
    fn decide(&self, request: &GateRequest) -> Ruling;

    /// What the rules leave of single files for this call, for tools that meet files which the call does not name.
    fn file_rules(&self, request: &GateRequest, leave: Leave) -> Arc<dyn FileRules> {
        let _ = (request, leave);
        Arc::new(NoFileRules)
    }
}

/// What someone wants to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateRequest {
    /// Who.
    pub principal: Principal,
    /// For which agent.
    pub agent: AgentName,
    /// In which session.
    pub session: SessionId,
    /// Which tool.
    pub tool: String,
    /// With which arguments.
    pub arguments: Value,
    /// Which files those name.
    pub touched: Touched,
    /// What it would do.
    pub effect: Effect,
    /// Where the texts in context come from.
    pub marks: Marks,
    /// Through which door.
    pub surface: Surface,
}

/// What an action does to the world, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Looks only.
    Reads,
    /// Changes files of the workspace.
    Writes,
    /// Reaches people or other machines.
    Sends,
    /// Costs money beyond the model.
    Spends,
    /// Cannot be undone.
    Destroys,
}

/// Whose texts are in context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Something from outside (a web page, a file of others) is in context.
    pub has_outside: bool,
}

/// Yes, a question, or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It may run.
    Allow,
    /// A person decides.
    Ask,
    /// It must not run.
    Deny,
}

/// A decision and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// The decision.
    pub decision: Decision,
    /// A sentence for a person and the model.
    pub reason: String,
    /// The rule that decided, such as `policy.ask[1]` or `table.shell`.
    pub rule: String,
}
