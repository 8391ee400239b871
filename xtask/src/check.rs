//! What a change must pass before it is committed, in the order in which it fails fastest.

use anyhow::Result;

use crate::shell::{Job, has};
use crate::{docs, tidy, web};

/// Formatting, tidy, lints, generated files, Rust tests, the console's own checks.
pub(crate) fn check() -> Result<()> {
    Job::new("cargo", &["fmt", "--all", "--check"]).run()?;
    tidy::tidy()?;
    Job::new(
        "cargo",
        &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"],
    )
    .run()?;
    docs::check()?;
    rust_tests().run()?;
    web::install()?;
    Job::new("npm", &["run", "check"]).folder("web").run()?;
    Job::new("npm", &["test"]).folder("web").run()
}

/// All Rust tests; with nextest where it is installed.
pub(crate) fn rust_tests() -> Job {
    if has("cargo-nextest") {
        Job::new("cargo", &["nextest", "run", "--workspace", "--no-fail-fast", "--color", "never"])
    } else {
        Job::new("cargo", &["test", "--workspace", "--all-targets", "--no-fail-fast"])
    }
}
