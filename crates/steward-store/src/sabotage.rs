//! Takes the guard out that makes a commit durable, so that the power-loss test can show that it would notice.
//!
//! Only compiled with the feature `sabotage`, and idle until asked.

use std::sync::atomic::{AtomicBool, Ordering};

static NEVER_SYNCS: AtomicBool = AtomicBool::new(false);

/// From now on SQLite acknowledges commits that are not on the disk.
pub fn never_sync() {
    NEVER_SYNCS.store(true, Ordering::Relaxed);
}

pub(crate) fn never_syncs() -> bool {
    NEVER_SYNCS.load(Ordering::Relaxed)
}
