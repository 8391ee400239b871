//! Calls whose caller and provider speak the same dialect: their bytes pass as they are, and what must be known is found by one scan.
//!
//! [`RequestHead`] reads the request, [`UsageScan`] follows a streamed answer, [`WholeScan`] reads one that came as one body.
//! Nothing here builds a tree of the body or copies what passes, but for an event that the network cut in two.

mod head;
mod look;
mod scan;
mod stream;
mod whole;

pub use head::{RequestHead, UsageWish};
pub use stream::{End, UsageScan};
pub use whole::WholeScan;

#[cfg(test)]
mod tests;
