//! What every channel promises: nothing is lost before it is acknowledged, and a receipt means that the platform has it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use steward_domain::channel::{Channel, Outbound, Received};
use steward_domain::message::Part;

use super::PATIENCE;
use crate::fake_channel::Dedupe;

/// A channel with the other end in the hands of the test.
pub trait ChannelRig: Send + Sync {
    /// The channel.
    fn channel(&self) -> Arc<dyn Channel>;
    /// Someone on the platform writes `text` in `thread`.
    fn says<'a>(&'a self, thread: &'a str, text: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
    /// The texts that arrived on the platform, oldest first.
    fn heard(&self) -> Pin<Box<dyn Future<Output = Vec<String>> + Send + '_>>;
    /// Whether the platform knows a key again.
    fn dedupe(&self) -> Dedupe;
}

/// The channel has a name that may stand in a session's name.
pub async fn has_a_plain_name(rig: &dyn ChannelRig) {
    let channel = rig.channel();
    let name = channel.name().as_str();
    let is_plain = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    assert!(is_plain, "{name:?} is no plain channel name");
}

/// A message comes through with its text, its thread and the channel's name.
pub async fn brings_what_was_said(rig: &dyn ChannelRig) {
    rig.says("thread-1", "hello").await;
    let channel = rig.channel();
    let inbound = first(&channel).await.inbound;
    assert_eq!(inbound.channel, *channel.name());
    assert_eq!(inbound.thread, "thread-1");
    assert_eq!(text_of(&inbound.parts), "hello");
    assert!(!inbound.sender.is_empty(), "a message has a sender");
    assert!(!inbound.external_id.is_empty(), "a message has an id that stays");
}

/// A message that was not acknowledged comes again, with the same id.
pub async fn brings_again_what_was_not_acknowledged(rig: &dyn ChannelRig) {
    rig.says("thread-1", "hello").await;
    let channel = rig.channel();
    let before = first(&channel).await.inbound.external_id;
    let after = first(&channel).await.inbound.external_id;
    assert_eq!(before, after);
}

/// A message that was acknowledged does not come again.
pub async fn does_not_bring_again_what_was_acknowledged(rig: &dyn ChannelRig) {
    let channel = rig.channel();
    rig.says("thread-1", "one").await;
    (first(&channel).await.acknowledge)();
    rig.says("thread-1", "two").await;
    let next = first(&channel).await.inbound;
    assert_eq!(text_of(&next.parts), "two");
}

/// Two messages have two ids.
pub async fn tells_messages_apart(rig: &dyn ChannelRig) {
    let channel = rig.channel();
    rig.says("thread-1", "same").await;
    rig.says("thread-1", "same").await;
    let mut stream = channel.receive();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let received = tokio::time::timeout(PATIENCE, stream.next())
            .await
            .expect("it comes in time")
            .expect("it comes");
        ids.push(received.inbound.external_id);
    }
    assert_ne!(ids[0], ids[1]);
}

/// A receipt means that the text arrived.
pub async fn gives_a_receipt_for_what_arrived(rig: &dyn ChannelRig) {
    let receipt = rig
        .channel()
        .send(outbound(rig, "hello"), "key-1".to_owned())
        .await
        .expect("the send works");
    assert!(!receipt.external_id.is_empty());
    let heard = rig.heard().await;
    assert!(heard.iter().any(|text| text.contains("hello")), "the platform heard {heard:?}");
}

/// Where the platform knows keys, the same key twice is one message with one receipt.
pub async fn sends_once_for_one_key(rig: &dyn ChannelRig) {
    if rig.dedupe() == Dedupe::Never {
        return;
    }
    let channel = rig.channel();
    let one = channel
        .send(outbound(rig, "hello"), "key-1".to_owned())
        .await
        .expect("the send works");
    let two = channel
        .send(outbound(rig, "hello"), "key-1".to_owned())
        .await
        .expect("the send works");
    assert_eq!(one, two);
    assert_eq!(rig.heard().await.len(), 1);
}

/// A text of a megabyte with wide characters is sent or refused; it does not panic.
pub async fn survives_a_long_text(rig: &dyn ChannelRig) {
    let long = "déjà vu 🙂 ".repeat(64 * 1024);
    // Both answers are right; what counts is that there is one.
    let _ = tokio::time::timeout(PATIENCE, rig.channel().send(outbound(rig, &long), "key-long".to_owned()))
        .await
        .expect("a long text is answered in time");
}

fn outbound(rig: &dyn ChannelRig, text: &str) -> Outbound {
    Outbound {
        channel: rig.channel().name().clone(),
        thread: "thread-1".to_owned(),
        text: text.to_owned(),
        is_possible_repeat: false,
    }
}

async fn first(channel: &Arc<dyn Channel>) -> Received {
    let mut stream = channel.receive();
    tokio::time::timeout(PATIENCE, stream.next())
        .await
        .expect("a message comes in time")
        .expect("a message comes")
}

fn text_of(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text { text, .. } => Some(text.as_str()),
        Part::Image { .. }
        | Part::File { .. }
        | Part::Thinking { .. }
        | Part::ToolCall(_)
        | Part::ToolResult { .. }
        | Part::Opaque { .. } => None,
    });
    texts.collect()
}

/// Makes a test module that holds a channel to its promises: `channel_contract!(telegram, TelegramRig::new().await)`.
#[macro_export]
macro_rules! channel_contract {
    ($module:ident, $rig:expr) => {
        $crate::channel_contract!(@tests $module, $rig,
            has_a_plain_name,
            brings_what_was_said,
            brings_again_what_was_not_acknowledged,
            does_not_bring_again_what_was_acknowledged,
            tells_messages_apart,
            gives_a_receipt_for_what_arrived,
            sends_once_for_one_key,
            survives_a_long_text,
        );
    };
    (@tests $module:ident, $rig:expr, $($promise:ident,)*) => {
        mod $module {
            use super::*;
            $(
                #[test]
                fn $promise() {
                    $crate::contract::run(async { $crate::contract::channel::$promise(&$rig).await });
                }
            )*
        }
    };
}
