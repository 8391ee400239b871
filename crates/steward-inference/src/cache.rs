//! Answers that are given again: to the very same request, or to one that means the same.
//!
//! Tenants do not see each other's answers. What failed, was refused, filtered or cut short is never kept. Nothing here is asked of a model.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use schemars::JsonSchema;
use serde::Serialize;
use steward_domain::clock::Timestamp;
use steward_domain::message::{Part, Role};
use steward_domain::model::{Finish, FinishReason, ModelEvent, ModelRequest};

use crate::config::cache::CacheConfig;
use crate::tables::Tables;
use embed::{BundledEmbedder, Embedder};
use guard::Guard;
use key::Key;
use shelf::{Age, Meaning, Shelf};

pub mod embed;
mod guard;
mod key;
mod shelf;

const MIB: usize = 1_024 * 1_024;

/// Two answers to the same question say the same from this nearness on.
const SAME_ANSWER: f32 = 0.8;

/// An answer may take up to this part of the room of its route.
const LARGEST_PART: usize = 8;

/// Bytes that an event takes beside its text.
const EVENT_BYTES: usize = 96;

/// The caches of all routes.
pub(crate) struct Caches {
    routes: RwLock<BTreeMap<String, Arc<RouteCache>>>,
    embedder: Arc<dyn Embedder>,
}

impl Default for Caches {
    fn default() -> Self {
        Caches {
            routes: RwLock::default(),
            embedder: Arc::new(BundledEmbedder),
        }
    }
}

impl Caches {
    /// Follows the tables: answers of a route stay while its cache is on.
    pub(crate) fn follow(&self, tables: &Tables) {
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = BTreeMap::new();
        for (name, extras) in tables.extras().iter().filter(|(_, extras)| extras.cache.is_on()) {
            let cache = match routes.get(name) {
                Some(old) => {
                    old.replace_config(extras.cache.clone());
                    Arc::clone(old)
                }
                None => Arc::new(RouteCache::new(extras.cache.clone(), Arc::clone(&self.embedder))),
            };
            next.insert(name.clone(), cache);
        }
        *routes = next;
    }

    pub(crate) fn of(&self, route: &str) -> Option<Arc<RouteCache>> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner).get(route).cloned()
    }
}

/// A whole answer that is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Who gave it.
    pub(crate) target: String,
    /// Its content, event by event as it came.
    pub(crate) events: Vec<ModelEvent>,
    pub(crate) finish: Finish,
    bytes: usize,
}

/// A request as the cache knows it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    key: Key,
    /// For a semantic hit; `None` where none is allowed.
    open: Option<Open>,
}

/// The part of a request that may be said otherwise.
#[derive(Clone, Debug)]
struct Open {
    /// Everything else.
    fingerprint: Key,
    text: String,
}

/// What the cache had.
pub(crate) enum Found {
    /// An answer to give.
    Hit(Arc<Kept>),
    /// Nothing to give; the answer is to be offered to [`RouteCache::keep`].
    Miss(Box<Missed>),
}

/// A request that goes to a target, and what was learnt on the way.
pub(crate) struct Missed {
    key: Key,
    meaning: Option<Meaning>,
    /// The answer that a semantic hit would have given, to be compared with the true one.
    checked: Option<Arc<Kept>>,
}

/// The cache of one route.
pub(crate) struct RouteCache {
    config: RwLock<CacheConfig>,
    shelf: Mutex<Shelf>,
    embedder: Arc<dyn Embedder>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    exact_hits: AtomicU64,
    semantic_hits: AtomicU64,
    misses: AtomicU64,
    stale: AtomicU64,
    checked: AtomicU64,
    false_hits: AtomicU64,
    found_near: AtomicU64,
}

/// How a route's cache does, since the start.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CacheReport {
    /// Are answers given to the very same request?
    pub exact: bool,
    /// … and to one that means the same?
    pub semantic: bool,
    /// Answers kept.
    pub entries: usize,
    /// Their size.
    pub bytes: usize,
    /// The room for them.
    pub max_bytes: usize,
    /// Answers that made room for others.
    pub evicted: u64,
    /// Requests that had an answer: the very same.
    pub exact_hits: u64,
    /// … one that means the same.
    pub semantic_hits: u64,
    /// Requests that had none.
    pub misses: u64,
    /// Hits of all requests; absent before the first.
    pub hit_rate: Option<f64>,
    /// Answers past their time, given because every target failed.
    pub stale: u64,
    /// Semantic hits that were asked again, to compare.
    pub checked: u64,
    /// Of these, those whose true answer says something else.
    pub false_hits: u64,
    /// The share of false hits among those checked; absent before the first.
    pub false_hit_rate: Option<f64>,
    /// What tells how near two messages are.
    pub embedder: String,
}

impl RouteCache {
    pub(crate) fn new(config: CacheConfig, embedder: Arc<dyn Embedder>) -> Self {
        RouteCache {
            shelf: Mutex::new(Shelf::new(room(&config))),
            config: RwLock::new(config),
            embedder,
            counts: Counts::default(),
        }
    }

    fn replace_config(&self, config: CacheConfig) {
        self.lock().resize(room(&config));
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// A request as the cache knows it. `scope` says whose answers it may have and who would give them.
    pub(crate) fn ask(&self, request: &ModelRequest, scope: &[String]) -> Asked {
        let config = self.config();
        Asked {
            key: key::of_whole(request, scope),
            open: (config.semantic && (config.tools || request.tools.is_empty()))
                .then(|| open_part(request, self.embedder.reads_chars()))
                .flatten()
                .map(|text| Open {
                    fingerprint: key::of_all_but_last(request, scope),
                    text,
                }),
        }
    }

    /// What there is for a request.
    pub(crate) async fn find(&self, asked: Asked, now: Timestamp) -> Found {
        let config = self.config().clone();
        if config.exact
            && let Some(kept) = self.lock().get(&asked.key, Age { now, limit: config.ttl })
        {
            self.counts.exact_hits.fetch_add(1, Ordering::Relaxed);
            return Found::Hit(kept);
        }
        let meaning = match asked.open {
            Some(open) => self.embed(open).await,
            None => None,
        };
        let age = Age { now, limit: config.ttl };
        let near = meaning
            .as_ref()
            .and_then(|meaning| self.lock().nearest(meaning, config.threshold as f32, age));
        let missed = |checked| {
            self.counts.misses.fetch_add(1, Ordering::Relaxed);
            Found::Miss(Box::new(Missed {
                key: asked.key,
                meaning,
                checked,
            }))
        };
        match near {
            Some(kept) if self.is_to_be_checked(config.verify) => missed(Some(kept)),
            Some(kept) => {
                self.counts.semantic_hits.fetch_add(1, Ordering::Relaxed);
                Found::Hit(kept)
            }
            None => missed(None),
        }
    }

    /// An answer that is past its time but not past what the route allows then.
    pub(crate) fn stale(&self, missed: &Missed, now: Timestamp) -> Option<Arc<Kept>> {
        let config = self.config();
        let limit = config.ttl.saturating_add(config.stale?);
        drop(config);
        let kept = self.lock().get(&missed.key, Age { now, limit })?;
        self.counts.stale.fetch_add(1, Ordering::Relaxed);
        Some(kept)
    }

    /// Keeps a whole answer, and compares it with the one that a semantic hit would have given.
    pub(crate) async fn keep(&self, missed: Missed, kept: Kept, now: Timestamp) {
        if let Some(cached) = &missed.checked {
            let is_same = self.says_the_same(cached, &kept).await;
            self.counts.checked.fetch_add(1, Ordering::Relaxed);
            self.counts.false_hits.fetch_add(u64::from(!is_same), Ordering::Relaxed);
        }
        let is_whole = matches!(kept.finish.reason, FinishReason::Stop | FinishReason::ToolCalls);
        if !is_whole || kept.events.is_empty() {
            return;
        }
        let config = self.config();
        let lives_for = config.ttl.saturating_add(config.stale.unwrap_or_default());
        drop(config);
        self.lock()
            .put(missed.key, Arc::new(kept), missed.meaning, Age { now, limit: lives_for });
    }

    /// Is an answer of this size too large to keep?
    pub(crate) fn is_too_large(&self, bytes: usize) -> bool {
        bytes > room(&self.config()) / LARGEST_PART
    }

    /// How it does.
    pub(crate) fn report(&self) -> CacheReport {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let (exact_hits, semantic_hits, misses) = (
            count(&self.counts.exact_hits),
            count(&self.counts.semantic_hits),
            count(&self.counts.misses),
        );
        let (checked, false_hits) = (count(&self.counts.checked), count(&self.counts.false_hits));
        let part = |of: u64, all: u64| (all > 0).then(|| of as f64 / all as f64);
        let config = self.config().clone();
        let shelf = self.lock();
        CacheReport {
            exact: config.exact,
            semantic: config.semantic,
            entries: shelf.len(),
            bytes: shelf.bytes(),
            max_bytes: room(&config),
            evicted: shelf.evicted(),
            exact_hits,
            semantic_hits,
            misses,
            hit_rate: part(exact_hits + semantic_hits, exact_hits + semantic_hits + misses),
            stale: count(&self.counts.stale),
            checked,
            false_hits,
            false_hit_rate: part(false_hits, checked),
            embedder: self.embedder.name().to_owned(),
        }
    }

    async fn embed(&self, open: Open) -> Option<Meaning> {
        let guard = Guard::of(&open.text);
        let vector = self.vector(open.text).await?;
        Some(Meaning {
            fingerprint: open.fingerprint,
            vector,
            guard,
        })
    }

    /// The vector of a text. A failure is no hit, and is told once for each.
    async fn vector(&self, text: String) -> Option<Vec<f32>> {
        let embedder = Arc::clone(&self.embedder);
        match tokio::task::spawn_blocking(move || embedder.embed(&text)).await {
            Ok(Ok(vector)) if !vector.is_empty() => Some(vector),
            Ok(Ok(_)) => None,
            Ok(Err(problem)) => {
                tracing::warn!(problem, "a message cannot be embedded: {problem}");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "a message cannot be embedded: {error}");
                None
            }
        }
    }

    async fn says_the_same(&self, cached: &Kept, fresh: &Kept) -> bool {
        let (cached, fresh) = (cached.text(), fresh.text());
        if cached == fresh {
            return true;
        }
        if Guard::of(&cached) != Guard::of(&fresh) {
            return false;
        }
        match (self.vector(cached).await, self.vector(fresh).await) {
            (Some(cached), Some(fresh)) => embed::nearness(&cached, &fresh) >= SAME_ANSWER,
            (Some(_) | None, _) => false,
        }
    }

    /// Is this one of the hits that are asked again? Spread evenly over them.
    fn is_to_be_checked(&self, share: f64) -> bool {
        let number = self.counts.found_near.fetch_add(1, Ordering::Relaxed);
        let due = |number: u64| (number as f64 * share).floor();
        due(number + 1) > due(number)
    }

    fn config(&self) -> std::sync::RwLockReadGuard<'_, CacheConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    pub(crate) fn new(target: String, events: Vec<ModelEvent>, finish: Finish) -> Self {
        Kept {
            bytes: events.iter().map(event_bytes).sum::<usize>() + target.len() + EVENT_BYTES,
            target,
            events,
            finish,
        }
    }

    fn text(&self) -> String {
        let text = |event: &ModelEvent| match event {
            ModelEvent::Text(text) => Some(text.clone()),
            _ => None,
        };
        self.events.iter().filter_map(text).collect()
    }
}

/// What an event takes in memory, about.
pub(crate) fn event_bytes(event: &ModelEvent) -> usize {
    let text = match event {
        ModelEvent::Text(text) | ModelEvent::Thinking(text) => text.len(),
        ModelEvent::ThinkingSealed { signature, .. } => signature.len(),
        ModelEvent::ToolCallStarted { name, signature, .. } => name.len() + signature.as_ref().map_or(0, String::len) + 32,
        ModelEvent::ToolCallArguments { json, .. } => json.len(),
        ModelEvent::Opaque { value, .. } => value.to_string().len() * 2,
        ModelEvent::Started(_) | ModelEvent::Finished(_) | ModelEvent::Failed(_) => 0,
    };
    text + EVENT_BYTES
}

fn room(config: &CacheConfig) -> usize {
    usize::try_from(config.max_mib).unwrap_or(usize::MAX / MIB).saturating_mul(MIB)
}

/// The text of the last message, where it is a user's, is text alone, and is not longer than the embedder reads.
fn open_part(request: &ModelRequest, chars: usize) -> Option<String> {
    let last = request.messages.last().filter(|message| message.role == Role::User)?;
    let is_text = last.parts.iter().all(|part| matches!(part, Part::Text { .. }));
    let text = last.joined_text();
    let fits = !text.trim().is_empty() && text.chars().nth(chars).is_none();
    (is_text && fits).then_some(text)
}

#[cfg(test)]
mod pairs;
#[cfg(test)]
mod tests;
