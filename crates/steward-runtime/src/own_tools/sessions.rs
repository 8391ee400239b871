//! `sessions`: lists the agent's sessions and reads the history of one.

use std::sync::Weak;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::principal::{Principal, Role};
use steward_domain::tool::{Repeat, Tool, ToolContext, ToolOutcome, ToolSpec};

use crate::access::Identity;
use crate::error::ServiceError;
use crate::runtime::Runtime;

/// Sessions shown at once.
const SHOWN: usize = 30;

pub(crate) struct SessionsTool {
    runtime: Weak<Runtime>,
    spec: ToolSpec,
}

impl SessionsTool {
    pub(crate) fn new(runtime: Weak<Runtime>) -> Self {
        let spec = ToolSpec {
            name: "sessions",
            group: "sessions",
            description: include_str!("../../prompts/sessions.md"),
            input_schema: json!({"type": "object", "properties": {"session": {"type": "string"}}}),
            effect: Effect::Reads,
            repeat: Repeat::Safe,
            gives_outside: false,
        };
        SessionsTool { runtime, spec }
    }

    async fn list(&self, runtime: &Runtime, agent: &str, identity: &Identity) -> Result<String, ServiceError> {
        let sessions = runtime.sessions(200, identity).await?;
        let own = sessions.iter().filter(|session| session.agent == agent).take(SHOWN);
        let lines: Vec<String> = own
            .map(|session| {
                format!(
                    "{} on {}, last {}: {}",
                    session.name, session.channel, session.last_at, session.title
                )
            })
            .collect();
        Ok(if lines.is_empty() {
            "no sessions yet".into()
        } else {
            lines.join("\n")
        })
    }

    async fn history(&self, runtime: &Runtime, agent: &str, name: &str, identity: &Identity) -> Result<String, ServiceError> {
        let session = runtime.session(name, identity).await?;
        if session.agent.as_str() != agent {
            return Err(ServiceError::not_found("session", name));
        }
        let (messages, _) = runtime.messages(session.id.as_str(), None, 40, identity).await?;
        let lines: Vec<String> = messages
            .iter()
            .map(|message| format!("{} {}: {}", message.at, message.role, message.text))
            .collect();
        Ok(lines.join("\n"))
    }
}

impl Tool for SessionsTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'_, ToolOutcome> {
        async move {
            let Some(runtime) = self.runtime.upgrade() else {
                return ToolOutcome::failed("Steward is stopping");
            };
            let agent = context.agent.as_str();
            let identity = match own_identity(&runtime, &context).await {
                Ok(identity) => identity,
                Err(error) => return ToolOutcome::failed(error.to_string()),
            };
            let answer = match arguments["session"].as_str() {
                Some(name) => self.history(&runtime, agent, name, &identity).await,
                None => self.list(&runtime, agent, &identity).await,
            };
            answer.map_or_else(|error| ToolOutcome::failed(error.to_string()), ToolOutcome::done)
        }
        .boxed()
    }
}

/// The agent sees what the person sees for whom it works: it never has more rights than its caller.
async fn own_identity(runtime: &Runtime, context: &ToolContext) -> Result<Identity, ServiceError> {
    let turn = context.turn.clone();
    let row = runtime.store().read(move |tx| steward_store::turns::get(tx, &turn)).await?;
    let principal = row.map_or(Principal::Agent(context.agent.as_str().to_owned()), |row| row.principal);
    Ok(Identity {
        principal,
        role: Role::Member,
        user: None,
        team: None,
        agent: None,
        key: None,
    })
}
