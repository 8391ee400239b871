//! Stories through the real binary: a house of its own for each test, a scripted model, the real store and sandbox.
//!
//! Nothing here knows the inside of the program: it types commands, calls the API and looks at files.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect fails")]

mod access;
mod approvals;
mod backup;
mod bad_config;
mod bad_input;
mod chaos;
mod cli;
mod dialects;
mod fallback;
mod guards;
mod house;
mod idle;
mod main_job;
mod measures;
mod path_rules;
mod postgres;
mod prices;
mod prompt;
mod rollouts;
mod running;
mod steering;
mod stop;
mod turn_loop;
mod undo;
