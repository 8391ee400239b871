//! Kills, power cuts and full disks against the real binary. Each proof has a control that must fail it.
//!
//! `make test` runs a sample; `STEWARD_PROVE=1` runs the full counts. `STEWARD_SEED` repeats a run.
//! A line `figure: NAME: VALUE` is a figure for the page of figures.

#![allow(
    clippy::print_stdout,
    reason = "figures and reasons for skipping are printed for whoever runs the tests"
)]
#![allow(clippy::unwrap_used, reason = "tests")]

mod crash_controls;
mod crash_kills;
mod crash_points;
mod disk_full;
mod disks;
mod house;
mod power_loss;
mod scale;
mod task;
mod verdict;
