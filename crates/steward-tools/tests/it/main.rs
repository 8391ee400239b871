//! The tools against a real folder, a real sandbox and a server on loopback.

mod contract;
mod files;
mod patches;
mod places;
mod races;
mod repeats;
mod shell;
mod stage;
mod web;
