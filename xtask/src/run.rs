//! From a fresh clone to a running Steward.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::shell::{Job, target};
use crate::web;

const LOCAL_MODEL: &str = "smollm2-135m";

/// Builds the console and the binary, fetches the local model once, starts.
pub(crate) fn run(words: &[String]) -> Result<()> {
    web::build()?;
    Job::new("cargo", &["build", "--release", "--package", "steward"]).run()?;
    let steward = target().join("release/steward");
    if !has_local_model() {
        fetch_local_model(&steward);
    }
    Job::new(&steward, &["serve"]).arguments(words).replace()
}

/// Steward also works with a provider's key alone, so a model that cannot be fetched is said and not fatal.
fn fetch_local_model(steward: &Path) {
    if let Err(error) = Job::new(steward, &["models", "pull", LOCAL_MODEL]).run() {
        eprintln!("xtask: starting without the local model: {error:#}");
    }
}

fn has_local_model() -> bool {
    let entries = fs::read_dir(home().join("models")).into_iter().flatten().flatten();
    entries
        .into_iter()
        .any(|entry| entry.file_name().to_string_lossy().starts_with(LOCAL_MODEL))
}

fn home() -> PathBuf {
    let configured = env::var_os("STEWARD_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    configured.unwrap_or_else(|| PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".steward"))
}
