//! Every test, whatever it is written in, with one count at the end.
//!
//! A stage that fails does not stop the next ones: one run tells everything that is broken.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::shell::{Job, Watched, root, target};
use crate::staging::{Staging, WIRES};
use crate::{check, docs, setup, tidy, web};

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
    ("console: browser stories", || {
        Job::new("npm", &["run", "e2e"]).folder("web").watch()
    }),
    ("sdk: the scripted model", sdk_on_scripted_model),
    ("console: browser stories on the real binary", real_browser_stories),
    ("sdk: the real binary", sdk_on_steward),
    ("measures: the parsers of others", measures_by_others),
];

/// Sets up, builds what the stages start, runs those whose names hold one of `words`, and fails when any test failed.
pub(crate) fn test(words: &[String]) -> Result<()> {
    setup::setup()?;
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let mut tally = Tally::default();
    tally.add("tidy", &of_step(tidy::tidy()));
    tally.add("console: build", &of_step(web::build()));
    let binaries = Job::new(
        "cargo",
        &["build", "--package", "steward", "--package", "steward-testkit", "--bins"],
    );
    tally.add("binaries", &of_step(binaries.run()));
    tally.add("generated files", &of_step(docs::check()));
    for (name, stage) in STAGES.iter().filter(|(name, _)| is_wanted(name)) {
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

/// The same stories with Steward itself behind the console, and the scripted model behind Steward.
fn real_browser_stories() -> Result<Watched> {
    let staging = Staging::start("browser", &root().join("scripts/browser_stories.json"))?;
    let stories = Job::new("npm", &["run", "e2e"]).folder("web");
    stories
        .variable("STEWARD_URL", &staging.url)
        .variable("STEWARD_LINK", &staging.link)
        .watch()
}

fn sdk_on_scripted_model() -> Result<Watched> {
    let binary = target().join("debug/steward-scripted-model");
    Job::new(sdk_python()?, &["scripts/sdk_check.py", "--binary", &binary.to_string_lossy()]).watch()
}

/// Each vendor's client on a target of each wire.
fn sdk_on_steward() -> Result<Watched> {
    let python = sdk_python()?;
    let script = target().join("sdk-script.json");
    fs::write(&script, Job::new(&python, &["scripts/sdk_check.py", "--print-script"]).output()?)?;
    let staging = Staging::start("sdk", &script)?;
    let key = staging.create_key("sdk")?;
    let mut all = Watched {
        lines: Vec::new(),
        is_success: true,
    };
    for wire in WIRES {
        let model = format!("by-{wire}");
        // Only Anthropic's own wire has a seal for the thought that its client expects.
        let skip = if *wire == "anthropic" { "" } else { "thinking" };
        let watched = Job::new(&python, &["scripts/sdk_check.py", "--base-url", &staging.url, "--model", &model])
            .arguments(&["--skip", skip].map(str::to_owned))
            .secret_arguments(&["--key", &key])
            .watch()?;
        all.lines.extend(watched.lines);
        all.is_success &= watched.is_success;
    }
    Ok(all)
}

/// What a running Steward tells of its measures, read by Prometheus' own parser and OpenTelemetry's own messages.
fn measures_by_others() -> Result<Watched> {
    let folder = target().join("measures");
    fs::create_dir_all(&folder)?;
    let folder = folder.to_string_lossy();
    let story = ["nextest", "run", "--package", "steward", "a_collector_gets_histograms_and_spans"];
    Job::new("cargo", &story).variable("STEWARD_KEEP_OTLP", &*folder).run()?;
    Job::new(sdk_python()?, &["scripts/measures_check.py", &folder]).watch()
}

/// The SDKs live in an environment of their own under the target folder, made again when the list of versions changes.
fn sdk_python() -> Result<PathBuf> {
    let environment = target().join("sdk-venv");
    let stamp = environment.join("installed.txt");
    let wanted = fs::read_to_string(root().join("scripts/sdk_requirements.txt"))?;
    let is_ready = fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted);
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
        fs::write(&stamp, wanted)?;
    }
    Ok(environment.join("bin/python"))
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
