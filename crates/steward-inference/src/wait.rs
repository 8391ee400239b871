//! Waiting with a limit, on the clock that tests can move.
//!
//! A timer is only made when there is something to wait for, so that a fast stream costs none.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::poll;
use steward_domain::clock::{Clock, Timestamp};

/// What `future` gives, or `None` when `limit` passes first.
pub(crate) async fn within<T>(clock: &dyn Clock, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    if let Poll::Ready(value) = poll!(&mut future) {
        return Some(value);
    }
    match select(future, clock.sleep(limit)).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(((), _)) => None,
    }
}

/// How long ago `earlier` was; zero when the clock was set back.
pub(crate) fn since(now: Timestamp, earlier: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(earlier)).unwrap_or_default()
}

/// `since`, in whole milliseconds.
pub(crate) fn ms_since(now: Timestamp, earlier: Timestamp) -> u64 {
    u64::try_from(since(now, earlier).as_millis()).unwrap_or(u64::MAX)
}

/// The instant `ms` milliseconds before `now`.
pub(crate) fn before_ms(now: Timestamp, ms: u64) -> Timestamp {
    now.saturating_sub(Duration::from_millis(ms)).unwrap_or(Timestamp::MIN)
}

/// The instant `wait` after `now`.
pub(crate) fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}
