//! Answers within a bound of bytes: the least used go first, those past their time when they are met.
//!
//! An answer that has a meaning can also be found by nearness, among those with the same fingerprint.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use steward_domain::clock::Timestamp;

use super::Kept;
use super::embed::nearness;
use super::guard::Guard;
use super::key::Key;
use crate::wait::since;

/// Answers with one fingerprint that are compared; the oldest is no longer found by nearness.
const NEIGHBOURS: usize = 512;

/// How old an answer may be at an instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age {
    pub(crate) now: Timestamp,
    pub(crate) limit: Duration,
}

/// What a message means, and what goes with it.
#[derive(Clone, Debug)]
pub(crate) struct Meaning {
    /// Everything of the request but the message.
    pub(crate) fingerprint: Key,
    pub(crate) vector: Vec<f32>,
    pub(crate) guard: Guard,
}

/// Answers by key.
#[derive(Debug)]
pub(crate) struct Shelf {
    slots: HashMap<Key, Slot>,
    by_use: BTreeMap<u64, Key>,
    by_fingerprint: HashMap<Key, Vec<Key>>,
    bytes: usize,
    room: usize,
    uses: u64,
    evicted: u64,
}

#[derive(Debug)]
struct Slot {
    kept: Arc<Kept>,
    meaning: Option<Meaning>,
    at: Timestamp,
    lives_for: Duration,
    used: u64,
    bytes: usize,
}

impl Shelf {
    pub(crate) fn new(room: usize) -> Self {
        Shelf {
            slots: HashMap::new(),
            by_use: BTreeMap::new(),
            by_fingerprint: HashMap::new(),
            bytes: 0,
            room,
            uses: 0,
            evicted: 0,
        }
    }

    /// Gives it another bound.
    pub(crate) fn resize(&mut self, room: usize) {
        self.room = room;
        self.make_room(0);
    }

    /// The answer of a key, if it is young enough.
    pub(crate) fn get(&mut self, key: &Key, age: Age) -> Option<Arc<Kept>> {
        let slot = self.slots.get(key)?;
        let old = since(age.now, slot.at);
        if old >= slot.lives_for {
            self.remove(key);
            return None;
        }
        if old >= age.limit {
            return None;
        }
        self.uses += 1;
        let uses = self.uses;
        let slot = self.slots.get_mut(key)?;
        self.by_use.remove(&slot.used);
        self.by_use.insert(uses, *key);
        slot.used = uses;
        Some(Arc::clone(&slot.kept))
    }

    /// The nearest answer that is near enough, young enough, and not guarded against.
    pub(crate) fn nearest(&mut self, meaning: &Meaning, threshold: f32, age: Age) -> Option<Arc<Kept>> {
        let keys = self.by_fingerprint.get(&meaning.fingerprint)?;
        let mut best: Option<(f32, Key)> = None;
        for key in keys {
            let Some(slot) = self.slots.get(key) else { continue };
            let Some(known) = &slot.meaning else { continue };
            if since(age.now, slot.at) >= age.limit || known.guard != meaning.guard {
                continue;
            }
            let near = nearness(&known.vector, &meaning.vector);
            if near >= threshold && best.is_none_or(|(nearest, _)| near > nearest) {
                best = Some((near, *key));
            }
        }
        self.get(&best?.1, age)
    }

    /// Keeps an answer for as long as `age` says, in place of the one before.
    pub(crate) fn put(&mut self, key: Key, kept: Arc<Kept>, meaning: Option<Meaning>, age: Age) {
        self.remove(&key);
        let vector_bytes = meaning.as_ref().map_or(0, |meaning| meaning.vector.len() * size_of::<f32>());
        let bytes = kept.bytes + vector_bytes + size_of::<Slot>() + 3 * size_of::<Key>();
        if bytes > self.room {
            return;
        }
        self.make_room(bytes);
        if let Some(meaning) = &meaning {
            let neighbours = self.by_fingerprint.entry(meaning.fingerprint).or_default();
            if neighbours.len() >= NEIGHBOURS {
                neighbours.remove(0);
            }
            neighbours.push(key);
        }
        self.uses += 1;
        self.by_use.insert(self.uses, key);
        self.bytes += bytes;
        let slot = Slot {
            kept,
            meaning,
            at: age.now,
            lives_for: age.limit,
            used: self.uses,
            bytes,
        };
        self.slots.insert(key, slot);
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Answers that made room for others.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    fn make_room(&mut self, bytes: usize) {
        while self.bytes + bytes > self.room {
            let Some((_, key)) = self.by_use.first_key_value() else { return };
            let key = *key;
            self.remove(&key);
            self.evicted += 1;
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some(slot) = self.slots.remove(key) else { return };
        self.by_use.remove(&slot.used);
        self.bytes -= slot.bytes;
        let Some(meaning) = slot.meaning else { return };
        if let Some(neighbours) = self.by_fingerprint.get_mut(&meaning.fingerprint) {
            neighbours.retain(|neighbour| neighbour != key);
            if neighbours.is_empty() {
                self.by_fingerprint.remove(&meaning.fingerprint);
            }
        }
    }
}
