//! `steward backup`: create, verify, restore.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::text;
use crate::backup;
use crate::client::Client;
use crate::home::Home;
use crate::output::{self, Form};

pub(crate) async fn create(client: &Client, form: Form) -> Result<()> {
    let made = client.post("/api/backups", &json!({})).await?;
    match form {
        Form::Json => output::json(&made),
        Form::Text => output::line(&format!("{} ({} bytes)", text(&made, "path"), made["bytes"])),
    }
    Ok(())
}

pub(crate) fn verify(path: &Path, form: Form) -> Result<()> {
    let files = backup::verify(path)?;
    report(files, "are as they were backed up", form);
    Ok(())
}

pub(crate) fn restore(home: &Home, path: &Path, form: Form) -> Result<()> {
    let files = backup::restore(home, path)?;
    report(files, "restored", form);
    Ok(())
}

fn report(files: usize, what: &str, form: Form) {
    match form {
        Form::Json => output::json(&json!({"ok": true, "files": files})),
        Form::Text => output::line(&format!("{files} files {what}")),
    }
}
