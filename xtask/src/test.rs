//! Every test, whatever it is written in, with one count at the end.
//!
//! A stage that fails does not stop the next ones: one run tells everything that is broken.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::shell::{Job, Watched, root, target};
use crate::{check, setup, tidy, web};

/// Tests counted over the stages.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
}

/// One stage: its name and what runs it.
type Stage = (&'static str, fn() -> Result<Watched>);

const STAGES: &[Stage] = &[
    ("rust", || check::rust_tests().watch()),
    ("console: types", || Job::new("npm", &["run", "check"]).folder("web").watch()),
    ("console: components", || Job::new("npm", &["test"]).folder("web").watch()),
    ("console: browser stories", browser_stories),
    ("vendors' SDKs", sdk_check),
];

/// Sets up, builds what the stages start, runs them, and fails when any test failed.
pub(crate) fn test() -> Result<()> {
    setup::setup()?;
    let mut tally = Tally::default();
    tally.add("tidy", &of_step(tidy::tidy()));
    tally.add("console: build", &of_step(web::build()));
    let binaries = Job::new(
        "cargo",
        &["build", "--package", "steward", "--package", "steward-testkit", "--bins"],
    );
    tally.add("binaries", &of_step(binaries.run()));
    for (name, stage) in STAGES {
        let begun = Instant::now();
        println!("\n== {name}");
        let watched = stage().unwrap_or_else(|error| failure(&format!("{error:#}")));
        tally.add(name, &watched);
        println!("== {name}: {} s", begun.elapsed().as_secs());
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed > 0 || tally.passed == 0 {
        bail!("not all tests passed");
    }
    Ok(())
}

fn browser_stories() -> Result<Watched> {
    Job::new("npm", &["run", "e2e"])
        .folder("web")
        .variable("STEWARD_BIN", target().join("debug/steward"))
        .variable("STEWARD_SCRIPTED_MODEL", target().join("debug/steward-scripted-model"))
        .watch()
}

/// The SDKs live in an environment of their own under the target folder, made again when the list of versions changes.
fn sdk_check() -> Result<Watched> {
    let environment = target().join("sdk-venv");
    let stamp = environment.join("installed.txt");
    let wanted = std::fs::read_to_string(root().join("scripts/sdk_requirements.txt"))?;
    let is_ready = std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted);
    if !is_ready {
        Job::new("python3", &["-m", "venv", "--clear", &environment.to_string_lossy()]).run()?;
        let install = [
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
            "scripts/sdk_requirements.txt",
        ];
        Job::new(environment.join("bin/pip"), &install).run()?;
        std::fs::write(&stamp, wanted)?;
    }
    let binary = target().join("debug/steward-scripted-model");
    Job::new(
        environment.join("bin/python"),
        &["scripts/sdk_check.py", "--binary", &binary.to_string_lossy()],
    )
    .watch()
}

/// A step without tests of its own counts as one.
fn of_step(result: Result<()>) -> Watched {
    match result {
        Ok(()) => Watched {
            lines: vec!["1 passed, 0 failed".to_owned()],
            is_success: true,
        },
        Err(error) => failure(&format!("{error:#}")),
    }
}

fn failure(message: &str) -> Watched {
    eprintln!("xtask: {message}");
    Watched {
        lines: Vec::new(),
        is_success: false,
    }
}

impl Tally {
    /// A stage that failed without a failed test, say because it did not build, counts as one failure.
    fn add(&mut self, name: &str, watched: &Watched) {
        let (passed, mut failed) = watched
            .lines
            .iter()
            .map(|line| counts(line))
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        if !watched.is_success && failed == 0 {
            failed = 1;
        }
        let is_silent_success = watched.is_success && passed + failed == 0;
        self.passed += if is_silent_success { 1 } else { passed };
        self.failed += failed;
        println!("== {name}: {passed} passed, {failed} failed");
    }
}

/// Passed and failed tests that one line of a test runner's output reports; most lines report none.
fn counts(line: &str) -> (u64, u64) {
    let line = line.trim();
    let is_nextest = line.starts_with("Summary [");
    let is_cargo_test = line.starts_with("test result:");
    let is_vitest = line.starts_with("Tests ");
    let is_plain = line
        .split_once(" passed, ")
        .is_some_and(|(number, _)| number.parse::<u64>().is_ok());
    if is_nextest || is_cargo_test || is_vitest || is_plain {
        (number_before(line, "passed"), number_before(line, "failed"))
    } else {
        (0, 0)
    }
}

fn number_before(line: &str, word: &str) -> u64 {
    let words: Vec<&str> = line.split_whitespace().collect();
    let pairs = words.windows(2);
    let numbers = pairs.filter(|pair| pair[1].trim_matches([',', ';', '(', ')']) == word);
    numbers.filter_map(|pair| pair[0].parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests;
