//! `steward config`: check, get, set, schema.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use toml_edit::{DocumentMut, Item, Table};

use crate::cli::Config;
use crate::client::Client;
use crate::configuration::Configuration;
use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::output::{self, Form};

/// Checks the home's file, or another one.
pub(crate) fn check(home: &Home, file: Option<PathBuf>, form: Form) -> Result<u8> {
    let path = file.unwrap_or_else(|| home.config_file());
    let text = if path.exists() {
        std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?
    } else {
        String::new()
    };
    Configuration::parse(&text, &path)?;
    match form {
        Form::Json => output::json(&json!({"ok": true})),
        Form::Text => output::line("ok"),
    }
    Ok(0)
}

pub(crate) fn schema() -> Result<()> {
    output::json(&super::config_schema());
    Ok(())
}

pub(crate) async fn run(client: &Client, command: Config, form: Form) -> Result<()> {
    match command {
        Config::Get { key } => get(client, key.as_deref(), form).await,
        Config::Set { key, value } => set(client, &key, &value, form).await,
        Config::Check { .. } | Config::Schema => unreachable!("these need no server and are run before"),
    }
}

async fn get(client: &Client, key: Option<&str>, form: Form) -> Result<()> {
    let config = client.get("/api/config").await?;
    let text = config["text"].as_str().unwrap_or_default();
    let Some(key) = key else {
        match form {
            Form::Json => output::json(&config),
            Form::Text => output::line(text.trim_end()),
        }
        return Ok(());
    };
    let whole: toml::Value = toml::from_str(text)?;
    let found = key.split('.').try_fold(&whole, |value, part| value.get(part));
    let value = found.ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            "not_found",
            format!("{key} is not set in steward.toml; its default holds"),
        )
    })?;
    output::json(&serde_json::to_value(value)?);
    Ok(())
}

async fn set(client: &Client, key: &str, value: &str, form: Form) -> Result<()> {
    // What is no TOML value is taken as text, so that quotes can be left out in a shell.
    let parsed: toml::Value = toml::from_str::<toml::Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let answer = client
        .patch("/api/config", &json!({"key": key, "value": serde_json::to_value(&parsed)?}))
        .await?;
    match form {
        Form::Json => output::json(&answer),
        Form::Text => output::line(&format!("{key} = {parsed}")),
    }
    Ok(())
}

/// The text with one value set; comments and order stay.
pub(crate) fn set_in_text(text: &str, key: &str, value: &Value) -> Result<String> {
    let mut document: DocumentMut = text.parse().context("steward.toml does not parse")?;
    let parts: Vec<&str> = key.split('.').collect();
    let (last, parents) = parts.split_last().context("the key is empty")?;
    let mut table: &mut dyn toml_edit::TableLike = document.as_table_mut();
    for part in parents {
        let item = table.entry(part).or_insert_with(|| {
            let mut fresh = Table::new();
            fresh.set_implicit(true);
            Item::Table(fresh)
        });
        table = item.as_table_like_mut().with_context(|| format!("{part} in {key} is no table"))?;
    }
    let literal = toml::Value::try_from(value).context("the value has no form in TOML")?;
    let item: Item = format!("v = {literal}")
        .parse::<DocumentMut>()?
        .remove("v")
        .context("the value has no form in TOML")?;
    table.insert(last, item);
    Ok(document.to_string())
}

#[cfg(test)]
mod tests;
