//! `steward keys`: make, list, revoke.

use anyhow::Result;
use serde_json::json;

use super::{show_list, text};
use crate::cli::Keys;
use crate::client::Client;
use crate::output::{self, Form};

pub(crate) async fn run(client: &Client, command: Keys, form: Form) -> Result<()> {
    match command {
        Keys::Create {
            name,
            user,
            team,
            agent,
            role,
            expires,
        } => {
            let body = json!({"name": name, "user": user, "team": team, "agent": agent, "role": role, "expires": expires});
            let created = client.post("/api/keys", &body).await?;
            match form {
                Form::Json => output::json(&created),
                Form::Text => {
                    output::line(text(&created, "key"));
                    output::aside(&format!(
                        "key {} ({}), until {}; it is not shown again",
                        text(&created, "name"),
                        text(&created, "role"),
                        text(&created, "expires_at")
                    ));
                }
            }
        }
        Keys::List => show_list(
            &client.get("/api/keys").await?,
            &["id", "name", "role", "prefix", "expires_at", "revoked_at"],
            form,
        ),
        Keys::Revoke { id } => {
            client.post(&format!("/api/keys/{id}/revoke"), &json!({})).await?;
            match form {
                Form::Json => output::json(&json!({"revoked": id})),
                Form::Text => output::line(&format!("key {id} is revoked")),
            }
        }
    }
    Ok(())
}
