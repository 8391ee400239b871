//! Installs what the tests need and a fresh machine lacks.
//!
//! On Debian as root it asks apt; elsewhere it names what is missing and goes on, and the tests that need it say so.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::shell::{Job, has};
use crate::web;

/// A program and the package that brings it.
const PROGRAMS: &[(&str, &str)] = &[
    ("bwrap", "bubblewrap"),
    ("chromium", "chromium"),
    ("git", "git"),
    ("mkfs.ext4", "e2fsprogs"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("python3", "python3"),
    ("strace", "strace"),
];

/// Installs packages where something is missing, then the console's packages.
pub(crate) fn setup() -> Result<()> {
    let missing = missing_packages();
    if missing.is_empty() {
        println!("every program that the tests need is here");
    } else if is_root() && has("apt-get") {
        install(&missing)?;
    } else {
        println!("missing for some tests, install them by hand: {}", missing.join(" "));
    }
    web::install()
}

fn missing_packages() -> Vec<&'static str> {
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !has_anywhere(program))
        .map(|(_, package)| *package)
        .collect();
    if !has_postgresql() {
        missing.push("postgresql");
    }
    let has_venv = Job::new("python3", &["-c", "import ensurepip, venv"]).output().is_ok();
    if !has_venv {
        missing.push("python3-venv");
    }
    missing
}

/// Some programs are in folders that a plain user's path does not name.
fn has_anywhere(program: &str) -> bool {
    has(program)
        || ["/usr/sbin", "/sbin"]
            .iter()
            .any(|folder| Path::new(folder).join(program).is_file())
}

/// Debian keeps `initdb` beside its version and off the path.
fn has_postgresql() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    has("initdb") || versions.into_iter().any(|version| version.path().join("bin/initdb").is_file())
}

fn is_root() -> bool {
    Job::new("id", &["-u"]).output().is_ok_and(|id| id.trim() == "0")
}

fn install(packages: &[&str]) -> Result<()> {
    let apt = |arguments: &[&str]| Job::new("apt-get", arguments).variable("DEBIAN_FRONTEND", "noninteractive").run();
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments)
}
