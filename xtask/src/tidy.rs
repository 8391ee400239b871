//! Checks the rules of the house that a program can check. The rules are in `tidy/table.rs`.
//!
//! It reads the files that git tracks or would track, changes none, and reports everything that is wrong at once.

mod dependencies;
mod sources;
mod table;
mod tree;

use std::fs;

use anyhow::{Result, bail};

use crate::shell::{Job, root};

/// A file of the project with its text; binary files are left out.
pub(crate) struct SourceFile {
    /// Relative to the project's folder, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Runs every check and fails with the list of what is wrong.
pub(crate) fn tidy() -> Result<()> {
    let paths = tracked_paths()?;
    let files: Vec<SourceFile> = paths.iter().filter_map(|path| read(path)).collect();
    let mut findings = tree::check(&paths, &files);
    findings.extend(dependencies::check(&files)?);
    findings.extend(sources::check(&files));
    if findings.is_empty() {
        println!("tidy: {} files are in order", files.len());
        return Ok(());
    }
    for finding in &findings {
        eprintln!("tidy: {finding}");
    }
    bail!("{} findings", findings.len());
}

fn tracked_paths() -> Result<Vec<String>> {
    let list = Job::new("git", &["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"]).output()?;
    let exists = |path: &&str| root().join(path).is_file();
    Ok(list.lines().filter(exists).map(str::to_owned).collect())
}

fn read(path: &str) -> Option<SourceFile> {
    let text = fs::read_to_string(root().join(path)).ok()?;
    Some(SourceFile {
        path: path.to_owned(),
        text,
    })
}
