//! Measures (`bench`) and proves (`prove`).
//!
//! The work is in `bench/` and in the tests of the binary; here it is built for release, started with its settings, and its
//! figures are gathered.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

use crate::figures;
use crate::shell::{Job, Watched, root, target};
use crate::{setup, web};

/// The full counts of the proofs, as the tests of the binary read them.
const FULL_COUNTS: &[(&str, &str)] = &[
    ("STEWARD_PROVE", "1"),
    ("STEWARD_CRASH_KILLS", "200"),
    ("STEWARD_CRASH_KILLS_POSTGRES", "50"),
    ("STEWARD_POWER_CYCLES", "50"),
];

/// Runs every program in `bench/`, or those whose names hold one of `words`.
pub(crate) fn bench(words: &[String]) -> Result<()> {
    build_release()?;
    let is_wanted = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        words.is_empty() || words.iter().any(|word| name.contains(word.as_str()))
    };
    let programs: Vec<PathBuf> = programs().into_iter().filter(|path| is_wanted(path)).collect();
    if programs.is_empty() {
        bail!("bench/ has no program to run");
    }
    let mut failed = Vec::new();
    for program in programs {
        let watched = with_binaries(Job::new(&program, &[]), "release").watch()?;
        if !watched.is_success {
            failed.push(program.display().to_string());
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("failed: {}", failed.join(", "))
    }
}

/// Runs the stories and the crash tests of the binary with full counts and writes their figures.
pub(crate) fn prove() -> Result<()> {
    setup::setup()?;
    build_release()?;
    let seed = seed();
    let kept = sandbox_tests().watch()?;
    let mut watched = story_tests(seed).watch()?;
    watched.lines.extend(kept.lines);
    watched.is_success &= kept.is_success;
    let mut rows = figures::figures(&watched.lines);
    let outcome = if watched.is_success { "passed" } else { "FAILED" };
    rows.insert(0, ("all proofs".to_owned(), outcome.to_owned()));
    figures::write(&rows, seed)?;
    ensure_passed(&watched, seed)
}

fn ensure_passed(watched: &Watched, seed: u64) -> Result<()> {
    if !watched.is_success {
        bail!("a proof failed; run it again with STEWARD_SEED={seed}");
    }
    Ok(())
}

/// Kills a stand-in for Steward while it starts commands, at every instant.
fn sandbox_tests() -> Job {
    let arguments = [
        "test",
        "--package",
        "steward-sandbox",
        "--test",
        "it",
        "at_any_instant",
        "--",
        "--ignored",
        "--nocapture",
    ];
    Job::new("cargo", &arguments)
}

fn story_tests(seed: u64) -> Job {
    let arguments = [
        "test",
        "--package",
        "steward",
        "--test",
        "it",
        "--test",
        "crash",
        "--no-fail-fast",
        "--",
        "--nocapture",
        "--test-threads",
        "1",
    ];
    let job = with_binaries(Job::new("cargo", &arguments), "release").variable("STEWARD_SEED", seed.to_string());
    FULL_COUNTS.iter().fold(job, |job, (name, value)| job.variable(name, value))
}

fn with_binaries(job: Job, profile: &str) -> Job {
    let folder = target().join(profile);
    job.variable("STEWARD_BIN", folder.join("steward"))
        .variable("STEWARD_SCRIPTED_MODEL", folder.join("steward-scripted-model"))
        .variable("STEWARD_BENCH_OUT", root().join(".bench"))
}

fn build_release() -> Result<()> {
    web::build()?;
    Job::new(
        "cargo",
        &[
            "build",
            "--release",
            "--package",
            "steward",
            "--package",
            "steward-testkit",
            "--bins",
        ],
    )
    .run()?;
    fs::create_dir_all(root().join(".bench"))?;
    Ok(())
}

/// Executable files right in `bench/`, by name.
fn programs() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("bench")).into_iter().flatten().flatten();
    let is_program = |path: &PathBuf| fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0);
    let mut programs: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_program).collect();
    programs.sort();
    programs
}

/// A seed given by hand repeats a run; else the clock gives one.
fn seed() -> u64 {
    let given = std::env::var("STEWARD_SEED").ok().and_then(|text| text.parse().ok());
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    given.unwrap_or(since.as_secs())
}
