//! Takes messages from a channel: stored first, acknowledged after.

use std::sync::Arc;

use futures_util::StreamExt;
use steward_domain::channel::Channel;
use steward_domain::principal::{Principal, Surface};
use tracing::error;

use crate::inbox::NewMessage;
use crate::runtime::Runtime;

pub(super) async fn run(runtime: Arc<Runtime>, channel: Arc<dyn Channel>) {
    let mut messages = channel.receive();
    loop {
        let received = tokio::select! {
            () = runtime.shutdown.cancelled() => return,
            received = messages.next() => received,
        };
        let Some(received) = received else { return };
        let inbound = received.inbound;
        let Some(agent) = runtime.settings().agents.keys().next().cloned() else {
            return;
        };
        let message = NewMessage {
            principal: Principal::User(format!("{}:{}", inbound.channel, inbound.sender)),
            surface: Surface::Channel,
            channel: inbound.channel,
            agent,
            thread: inbound.thread,
            external_id: inbound.external_id,
            parts: inbound.parts,
        };
        // Only what is durable is acknowledged; the platform repeats the rest.
        match runtime.send(message).await {
            Ok(_) => (received.acknowledge)(),
            Err(cause) => error!(channel = %channel.name(), error = %cause, "a message could not be stored and stays unacknowledged"),
        }
    }
}
