use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use steward_domain::channel::{Channel, Outbound, SendError};

use super::{Dedupe, FakeChannel, Fault};
use crate::contract::channel::ChannelRig;

impl ChannelRig for FakeChannel {
    fn channel(&self) -> Arc<dyn Channel> {
        Arc::new(self.clone())
    }

    fn says<'a>(&'a self, thread: &'a str, text: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.push_text("someone", thread, text);
        Box::pin(std::future::ready(()))
    }

    fn heard(&self) -> Pin<Box<dyn Future<Output = Vec<String>> + Send + '_>> {
        let texts = self.sent().into_iter().map(|sent| sent.message.text).collect();
        Box::pin(std::future::ready(texts))
    }

    fn dedupe(&self) -> Dedupe {
        self.dedupe
    }
}

crate::channel_contract!(without_keys, FakeChannel::new("fake"));
crate::channel_contract!(with_keys, FakeChannel::with_dedupe("fake", Dedupe::ByKey));

fn hello() -> Outbound {
    Outbound {
        channel: "fake".into(),
        thread: "thread-1".to_owned(),
        text: "hello".to_owned(),
        is_possible_repeat: false,
    }
}

#[tokio::test]
async fn planned_faults_come_in_their_order() {
    let channel = FakeChannel::new("fake");
    channel.fail_next(1, &Fault::Refuse(SendError::Later(Duration::from_secs(3))));
    channel.fail_next(1, &Fault::LoseReceipt);
    assert_eq!(
        channel.send(hello(), "k".to_owned()).await,
        Err(SendError::Later(Duration::from_secs(3)))
    );
    assert!(channel.sent().is_empty());
    assert_eq!(channel.send(hello(), "k".to_owned()).await, Err(SendError::Disconnected));
    assert_eq!(channel.sent().len(), 1, "the message arrived, its receipt did not");
    assert!(channel.send(hello(), "k".to_owned()).await.is_ok());
    assert_eq!(channel.sent().len(), 2, "this platform does not know keys");
    assert_eq!(channel.attempts(), 3);
}

#[tokio::test]
async fn a_send_can_hang_after_delivery() {
    let channel = FakeChannel::new("fake");
    channel.fail_next(1, &Fault::HangAfterDelivery);
    let waited = tokio::time::timeout(Duration::from_millis(20), channel.send(hello(), "k".to_owned())).await;
    assert!(waited.is_err());
    assert_eq!(channel.sent().len(), 1);
}
