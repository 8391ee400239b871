//! The console: its packages, its build, its checks.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::shell::{Job, root};

/// What a build is made of; tests are not.
const SOURCES: &[&str] = &[
    "web/src",
    "web/public",
    "web/messages",
    "web/index.html",
    "web/package-lock.json",
    "web/vite.config.ts",
];

/// Installs the console's packages where the lock file is newer than the last install.
pub(crate) fn install() -> Result<()> {
    let lock = changed_at(&root().join("web/package-lock.json"));
    let installed = changed_at(&root().join("web/node_modules/.package-lock.json"));
    if lock.is_some() && installed >= lock {
        return Ok(());
    }
    Job::new("npm", &["ci", "--no-audit", "--no-fund"]).folder("web").run()
}

/// Builds the console where a source is newer than the build.
pub(crate) fn build() -> Result<()> {
    let built = changed_at(&root().join("web/dist/index.html"));
    let newest = SOURCES.iter().filter_map(|path| newest_in(&root().join(path))).max();
    if built.is_some() && built >= newest {
        println!("the console is built and newer than its sources");
        return Ok(());
    }
    install()?;
    Job::new("npm", &["run", "build"])
        .folder("web")
        .run()
        .context("the console does not build")
}

fn changed_at(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|data| data.modified()).ok()
}

/// When the newest file in a folder was changed; for a file, when it was.
fn newest_in(path: &Path) -> Option<SystemTime> {
    let Ok(entries) = fs::read_dir(path) else {
        return changed_at(path);
    };
    entries.flatten().filter_map(|entry| newest_in(&entry.path())).max()
}
