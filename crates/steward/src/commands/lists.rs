//! Commands that list and show: agents, sessions, models, providers, routes, spend, doctor.

use anyhow::Result;
use serde_json::{Value, json};

use super::{catalogue, cell, rollouts, show_list, text};
use crate::cli::{List, Models, Providers, Routes, Sessions, Spend};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

pub(crate) async fn agents(client: &Client, command: List, form: Form) -> Result<()> {
    let agents = client.get("/api/agents").await?;
    match command {
        List::List => show_list(&agents["items"], &["name", "route", "workspace", "tools"], form),
        List::Show { name } => {
            let found = agents["items"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|agent| text(agent, "name") == name);
            let agent = found.ok_or_else(|| {
                Failure::new(Exit::NotFound, "not_found", format!("agent {name:?} does not exist")).with_hint("steward agents list")
            })?;
            show_one(agent, form);
        }
    }
    Ok(())
}

pub(crate) async fn sessions(client: &Client, command: Sessions, form: Form) -> Result<()> {
    match command {
        Sessions::List => show_list(
            &client.get("/api/sessions").await?["items"],
            &["name", "agent", "channel", "last_at", "title"],
            form,
        ),
        Sessions::Show { session } => {
            let messages = client.get(&format!("/api/sessions/{session}/messages?limit=200")).await?;
            match form {
                Form::Json => output::json(&messages["items"]),
                Form::Text => {
                    for message in messages["items"].as_array().into_iter().flatten() {
                        output::line(&output::printable(&format!(
                            "{} {}: {}",
                            text(message, "at"),
                            text(message, "role"),
                            text(message, "text")
                        )));
                    }
                }
            }
        }
    }
    Ok(())
}

pub(crate) async fn models(client: &Client, command: Models, form: Form) -> Result<()> {
    match command {
        Models::List => {
            let fields = [
                "model",
                "tier",
                "context_tokens",
                "input_usd_per_mtok",
                "output_usd_per_mtok",
                "state",
            ];
            show_list(&client.get("/api/models").await?["items"], &fields, form);
        }
        Models::Pull { name } => {
            output::aside(&format!("fetching {name}; a small model takes about a minute"));
            show_one(&client.post(&format!("/api/models/{name}/pull"), &json!({})).await?, form);
        }
        Models::Remove { name } => show_one(&client.delete(&format!("/api/models/{name}")).await?, form),
        Models::Catalogue => {
            let fields = ["source", "date", "models", "from", "licence", "sha256"];
            show_list(&client.get("/api/models/catalogue").await?["items"], &fields, form);
        }
        Models::Refresh { from, apply } => catalogue::refresh(client, &from, apply, form).await?,
    }
    Ok(())
}

pub(crate) async fn providers(client: &Client, command: Providers, form: Form) -> Result<u8> {
    match command {
        Providers::List => {
            show_list(
                &client.get("/api/providers").await?["items"],
                &["name", "dialect", "has_key", "base_url"],
                form,
            );
            Ok(0)
        }
        Providers::Test { name } => {
            let test = client.post(&format!("/api/providers/{name}/test"), &json!({})).await?;
            show_one(&test, form);
            Ok(u8::from(test["ok"].as_bool() != Some(true)))
        }
    }
}

pub(crate) async fn routes(client: &Client, command: Routes, form: Form) -> Result<u8> {
    match command {
        Routes::List => show_list(&client.get("/api/routes").await?["items"], &["name", "strategy", "targets"], form),
        Routes::Show { name } => {
            let standing = client.get(&format!("/api/routes/{name}")).await?;
            match form {
                Form::Json => output::json(&standing),
                Form::Text => show_list(
                    &standing["targets"],
                    &[
                        "target",
                        "rank",
                        "breaker",
                        "score",
                        "in_flight",
                        "window",
                        "waiting",
                        "ttft_ms",
                        "failing",
                    ],
                    form,
                ),
            }
        }
        Routes::Explain { request } => show_one(&client.get(&format!("/api/routes/explain/{request}")).await?, form),
        Routes::Replay { request } => {
            let replay = client.get(&format!("/api/routes/replay/{request}")).await?;
            show_one(&replay, form);
            return Ok(u8::from(replay["is_same"].as_bool() != Some(true)));
        }
        Routes::Status { route } => rollouts::status(client, &route, form).await?,
        Routes::Shift { given, share } => rollouts::shift(client, given, share, form).await?,
        Routes::Promote(given) => rollouts::order(client, "promote", given, form).await?,
        Routes::Hold(given) => rollouts::order(client, "hold", given, form).await?,
        Routes::Resume(given) => rollouts::order(client, "resume", given, form).await?,
        Routes::Rollback(given) => rollouts::order(client, "rollback", given, form).await?,
        Routes::Cache { route } => rollouts::cache(client, &route, form).await?,
    }
    Ok(0)
}

pub(crate) async fn spend(client: &Client, command: Spend, form: Form) -> Result<()> {
    let Spend::Report { by, since } = command;
    let since = since.map(|since| format!("&since={since}")).unwrap_or_default();
    let report = client.get(&format!("/api/spend?by={by}{since}")).await?;
    match form {
        Form::Json => output::json(&report),
        Form::Text => {
            output::line(&format!(
                "${} for {} calls, {} tokens in, {} out",
                text(&report, "total_usd"),
                report["calls"],
                report["input_tokens"],
                report["output_tokens"]
            ));
            show_list(&report["rows"], &["name", "usd", "calls", "input_tokens", "output_tokens"], form);
        }
    }
    Ok(())
}

pub(crate) async fn doctor(client: &Client, fix: bool, form: Form) -> Result<u8> {
    let report = if fix {
        client.post("/api/doctor", &json!({})).await?
    } else {
        client.get("/api/doctor").await?
    };
    let has_failed = report["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|check| text(check, "state") == "fail");
    match form {
        Form::Json => output::json(&report),
        Form::Text => show_list(&report["checks"], &["state", "name", "detail", "fix"], form),
    }
    Ok(u8::from(has_failed))
}

pub(super) fn show_one(value: &Value, form: Form) {
    match (form, value.as_object()) {
        (Form::Text, Some(fields)) => {
            for name in fields.keys() {
                output::line(&output::printable(&format!("{name}: {}", cell(value, name))));
            }
        }
        _ => output::json(value),
    }
}
