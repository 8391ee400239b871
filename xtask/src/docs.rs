//! `docs/reference` and the console's types, made from what the built program says of itself, and the check that they are
//! what was committed.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::shell::{Job, root, target};
use crate::web;

/// A page of the reference and the part of the program that prints it.
const PAGES: &[(&str, &str)] = &[
    ("docs/reference/command_line.md", "command-line"),
    ("docs/reference/configuration.md", "configuration"),
    ("docs/reference/http.md", "http"),
];

/// The console's types of the API.
const TYPES: &str = "web/src/lib/api/schema.d.ts";

/// Writes the pages of the reference.
pub(crate) fn write() -> Result<()> {
    build()?;
    pages()?.iter().try_for_each(put)
}

/// Writes the console's types.
pub(crate) fn write_types() -> Result<()> {
    build()?;
    put(&types()?)
}

/// Fails where a page or the types are not what the program says now.
pub(crate) fn check() -> Result<()> {
    build()?;
    let mut stale = Vec::new();
    for made in pages()?.into_iter().chain([types()?]) {
        let committed = fs::read_to_string(root().join(made.path)).unwrap_or_default();
        if committed != made.text {
            stale.push(made.path);
        }
    }
    if !stale.is_empty() {
        bail!(
            "run `cargo xtask docs` and `cargo xtask openapi`: {} is out of date",
            stale.join(", ")
        );
    }
    println!("docs: the reference and the console's types are what the program says");
    Ok(())
}

fn build() -> Result<()> {
    Job::new("cargo", &["build", "--quiet", "--package", "steward"]).run()
}

/// A file as it should be.
struct Made {
    path: &'static str,
    text: String,
}

fn pages() -> Result<Vec<Made>> {
    let page = |(path, part): &(&'static str, &str)| Ok(Made { path, text: said(part)? });
    PAGES.iter().map(page).collect()
}

/// The types of the program's OpenAPI document.
fn types() -> Result<Made> {
    let document = target().join("openapi.json");
    fs::write(&document, said("openapi")?)?;
    web::install()?;
    let made = target().join("schema.d.ts");
    let (document, path) = (document.to_string_lossy(), made.to_string_lossy());
    Job::new(
        "node",
        &["node_modules/openapi-typescript/bin/cli.js", &document, "--output", &path],
    )
    .folder("web")
    .output()?;
    Ok(Made {
        path: TYPES,
        text: fs::read_to_string(&made)?,
    })
}

/// What the program prints as a part of its reference.
fn said(part: &str) -> Result<String> {
    Job::new(target().join("debug/steward"), &["reference", part]).output()
}

fn put(made: &Made) -> Result<()> {
    let path = root().join(made.path);
    let folder = path.parent().context("a page lies in a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(&path, &made.text).with_context(|| format!("{} cannot be written", made.path))?;
    println!("wrote {}", made.path);
    Ok(())
}
