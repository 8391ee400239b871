//! What spreads calls over targets: averages of what was measured, windows, a fair queue, and the pure choice itself.
//!
//! Cheap on the way of every call: atomics, and a lock only where a call has to wait anyway.

pub mod choose;

pub(crate) mod average;
pub(crate) mod lane;
pub(crate) mod meters;
pub(crate) mod queue;
pub(crate) mod spread;
pub(crate) mod window;
