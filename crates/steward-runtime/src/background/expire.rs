//! Answers No to questions whose time is over.

use std::sync::Arc;
use std::time::Duration;

use tracing::error;

use crate::runtime::Runtime;

const LOOK_EVERY: Duration = Duration::from_secs(5);

pub(super) async fn run(runtime: Arc<Runtime>) {
    loop {
        if let Err(cause) = runtime.expire_approvals().await {
            error!(error = %cause, "questions could not be expired, trying again");
        }
        tokio::select! {
            () = runtime.shutdown.cancelled() => return,
            () = runtime.clock.sleep(LOOK_EVERY) => {}
        }
    }
}
