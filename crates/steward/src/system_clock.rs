//! The machine's own clock.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use steward_domain::clock::{Clock, Timestamp};

/// Real time.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }
}
