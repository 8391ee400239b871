//! Pages of the last quarter of an hour, in memory, so that reading on costs nothing.
//!
//! Holds only what was fetched with success, and never more than a fixed number of pages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const MAX_AGE: Duration = Duration::from_secs(15 * 60);
const MAX_ENTRIES: usize = 64;
/// A longer page is not kept; the number of entries alone would bound too little.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// A page as it was made readable.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// After redirects.
    pub(super) url: String,
    pub(super) text: String,
    /// Status and size, for the receipt.
    pub(super) detail: String,
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: Mutex<HashMap<String, (Instant, Arc<Entry>)>>,
}

impl Cache {
    pub(super) fn get(&self, url: &str) -> Option<Arc<Entry>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .get(url)
            .filter(|(at, _)| at.elapsed() < MAX_AGE)
            .map(|(_, entry)| entry.clone())
    }

    pub(super) fn put(&self, url: String, entry: Arc<Entry>) {
        if entry.text.len() > MAX_TEXT_BYTES {
            return;
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, (at, _)| at.elapsed() < MAX_AGE);
        if entries.len() >= MAX_ENTRIES
            && let Some(oldest) = entries.iter().min_by_key(|(_, (at, _))| *at).map(|(url, _)| url.clone())
        {
            entries.remove(&oldest);
        }
        entries.insert(url, (Instant::now(), entry));
    }
}

#[cfg(test)]
mod tests;
