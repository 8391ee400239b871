//! The seam to time, so that tests move it by hand.

use std::time::Duration;

use futures_util::future::BoxFuture;
pub use jiff::Timestamp;

/// Tells the time and waits.
pub trait Clock: Send + Sync + 'static {
    /// The instant now, UTC.
    fn now(&self) -> Timestamp;
    /// Resolves once `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// `instant` as RFC 3339 with millisecond precision, the form kept in rows and shown to callers.
pub fn rfc3339(instant: Timestamp) -> String {
    format!("{instant:.3}")
}
