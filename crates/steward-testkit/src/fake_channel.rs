//! A channel without a platform: tests push messages in and see what was sent out.
//!
//! It behaves like the platforms do: a message comes again until it is acknowledged, and a send can fail, hang, or arrive
//! without its receipt.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use steward_domain::channel::{Channel, Inbound, Outbound, Receipt, Received, SendError};
use steward_domain::id::ChannelName;
use steward_domain::message::Part;
use tokio::sync::Notify;

/// A channel that tests hold both ends of. Clones are the same channel.
#[derive(Clone, Debug)]
pub struct FakeChannel {
    name: ChannelName,
    dedupe: Dedupe,
    shared: Arc<Shared>,
}

/// Whether the platform knows a key again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dedupe {
    /// The same key twice is one message.
    ByKey,
    /// It takes every send for a new message.
    Never,
}

/// What goes wrong with a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing arrives and the caller is told why.
    Refuse(SendError),
    /// The message arrives, the receipt does not: the caller sees a lost connection.
    LoseReceipt,
    /// The message arrives and the caller never hears; it will be killed while it waits.
    HangAfterDelivery,
}

/// A message that arrived on the platform.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// The message.
    pub message: Outbound,
    /// The key it came with.
    pub idempotency_key: String,
    /// The platform's id for it.
    pub receipt: Receipt,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    inbound: Vec<(Inbound, IsAcknowledged)>,
    sent: Vec<Sent>,
    attempts: usize,
    faults: VecDeque<Fault>,
}

type IsAcknowledged = bool;

impl FakeChannel {
    /// A channel with a name, on a platform that does not know keys.
    pub fn new(name: &str) -> Self {
        Self::with_dedupe(name, Dedupe::Never)
    }

    /// A channel with a name.
    pub fn with_dedupe(name: &str, dedupe: Dedupe) -> Self {
        FakeChannel {
            name: ChannelName::from_text(name),
            dedupe,
            shared: Arc::default(),
        }
    }

    /// Someone writes a text. Gives the message's external id.
    pub fn push_text(&self, sender: &str, thread: &str, text: &str) -> String {
        let external_id = format!("in-{}", self.lock().inbound.len());
        self.push(Inbound {
            channel: self.name.clone(),
            sender: sender.to_owned(),
            thread: thread.to_owned(),
            parts: vec![Part::text(text)],
            external_id: external_id.clone(),
        });
        external_id
    }

    /// A message comes in.
    pub fn push(&self, inbound: Inbound) {
        self.lock().inbound.push((inbound, false));
        self.shared.news.notify_waiters();
    }

    /// External ids of what was acknowledged, in the order it came.
    pub fn acknowledged(&self) -> Vec<String> {
        let state = self.lock();
        let done = state.inbound.iter().filter(|(_, is_acknowledged)| *is_acknowledged);
        done.map(|(inbound, _)| inbound.external_id.clone()).collect()
    }

    /// What arrived on the platform, in order.
    pub fn sent(&self) -> Vec<Sent> {
        self.lock().sent.clone()
    }

    /// How often a send was tried.
    pub fn attempts(&self) -> usize {
        self.lock().attempts
    }

    /// The next `times` sends go wrong like this, after the faults that are planned already.
    pub fn fail_next(&self, times: usize, fault: &Fault) {
        self.lock().faults.extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// Resolves once `count` messages have arrived. Gives up after five seconds of real time and tells whether they have.
    pub async fn wait_for_sent(&self, count: usize) -> bool {
        for _ in 0..2_500 {
            if self.lock().sent.len() >= count {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, message: Outbound, idempotency_key: String) -> Receipt {
        let mut state = self.lock();
        let known = state.sent.iter().find(|sent| sent.idempotency_key == idempotency_key);
        if let (Dedupe::ByKey, Some(sent)) = (self.dedupe, known) {
            return sent.receipt.clone();
        }
        let receipt = Receipt {
            external_id: format!("out-{}", state.sent.len()),
        };
        state.sent.push(Sent {
            message,
            idempotency_key,
            receipt: receipt.clone(),
        });
        receipt
    }

    /// The first unacknowledged message at or after `from`, and the position behind it.
    fn next_after(&self, from: usize) -> Option<(Inbound, usize)> {
        let state = self.lock();
        let mut rest = state.inbound.iter().enumerate().skip(from);
        let (at, (inbound, _)) = rest.find(|(_, (_, is_acknowledged))| !is_acknowledged)?;
        Some((inbound.clone(), at + 1))
    }

    async fn receive_after(self, from: usize) -> (Received, (Self, usize)) {
        let shared = Arc::clone(&self.shared);
        loop {
            // Made before the look, so that a message that comes in between is not missed.
            let news = shared.news.notified();
            if let Some((inbound, next)) = self.next_after(from) {
                let channel = self.clone();
                let acknowledge = Box::new(move || channel.lock().inbound[next - 1].1 = true);
                return (Received { inbound, acknowledge }, (self, next));
            }
            news.await;
        }
    }
}

impl Channel for FakeChannel {
    fn name(&self) -> &ChannelName {
        &self.name
    }

    fn receive(&self) -> BoxStream<'static, Received> {
        let start = (self.clone(), 0);
        stream::unfold(start, |(channel, from)| async move { Some(channel.receive_after(from).await) }).boxed()
    }

    fn send(&self, message: Outbound, idempotency_key: String) -> BoxFuture<'_, Result<Receipt, SendError>> {
        Box::pin(async move {
            let fault = {
                let mut state = self.lock();
                state.attempts += 1;
                state.faults.pop_front()
            };
            match fault {
                None => Ok(self.deliver(message, idempotency_key)),
                Some(Fault::Refuse(error)) => Err(error),
                Some(Fault::LoseReceipt) => {
                    self.deliver(message, idempotency_key);
                    Err(SendError::Disconnected)
                }
                Some(Fault::HangAfterDelivery) => {
                    self.deliver(message, idempotency_key);
                    std::future::pending().await
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
