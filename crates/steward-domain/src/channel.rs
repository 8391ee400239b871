//! The seam to a channel: messages in, messages out with a receipt.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::id::ChannelName;
use crate::message::Part;

/// A way in and out.
pub trait Channel: Send + Sync {
    /// Its name.
    fn name(&self) -> &ChannelName;
    /// Messages as they come. The caller stores each before it drops the item's acknowledgement.
    fn receive(&self) -> BoxStream<'static, Received>;
    /// Sends one message; the same key twice is one message where the platform can tell.
    fn send(&self, message: Outbound, idempotency_key: String) -> BoxFuture<'_, Result<Receipt, SendError>>;
}

/// A message with the means to acknowledge it once it is durable.
pub struct Received {
    /// The message.
    pub inbound: Inbound,
    /// Called after the inbox row is durable.
    pub acknowledge: Box<dyn FnOnce() + Send>,
}

/// A message that came in, in one normal form for all platforms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inbound {
    /// Through which channel.
    pub channel: ChannelName,
    /// Stable id of the sender on that channel, or the user name on our own.
    pub sender: String,
    /// The thread: together with channel and agent it names the session.
    pub thread: String,
    /// What it says.
    pub parts: Vec<Part>,
    /// The platform's id of the message, unique in the channel.
    pub external_id: String,
}

/// A message to go out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outbound {
    /// Through which channel.
    pub channel: ChannelName,
    /// To which thread.
    pub thread: String,
    /// The text, in Markdown.
    pub text: String,
    /// It may have been delivered before: a crash hid the receipt.
    pub is_possible_repeat: bool,
}

/// The platform's word that it has the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The platform's id of the sent message.
    pub external_id: String,
}

/// Why a send did not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Try again after this.
    #[error("the channel asks to wait {0:?}")]
    Later(Duration),
    /// It will never take this message.
    #[error("the channel refused the message: {0}")]
    Rejected(String),
    /// It is not connected.
    #[error("the channel is disconnected")]
    Disconnected,
}
