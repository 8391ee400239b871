//! `steward models refresh`: reads another list of prices, shows what it changes, and hands it to the server.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{cell, show_list, text};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

/// LiteLLM's catalogue has 3 MB.
const LIST_LIMIT_BYTES: usize = 24 * 1024 * 1024;

const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// So many lines of each kind are shown; `--json` has all.
const SHOWN: usize = 40;

pub(super) async fn refresh(client: &Client, from: &str, apply: bool, form: Form) -> Result<()> {
    let list = match from {
        "shipped" => Value::Null,
        address if address.contains("://") => json!(fetch(address).await?),
        file => json!(std::fs::read_to_string(file).with_context(|| format!("{file} cannot be read"))?),
    };
    let refreshed = client
        .post("/api/models/catalogue", &json!({ "text": list, "apply": apply }))
        .await?;
    match form {
        Form::Json => output::json(&refreshed),
        Form::Text => show(&refreshed),
    }
    Ok(())
}

/// Fetches a list over TLS; without it only from this machine, for prices decide what is charged.
async fn fetch(address: &str) -> Result<String> {
    let bad = |problem: &str| Failure::new(Exit::Failed, "invalid_address", format!("{address} {problem}"));
    let url = reqwest::Url::parse(address).map_err(|_| bad("is no address"))?;
    let is_own_machine = url
        .host_str()
        .is_some_and(|host| host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()));
    if url.scheme() != "https" && !is_own_machine {
        return Err(bad("must begin with https://").into());
    }
    let http = reqwest::Client::builder().no_proxy().timeout(FETCH_LIMIT).build()?;
    let mut response = http.get(url).send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LIST_LIMIT_BYTES {
            return Err(bad("answers with more than a list of prices").into());
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|_| bad("answers with no text").into())
}

fn show(refreshed: &Value) {
    let difference = &refreshed["difference"];
    for (what, list) in [("added", "added"), ("removed", "removed"), ("other limits or abilities", "limits")] {
        let names: Vec<&str> = difference[list]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if names.is_empty() {
            continue;
        }
        let more = names.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let shown = names[..names.len().min(SHOWN)].join(", ");
        output::line(&output::printable(&format!("{what}, {}: {shown}{more}", names.len())));
    }
    let prices = difference["prices"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !prices.is_empty() {
        output::line(&format!("prices that change, {}:", prices.len()));
        let first = json!(prices[..prices.len().min(SHOWN)]);
        show_list(&first, &["model", "price", "before_usd", "after_usd", "percent"], Form::Text);
    }
    let version = text(refreshed, "version");
    let models = cell(refreshed, "models");
    if refreshed["applied"] == json!(true) {
        output::line(&format!("in force now: {version}, {models} models"));
    } else {
        output::aside(&format!(
            "nothing has changed yet; with --apply {version} takes effect, {models} models"
        ));
    }
}
