#![doc = include_str!("../README.md")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a program for a terminal")]

mod bench;
mod check;
mod docs;
mod figures;
mod run;
mod setup;
mod shell;
mod staging;
mod test;
mod tidy;
mod web;

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask COMMAND

  check    formatting, tidy, lints, generated files, Rust tests, console checks
  docs     write docs/reference from what the program says of itself
  openapi  write the console's types from the program's OpenAPI document
  tidy     the rules of the house that a program can check
  setup    install what the tests need (Debian, as root) and the console's packages
  web      build the console where its sources are newer than the build
  run      build everything, fetch the local model once, start; further words go to `steward serve`
  test     setup, then every test; ends with `N passed, N failed`; further words choose stages by name
  bench    build for release and measure; further words choose benches by name
  prove    the full counts of the crash tests; writes docs/figures.md";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[String]) -> Result<()> {
    let Some((command, rest)) = words.split_first() else {
        bail!("{USAGE}");
    };
    match command.as_str() {
        "check" => check::check(),
        "docs" => docs::write(),
        "openapi" => docs::write_types(),
        "tidy" => tidy::tidy(),
        "setup" => setup::setup(),
        "web" => web::build(),
        "run" => run::run(rest),
        "test" => test::test(rest),
        "bench" => bench::bench(rest),
        "prove" => bench::prove(),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no command {other:?}\n{USAGE}"),
    }
}
