//! Steward: AI employees that keep their promises, and the inference gateway they think through.

mod absent_model;
mod backup;
mod cli;
mod client;
mod commands;
mod configuration;
mod default_route;
mod doctor;
mod failure;
mod home;
mod operations;
mod output;
mod prices;
mod reference;
mod rollout_store;
#[cfg(feature = "sabotage")]
mod sabotage;
mod serve;
mod system_clock;
mod telemetry;
mod whole_file;
mod wiring;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command};
use crate::failure::{Exit, Failure};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) if usage.use_stderr() && std::env::args().any(|word| word == "--json") => {
            let text = usage.to_string();
            let (sentence, rest) = text.split_once('\n').unwrap_or((&text, ""));
            let failure = Failure::new(Exit::Usage, "usage", sentence.trim_start_matches("error: "));
            output::aside(&failure.with_hint(rest.split_whitespace().collect::<Vec<_>>().join(" ")).json());
            return ExitCode::from(Exit::Usage as u8);
        }
        Err(usage) => usage.exit(),
    };
    #[cfg(feature = "sabotage")]
    sabotage::take_out_named_guard();
    let is_json = cli.json;
    start_logs(matches!(cli.command, Some(Command::Serve(_))));
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::aside(&format!("steward: the threads cannot be started: {error}"));
            return ExitCode::from(1);
        }
    };
    let outcome = runtime.block_on(commands::run(cli));
    runtime.shutdown_background();
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let failure = Failure::of(error);
            if is_json {
                output::aside(&failure.json());
            } else {
                output::aside(&format!("steward: {failure}"));
            }
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Logs go to standard error; `STEWARD_LOG` sets what is logged. Commands are quiet unless it is set.
fn start_logs(is_server: bool) {
    let default = if is_server { "info" } else { "error" };
    let filter = EnvFilter::try_from_env("STEWARD_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}
