//! `steward approvals`: what waits for a person, and the answers.

use anyhow::Result;
use serde_json::{Value, json};

use super::{show_list, text};
use crate::cli::Approvals;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

pub(crate) async fn run(client: &Client, command: Approvals, form: Form) -> Result<()> {
    match command {
        Approvals::List { all } => {
            let state = if all { "all" } else { "waiting" };
            let list = client.get(&format!("/api/approvals?state={state}")).await?;
            show_list(
                &list,
                &["id", "state", "agent", "tool", "args", "effect", "reason", "expires_at"],
                form,
            );
        }
        Approvals::Approve { id, scope, note } => {
            if !matches!(scope.as_str(), "once" | "session" | "always") {
                return Err(Failure::new(Exit::Usage, "usage", format!("--scope {scope:?} is not known"))
                    .with_hint("once, session or always")
                    .into());
            }
            decide(client, &id, &json!({"decision": "allow", "scope": scope, "note": note}), form).await?;
        }
        Approvals::Deny { id, note } => decide(client, &id, &json!({"decision": "deny", "note": note}), form).await?,
    }
    Ok(())
}

async fn decide(client: &Client, id: &str, body: &Value, form: Form) -> Result<()> {
    let answer = client.post(&format!("/api/approvals/{id}/decision"), body).await?;
    match form {
        Form::Json => output::json(&answer),
        Form::Text => output::line(&format!("{id}: {}", text(&answer, "state"))),
    }
    Ok(())
}
