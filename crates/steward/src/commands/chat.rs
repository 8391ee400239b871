//! `steward chat`: one message, or a conversation line by line.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::Result;
use serde_json::{Value, json};

use super::text;
use crate::cli::Chat;
use crate::client::{Client, Next};
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

/// One message with `-m`, else interactive.
pub(crate) async fn run(client: &Client, options: Chat, form: Form) -> Result<u8> {
    let Some(message) = options.message else {
        interactive(client, &options.agent, options.session).await?;
        return Ok(0);
    };
    let session = options.session.unwrap_or_else(fresh_session);
    let view = if form == Form::Text { View::Live } else { View::Silent };
    let Sent::Turn(end) = send(client, &options.agent, &session, (&message, view)).await? else {
        return Ok(0);
    };
    if form == Form::Json {
        output::json(&json!({
            "turn_id": end.turn_id, "session": session, "status": end.status, "text": end.text, "steps": end.steps, "cost_usd": end.cost_usd,
        }));
    }
    match end.status.as_str() {
        "done" | "waiting" => Ok(0),
        "refused" => Err(Failure::new(Exit::Refused, "refused", end.text).into()),
        "stopped" => Ok(130),
        _ if form == Form::Json => Ok(1),
        _ => Err(Failure::new(Exit::Failed, "failed", end.text).into()),
    }
}

/// Reads lines and answers each; `/quit` or the end of input leaves.
pub(crate) async fn interactive(client: &Client, agent: &str, session: Option<String>) -> Result<()> {
    let session = session.unwrap_or_else(|| "main".into());
    let is_person = std::io::stdin().is_terminal();
    if is_person {
        output::aside(&format!(
            "Talking to agent {agent}, session {session}. /help shows commands, /quit leaves."
        ));
    }
    loop {
        if is_person {
            output::piece("> ");
        }
        let Some(line) = read_line().await? else { return Ok(()) };
        let line = line.trim().to_owned();
        match line.as_str() {
            "" => continue,
            "/quit" | "/exit" => return Ok(()),
            _ => {}
        }
        if let Sent::Turn(end) = send(client, agent, &session, (&line, View::Live)).await? {
            if end.status == "failed" || end.status == "refused" {
                output::aside(&end.text);
            }
            answer_approvals(client, &end, is_person).await?;
        }
    }
}

async fn read_line() -> Result<Option<String>> {
    // Reading a terminal blocks, so it happens beside the runtime's own threads.
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .map(|bytes| (bytes > 0).then_some(line))
    });
    Ok(line.await??)
}

/// While the turn waits and a person sits here, asks them; the turn goes on with each answer.
async fn answer_approvals(client: &Client, end: &End, is_person: bool) -> Result<()> {
    let mut status = end.status.clone();
    while status == "waiting" && is_person {
        let approvals = client.get("/api/approvals?state=waiting").await?;
        let waiting: Vec<&Value> = approvals
            .as_array()
            .into_iter()
            .flatten()
            .filter(|approval| text(approval, "turn_id") == end.turn_id)
            .collect();
        for approval in waiting {
            ask(client, approval).await?;
        }
        status = follow(client, &end.turn_id, View::Live).await?.status;
    }
    Ok(())
}

async fn ask(client: &Client, approval: &Value) -> Result<()> {
    let id = text(approval, "id");
    let is_question = text(approval, "kind") == "question";
    if is_question {
        output::aside(&format!("? {}", text(&approval["args"], "question")));
    } else {
        output::aside(&format!(
            "{} {} – {}",
            text(approval, "tool"),
            approval["args"],
            text(approval, "reason")
        ));
        output::piece("allow? [y] once, [s] this session, [n] no: ");
    }
    std::io::stdout().flush()?;
    let answer = read_line().await?.unwrap_or_default().trim().to_owned();
    let (decision, scope, note) = match (is_question, answer.as_str()) {
        (true, words) => ("allow", "once", words),
        (false, "y" | "yes") => ("allow", "once", ""),
        (false, "s") => ("allow", "session", ""),
        (false, _) => ("deny", "once", ""),
    };
    let body = json!({"decision": decision, "scope": scope, "digest": approval["digest"], "note": note});
    client.post(&format!("/api/approvals/{id}/decision"), &body).await?;
    Ok(())
}

/// How a message ended.
struct End {
    turn_id: String,
    status: String,
    text: String,
    steps: u64,
    cost_usd: String,
}

enum Sent {
    /// A chat command was answered.
    Command,
    /// A turn ended or waits.
    Turn(End),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    Live,
    Silent,
}

async fn send(client: &Client, agent: &str, session: &str, (message, view): (&str, View)) -> Result<Sent> {
    let body = json!({"text": message, "agent": agent, "channel": "terminal", "client_id": format!("cli-{:032x}", rand::random::<u128>())});
    let path = format!("/api/sessions/{}/messages", encoded(session));
    let sent = client.post(&path, &body).await?;
    if sent["command"].as_bool() == Some(true) {
        output::line(&output::printable(text(&sent, "text")));
        return Ok(Sent::Command);
    }
    let turn_id = match sent["turn_id"].as_str() {
        Some(turn) => turn.to_owned(),
        None => waited_turn(client, text(&sent, "inbound_id")).await?,
    };
    follow(client, &turn_id, view).await.map(Sent::Turn)
}

/// A message that waits behind a running turn is taken by a later one.
async fn waited_turn(client: &Client, inbound: &str) -> Result<String> {
    let mut found = None;
    let path = format!("/api/inbox/{inbound}");
    client.follow("/api/stream", |_| Next::Stop).await?;
    while found.is_none() {
        found = client.get(&path).await?["turn_id"].as_str().map(str::to_owned);
        if found.is_none() {
            client
                .follow(
                    "/api/stream",
                    |event| if text(event, "type") == "hello" { Next::More } else { Next::Stop },
                )
                .await?;
        }
    }
    Ok(found.unwrap_or_default())
}

/// Shows a turn as it happens.
async fn follow(client: &Client, turn_id: &str, view: View) -> Result<End> {
    let mut end = End {
        turn_id: turn_id.to_owned(),
        status: "failed".into(),
        text: "the stream of the turn broke off".into(),
        steps: 0,
        cost_usd: "0".into(),
    };
    let mut has_text = false;
    client
        .follow(&format!("/api/turns/{turn_id}/stream"), |event| {
            if view == View::Live {
                show(event, &mut has_text);
            }
            if text(event, "type") != "finished" {
                return Next::More;
            }
            end.status = text(event, "status").to_owned();
            end.text = text(event, "text").to_owned();
            end.steps = event["steps"].as_u64().unwrap_or_default();
            end.cost_usd = text(event, "cost_usd").to_owned();
            Next::Stop
        })
        .await?;
    if view == View::Live {
        finish_view(&end, has_text);
    }
    Ok(end)
}

fn show(event: &Value, has_text: &mut bool) {
    match text(event, "type") {
        "text" => {
            *has_text = true;
            output::piece(text(event, "text"));
        }
        "step" if std::mem::take(has_text) => output::line(""),
        "call" => {
            let call = &event["call"];
            output::aside(&format!("· {} {} ({})", text(call, "tool"), call["args"], text(call, "decision")));
        }
        "call_finished" if text(event, "outcome") != "done" => output::aside(&format!("  {}", text(event, "output"))),
        "note" => output::aside(text(event, "text")),
        _ => {}
    }
}

fn finish_view(end: &End, has_text: bool) {
    let is_new_text = !has_text && end.status == "done";
    if is_new_text {
        output::piece(&end.text);
    }
    if has_text || is_new_text {
        output::line("");
    }
    if end.status == "waiting" {
        output::aside(&format!("Turn {} waits for a person: `steward approvals list`.", end.turn_id));
    }
}

fn fresh_session() -> String {
    format!("cli-{:016x}", rand::random::<u64>())
}

/// A session's name as one part of a path.
fn encoded(name: &str) -> String {
    name.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
