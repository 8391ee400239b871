//! Delivers the outbox: at once when something was written, else when the next try is due.

use std::sync::Arc;
use std::time::Duration;

use tracing::error;

use crate::runtime::Runtime;

/// Longest wait between looks while channels are configured.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(runtime: Arc<Runtime>) {
    if runtime.channels.is_empty() {
        return;
    }
    if let Err(cause) = runtime.recover_outbox().await {
        error!(error = %cause, "the outbox could not be recovered");
    }
    let mut commits = runtime.store.committed();
    loop {
        if let Err(cause) = runtime.send_due().await {
            error!(error = %cause, "the outbox cannot be sent now, trying again");
        }
        tokio::select! {
            () = runtime.shutdown.cancelled() => return,
            () = runtime.clock.sleep(LOOK_EVERY) => {}
            changed = commits.changed() => if changed.is_err() { return },
        }
    }
}
