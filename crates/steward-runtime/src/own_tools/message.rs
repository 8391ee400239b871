//! `message`: sends text to a thread of a channel, through the outbox.

use std::sync::Weak;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use steward_domain::channel::Receipt;
use steward_domain::decision::Effect;
use steward_domain::id::{ChannelName, OutboxId};
use steward_domain::message::Part;
use steward_domain::tool::{Evidence, EvidenceAction, Repeat, Tool, ToolContext, ToolOutcome, ToolOutput, ToolSpec};
use steward_store::outbox::{self, NewOutbox};

use super::sessions::own_identity;
use crate::runtime::Runtime;
use crate::sessions::own_thread;

pub(crate) struct MessageTool {
    runtime: Weak<Runtime>,
    spec: ToolSpec,
}

impl MessageTool {
    pub(crate) fn new(runtime: Weak<Runtime>) -> Self {
        let input_schema = json!({
            "type": "object",
            "properties": {"to": {"type": "string"}, "text": {"type": "string"}},
            "required": ["to", "text"]
        });
        let spec = ToolSpec {
            name: "message",
            group: "sessions",
            description: include_str!("../../prompts/message.md"),
            input_schema,
            effect: Effect::Sends,
            // The outbox takes each key once, so the call may be run again.
            repeat: Repeat::Safe,
            gives_outside: false,
        };
        MessageTool { runtime, spec }
    }
}

impl Tool for MessageTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'_, ToolOutcome> {
        async move {
            let Some(runtime) = self.runtime.upgrade() else {
                return ToolOutcome::failed("Steward is stopping");
            };
            let text = arguments["text"].as_str().unwrap_or_default().to_owned();
            let to = arguments["to"].as_str().unwrap_or_default().to_owned();
            let Some((channel, thread)) = to.split_once(':') else {
                return ToolOutcome::failed(format!(
                    "{to:?} is no address: write CHANNEL:THREAD, such as web:main or terminal:main"
                ));
            };
            let channel = ChannelName::from(channel);
            let is_own = matches!(channel.as_str(), "web" | "terminal");
            if !is_own && !runtime.channels.contains_key(&channel) {
                return ToolOutcome::failed(format!("there is no channel {channel}"));
            }
            let thread = match own_identity(&runtime, &context).await {
                Ok(identity) if is_own => own_thread(&identity.principal, thread),
                Ok(_) => thread.to_owned(),
                Err(error) => return ToolOutcome::failed(error.to_string()),
            };
            let now = runtime.clock.now();
            let key = format!("message-{}-{}", context.turn, context.call);
            let new = NewOutbox {
                id: OutboxId::generate(),
                session: context.session,
                turn: Some(context.turn),
                channel,
                thread,
                text: text.clone(),
                idempotency_key: key,
                created_at: now,
            };
            let queued = runtime.store.write(move |tx| {
                let id = outbox::enqueue(tx, &new)?.id;
                if is_own {
                    // Our own channels read the rows: being durable is being delivered.
                    outbox::sent(
                        tx,
                        &id,
                        &Receipt {
                            external_id: format!("row:{id}"),
                        },
                        now,
                    )?;
                }
                Ok(id)
            });
            match queued.await {
                Ok(id) => {
                    let state = if is_own {
                        "delivered"
                    } else {
                        "queued; it is sent until the channel confirms it"
                    };
                    let evidence = vec![Evidence {
                        action: EvidenceAction::Sent,
                        object: to.clone(),
                        detail: format!("outbox {id}"),
                    }];
                    ToolOutcome::Done(ToolOutput {
                        parts: vec![Part::text(format!("message to {to} {state} ({id})"))],
                        evidence,
                    })
                }
                Err(error) => ToolOutcome::failed(format!("the message could not be queued: {error}")),
            }
        }
        .boxed()
    }
}
