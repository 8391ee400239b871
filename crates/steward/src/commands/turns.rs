//! `steward turns`: list, show, stop, undo.

use anyhow::Result;
use serde_json::{Value, json};

use super::{cell, show_list, text};
use crate::cli::Turns;
use crate::client::Client;
use crate::output::{self, Form};

pub(crate) async fn run(client: &Client, command: Turns, form: Form) -> Result<()> {
    match command {
        Turns::List {
            agent,
            status,
            session,
            limit,
        } => {
            let mut path = format!("/api/turns?limit={limit}");
            for (name, value) in [("agent", agent), ("status", status), ("session", session)] {
                if let Some(value) = value {
                    path.push_str(&format!("&{name}={value}"));
                }
            }
            let list = client.get(&path).await?;
            show_list(
                &list["items"],
                &["id", "status", "agent", "session", "started_at", "steps", "cost_usd"],
                form,
            );
        }
        Turns::Show { id, context: true } => {
            let context = client.get(&format!("/api/turns/{id}/context")).await?;
            match form {
                Form::Json => output::json(&context),
                Form::Text => show_context(&context),
            }
        }
        Turns::Show { id, context: false } => {
            let turn = client.get(&format!("/api/turns/{id}")).await?;
            match form {
                Form::Json => output::json(&turn),
                Form::Text => show_turn(&turn),
            }
        }
        Turns::Stop { id } => {
            let answer = client.post(&format!("/api/turns/{id}/stop"), &json!({})).await?;
            done(&answer, &format!("turn {id}: {}", text(&answer, "status")), form);
        }
        Turns::Undo { id } => {
            let answer = client.post(&format!("/api/turns/{id}/undo"), &json!({})).await?;
            let count = |field: &str| answer[field].as_array().map_or(0, Vec::len);
            done(
                &answer,
                &format!("restored {} files, left {} alone: {}", count("restored"), count("skipped"), answer),
                form,
            );
        }
    }
    Ok(())
}

fn done(answer: &Value, sentence: &str, form: Form) {
    match form {
        Form::Json => output::json(answer),
        Form::Text => output::line(&output::printable(sentence)),
    }
}

fn show_context(context: &Value) {
    for step in context["steps"].as_array().into_iter().flatten() {
        output::line(&format!("step {}: about {} tokens", step["step"], step["tokens"]));
        let rows: Vec<Vec<String>> = step["parts"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|part| {
                ["name", "tokens", "cap_chars", "cut_chars", "note"]
                    .iter()
                    .map(|field| cell(part, field))
                    .collect()
            })
            .collect();
        output::table(&["part", "tokens", "cap", "cut", "note"], &rows);
    }
}

fn show_turn(turn: &Value) {
    let line = |text: String| output::line(&output::printable(&text));
    line(format!(
        "{} · {} · agent {} · session {} · ${}",
        text(turn, "id"),
        text(turn, "status"),
        text(turn, "agent"),
        text(turn, "session"),
        text(turn, "cost_usd")
    ));
    line(format!("asked: {}", text(turn, "asked")));
    for step in turn["steps"].as_array().into_iter().flatten() {
        line(format!(
            "step {} · {} · {} in, {} out · ${}",
            step["step"],
            text(step, "target"),
            step["input_tokens"],
            step["output_tokens"],
            text(step, "cost_usd")
        ));
        for call in step["calls"].as_array().into_iter().flatten() {
            line(format!(
                "  {} {} → {} ({}: {})",
                text(call, "tool"),
                call["args"],
                cell(call, "outcome"),
                text(call, "decision"),
                text(call, "rule")
            ));
        }
    }
    for note in turn["notes"].as_array().into_iter().flatten() {
        line(format!("note: {}", note.as_str().unwrap_or_default()));
    }
    for receipt in turn["receipts"].as_array().into_iter().flatten() {
        line(format!(
            "receipt: {} {} ({})",
            text(receipt, "action"),
            text(receipt, "object"),
            text(receipt, "detail")
        ));
    }
    line(format!("answer: {}", text(turn, "text")));
}
