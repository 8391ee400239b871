//! `sessions`: lists the agent's sessions, reads the history of one, or writes to the session of another agent.

use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::id::{AgentName, ChannelName};
use steward_domain::message::Part;
use steward_domain::principal::{Principal, Role, Surface};
use steward_domain::tool::{Evidence, EvidenceAction, Repeat, Tool, ToolContext, ToolOutcome, ToolOutput, ToolSpec};

use crate::access::Identity;
use crate::error::ServiceError;
use crate::inbox::NewMessage;
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
            input_schema: json!({"type": "object", "properties": {"session": {"type": "string"}, "agent": {"type": "string"}, "text": {"type": "string"}}}),
            effect: Effect::Sends,
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

    fn effect_of(&self, arguments: &Value) -> Effect {
        if arguments.get("text").is_some() {
            Effect::Sends
        } else {
            Effect::Reads
        }
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
            if let Some(text) = arguments["text"].as_str() {
                return send(&runtime, &identity, &arguments, (text, &context)).await;
            }
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
pub(super) async fn own_identity(runtime: &Runtime, context: &ToolContext) -> Result<Identity, ServiceError> {
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

/// Writes to another agent's session, on behalf of the same person; the call's id makes a repeat the same message.
async fn send(runtime: &Arc<Runtime>, identity: &Identity, arguments: &Value, (text, context): (&str, &ToolContext)) -> ToolOutcome {
    let Some(agent) = arguments["agent"].as_str() else {
        return ToolOutcome::failed("`text` needs `agent`: to which agent shall it go?");
    };
    if agent == context.agent.as_str() {
        return ToolOutcome::failed("an agent does not write to itself");
    }
    let message = NewMessage {
        principal: identity.principal.clone(),
        surface: Surface::Turn,
        channel: ChannelName::from("agent"),
        agent: AgentName::from(agent),
        thread: arguments["session"].as_str().unwrap_or("main").to_owned(),
        external_id: format!("{}-{}", context.turn, context.call),
        parts: vec![Part::text(format!("[from agent {}] {text}", context.agent))],
    };
    match runtime.send(message).await {
        Ok(taken) => {
            let turn = taken.turn.map(|turn| turn.to_string()).unwrap_or_else(|| "its next turn".into());
            let evidence = vec![Evidence {
                action: EvidenceAction::Sent,
                object: format!("agent:{agent}"),
                detail: format!("taken by {turn}"),
            }];
            ToolOutcome::Done(ToolOutput {
                parts: vec![Part::text(format!("sent to agent {agent}, taken by {turn}"))],
                evidence,
            })
        }
        Err(error) => ToolOutcome::failed(error.to_string()),
    }
}
