//! Asks the gate about a call: when the model makes it, and again at the moment it is run.
//!
//! Never runs a call on other files than those that were decided on: a link may have changed while a person thought.

use std::sync::Arc;

use serde_json::Value;
use steward_domain::decision::{Decision, Effect, GateRequest, Marks};
use steward_domain::files::{FileRules, Leave, Touched};
use steward_domain::journal::CallIntent;
use steward_domain::principal::{Principal, Surface};
use steward_domain::tool::Tool;

use crate::turn::Loop;

impl Loop<'_> {
    /// What the gate is asked about a call.
    pub(crate) fn question(&self, tool: &str, arguments: &Value, what: (Effect, Touched), marks: Marks) -> GateRequest {
        let (effect, touched) = what;
        GateRequest {
            principal: Principal::Agent(self.turn.agent.as_str().to_owned()),
            agent: self.turn.agent.clone(),
            session: self.turn.session.clone(),
            tool: tool.to_owned(),
            arguments: arguments.clone(),
            touched,
            effect,
            marks,
            surface: Surface::Turn,
        }
    }

    /// Does the decision on a call still hold? Gives the limits on the files that it meets, or why it must not run.
    pub(crate) fn confirm(&self, tool: &dyn Tool, intent: &CallIntent) -> Result<Arc<dyn FileRules>, String> {
        let touched = tool.touches(&intent.arguments)?;
        let is_as_decided = intent.touched.as_ref().is_none_or(|decided| **decided == touched);
        // Marks were weighed when the call was made; here only the files can be different.
        let request = self.question(&intent.tool, &intent.arguments, (intent.effect, touched), Marks::default());
        let now = self.turn.gate.decide(&request);
        let was_asked = intent.ruling.decision == Decision::Ask;
        let holds = match now.decision {
            Decision::Allow => is_as_decided || !was_asked,
            Decision::Ask => is_as_decided && was_asked,
            Decision::Deny => return Err(now.reason),
        };
        if !holds {
            return Err(
                "what it names leads to other files than when it was decided, or the rules have changed; make the call again".into(),
            );
        }
        let leave = if was_asked { Leave::Given } else { Leave::NotGiven };
        Ok(self.turn.gate.file_rules(&request, leave))
    }
}
