//! Runs a command: most are a call to the server and a way to show the answer.

mod approvals;
mod backup;
mod catalogue;
mod chaos;
mod chat;
mod config;
mod keys;
mod lists;
mod onboard;
mod rollouts;
mod top;
mod turns;

use anyhow::Result;
use serde_json::{Value, json};

use crate::cli::{Cli, Command};
use crate::client::Client;
use crate::home::Home;
use crate::output::{self, Form};
use crate::reference;
use crate::serve;

/// Runs the command and gives the exit code.
pub(crate) async fn run(cli: Cli) -> Result<u8> {
    let home = Home::find(cli.home)?;
    let form = if cli.json { Form::Json } else { Form::Text };
    match cli.command {
        Some(Command::Serve(options)) => serve::run(&home, options.bind).await.map(|()| 0),
        Some(Command::Onboard(options)) => onboard::run(&home, options, form).await.map(|()| 0),
        Some(Command::Config(crate::cli::Config::Check { file })) => config::check(&home, file, form),
        Some(Command::Reference { part }) => {
            output::piece(&reference::text(part));
            Ok(0)
        }
        Some(Command::Config(crate::cli::Config::Schema)) => config::schema().map(|()| 0),
        Some(Command::Backup(crate::cli::Backup::Verify { path })) => backup::verify(&path, form).map(|()| 0),
        Some(Command::Backup(crate::cli::Backup::Restore { path })) => backup::restore(&home, &path, form).map(|()| 0),
        other => {
            let client = Client::connect(&home).await?;
            let outcome = with_server(&client, other, form).await;
            client.close().await;
            outcome
        }
    }
}

async fn with_server(client: &Client, command: Option<Command>, form: Form) -> Result<u8> {
    match command {
        None => chat::interactive(client, "main", None).await.map(|()| 0),
        Some(Command::Chat(options)) => chat::run(client, options, form).await,
        Some(Command::Agents(command)) => lists::agents(client, command, form).await.map(|()| 0),
        Some(Command::Sessions(command)) => lists::sessions(client, command, form).await.map(|()| 0),
        Some(Command::Turns(command)) => turns::run(client, command, form).await.map(|()| 0),
        Some(Command::Approvals(command)) => approvals::run(client, command, form).await.map(|()| 0),
        Some(Command::Models(command)) => lists::models(client, command, form).await.map(|()| 0),
        Some(Command::Providers(command)) => lists::providers(client, command, form).await,
        Some(Command::Routes(command)) => lists::routes(client, command, form).await,
        Some(Command::Chaos(command)) => chaos::run(client, command, form).await.map(|()| 0),
        Some(Command::Top(options)) => top::run(client, options, form).await.map(|()| 0),
        Some(Command::Spend(command)) => lists::spend(client, command, form).await.map(|()| 0),
        Some(Command::Config(command)) => config::run(client, command, form).await.map(|()| 0),
        Some(Command::Keys(command)) => keys::run(client, command, form).await.map(|()| 0),
        Some(Command::Doctor(options)) => lists::doctor(client, options.fix, form).await,
        Some(Command::Backup(_)) => backup::create(client, form).await.map(|()| 0),
        Some(Command::Open) => open(client, form).await.map(|()| 0),
        Some(Command::Serve(_) | Command::Onboard(_) | Command::Reference { .. }) => {
            unreachable!("these need no server and are run before")
        }
    }
}

async fn open(client: &Client, form: Form) -> Result<()> {
    let link = client.post("/api/signin-links", &json!({})).await?;
    match form {
        Form::Json => output::json(&link),
        Form::Text => output::line(text(&link, "url")),
    }
    Ok(())
}

pub(crate) use config::set_in_text;

/// JSON Schema of the configuration file.
pub(crate) fn config_schema() -> Value {
    schemars::schema_for!(crate::configuration::Configuration).to_value()
}

/// A text field; empty where there is none.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// A field of any kind as a cell of a table.
fn cell(value: &Value, field: &str) -> String {
    match &value[field] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Shows a list: the items themselves as JSON, or a table of these fields.
fn show_list(items: &Value, fields: &[&str], form: Form) {
    match form {
        Form::Json => output::json(items),
        Form::Text => {
            let rows: Vec<Vec<String>> = items
                .as_array()
                .into_iter()
                .flatten()
                .map(|item| fields.iter().map(|field| cell(item, field)).collect())
                .collect();
            if rows.is_empty() {
                output::aside("nothing to show");
                return;
            }
            output::table(fields, &rows);
        }
    }
}
