//! Commands on the rollout and the cache of a route.

use anyhow::Result;
use serde_json::{Value, json};

use super::lists::show_one;
use super::{cell, show_list, text};
use crate::cli::Given;
use crate::client::Client;
use crate::output::{self, Form};

/// An order that needs no figure, by the word of its path.
pub(crate) async fn order(client: &Client, word: &str, given: Given, form: Form) -> Result<()> {
    let body = json!({"why": given.why});
    show_event(&client.post(&format!("/api/routes/{}/{word}", given.route), &body).await?, form);
    Ok(())
}

/// Gives the candidate a share.
pub(crate) async fn shift(client: &Client, given: Given, share: f64, form: Form) -> Result<()> {
    let body = json!({"share": share, "why": given.why});
    show_event(&client.post(&format!("/api/routes/{}/shift", given.route), &body).await?, form);
    Ok(())
}

/// How a rollout stands.
pub(crate) async fn status(client: &Client, route: &str, form: Form) -> Result<()> {
    let status = client.get(&format!("/api/routes/{route}/rollout")).await?;
    if form == Form::Json {
        output::json(&status);
        return Ok(());
    }
    output::line(&output::printable(&format!(
        "{} of {} on route {}: {}, share {}, since {}",
        text(&status, "kind"),
        cell(&status, "candidate"),
        text(&status, "route"),
        text(&status, "phase"),
        status["share"],
        text(&status, "since"),
    )));
    let gates = [
        "measure",
        "standing",
        "limit",
        "candidate",
        "incumbent",
        "towards_met",
        "towards_broken",
    ];
    show_list(&status["gates"], &gates, form);
    show_list(&status["arms"], &["arm", "calls", "errors", "cost_usd", "posterior"], form);
    if !status["candidate_is_better"].is_null() {
        output::line(&format!(
            "the candidate earns more with a probability of {}",
            status["candidate_is_better"]
        ));
    }
    show_list(
        &status["events"],
        &["at", "action", "who", "share_before", "share_after", "why"],
        form,
    );
    Ok(())
}

/// How a cache does.
pub(crate) async fn cache(client: &Client, route: &str, form: Form) -> Result<()> {
    show_one(&client.get(&format!("/api/routes/{route}/cache")).await?, form);
    Ok(())
}

fn show_event(event: &Value, form: Form) {
    match form {
        Form::Json => output::json(event),
        Form::Text => output::line(&output::printable(&format!(
            "route {}: {}, the candidate's share is {}",
            text(event, "route"),
            text(event, "action"),
            event["share_after"]
        ))),
    }
}
