//! The queue of one window: bounded, and fair among principals.
//!
//! A principal's requests keep their order; among principals it goes round and round, so that one who sends a thousand does not
//! keep out one who sends one. Who gives up has left at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use steward_domain::principal::Principal;
use tokio::sync::oneshot;

/// Those who wait, for things of type `T`.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    /// Principals with someone waiting, next one first.
    round: VecDeque<Principal>,
    waiting: HashMap<Principal, VecDeque<(u64, oneshot::Sender<T>)>>,
    count: usize,
    next_ticket: u64,
}

/// A place in the queue.
#[derive(Debug)]
pub(crate) struct Ticket<T> {
    pub(crate) number: u64,
    pub(crate) turn: oneshot::Receiver<T>,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        FairQueue {
            inner: Mutex::new(Inner {
                round: VecDeque::new(),
                waiting: HashMap::new(),
                count: 0,
                next_ticket: 0,
            }),
        }
    }
}

impl<T> FairQueue<T> {
    /// Takes a place behind the others of the same principal; `None` when `limit` wait already.
    pub(crate) fn join(&self, principal: &Principal, limit: usize) -> Option<Ticket<T>> {
        let mut inner = self.lock();
        if inner.count >= limit {
            return None;
        }
        let (sender, turn) = oneshot::channel();
        let number = inner.next_ticket;
        inner.next_ticket += 1;
        inner.count += 1;
        let line = inner.waiting.entry(principal.clone()).or_default();
        line.push_back((number, sender));
        if line.len() == 1 {
            inner.round.push_back(principal.clone());
        }
        Some(Ticket { number, turn })
    }

    /// Gives a place up. Without effect when its turn has come.
    pub(crate) fn leave(&self, principal: &Principal, number: u64) {
        let mut inner = self.lock();
        let Some(line) = inner.waiting.get_mut(principal) else { return };
        let before = line.len();
        line.retain(|(other, _)| *other != number);
        let left = before - line.len();
        if line.is_empty() {
            inner.waiting.remove(principal);
            inner.round.retain(|other| other != principal);
        }
        inner.count -= left;
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().count
    }

    /// Whose turn is next, taken out of the queue.
    pub(crate) fn pop(&self) -> Option<oneshot::Sender<T>> {
        let mut inner = self.lock();
        let principal = inner.round.pop_front()?;
        let line = inner.waiting.get_mut(&principal)?;
        let (_, sender) = line.pop_front()?;
        if line.is_empty() {
            inner.waiting.remove(&principal);
        } else {
            inner.round.push_back(principal);
        }
        inner.count -= 1;
        Some(sender)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
