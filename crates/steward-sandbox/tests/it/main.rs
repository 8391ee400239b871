//! Runs real commands in every backend that this machine has, and tries to break out.
//!
//! Needs bubblewrap: apt-get install bubblewrap.

mod closed;
mod control_files;
mod egress;
mod escapes;
mod keeping;
mod lifetime;
mod running;
mod stage;
