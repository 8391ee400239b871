//! `steward onboard`: writes provider and route into the configuration, then makes one real call.

use std::io::{IsTerminal, Read};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::config::set_in_text;
use super::text;
use crate::cli::Onboard;
use crate::client::Client;
use crate::configuration::Configuration;
use crate::default_route;
use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::output::{self, Form};
use crate::whole_file;

pub(crate) async fn run(home: &Home, options: Onboard, form: Form) -> Result<()> {
    if !options.non_interactive && !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, "usage", "there is no terminal to ask at")
            .with_hint("use --non-interactive with --provider and --key-env")
            .into());
    }
    home.create()?;
    let options = if options.non_interactive { options } else { asked(options)? };
    let changed = changed_configuration(home, &options)?;
    if let Some(text) = changed {
        Configuration::parse(&text, &home.config_file())?;
        let file = home.config_file();
        whole_file::write(&file, text.as_bytes()).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    let client = Client::connect(home).await?;
    let outcome = finish(&client, &options, form).await;
    client.close().await;
    outcome
}

/// Asks at the terminal for what the options leave open.
fn asked(mut options: Onboard) -> Result<Onboard> {
    output::piece(&format!(
        "Provider (anthropic, openai, gemini, … or local) [{}]: ",
        options.provider
    ));
    let provider = line()?;
    if !provider.is_empty() {
        options.provider = provider;
    }
    if options.provider != "local" && options.key_env.is_none() && !options.key_stdin {
        output::piece("Name of the environment variable that holds the key: ");
        options.key_env = Some(line()?).filter(|name| !name.is_empty());
    }
    Ok(options)
}

fn line() -> Result<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// The configuration with the provider in it; `None` when nothing has to change.
fn changed_configuration(home: &Home, options: &Onboard) -> Result<Option<String>> {
    let provider = options.provider.as_str();
    if provider == "local" {
        return Ok(None);
    }
    let mut file = std::fs::read_to_string(home.config_file()).unwrap_or_default();
    let mut set = |key: String, value: Value| -> Result<()> {
        file = set_in_text(&file, &key, &value)?;
        Ok(())
    };
    if let Some(name) = &options.key_env {
        set(format!("providers.{provider}.api_key"), json!(format!("${{{name}}}")))?;
    } else if options.key_stdin {
        let mut key = String::new();
        std::io::stdin()
            .read_to_string(&mut key)
            .context("the key cannot be read from standard input")?;
        set(format!("providers.{provider}.api_key"), json!(key.trim()))?;
    }
    if let Some(url) = &options.base_url {
        set(format!("providers.{provider}.base_url"), json!(url))?;
    }
    if let Some(dialect) = &options.dialect {
        set(format!("providers.{provider}.dialect"), json!(dialect))?;
    }
    if let Some(model) = &options.model {
        let target = format!("{provider}/{model}");
        set(
            "routes.default.targets".into(),
            json!([{"model": target}, {"model": default_route::LOCAL}]),
        )?;
    }
    Ok(Some(file))
}

/// Pulls the local model or tests the provider, live.
async fn finish(client: &Client, options: &Onboard, form: Form) -> Result<()> {
    let provider = options.provider.as_str();
    let report = if provider == "local" {
        let name = default_route::LOCAL.trim_start_matches("local/");
        client.post(&format!("/api/models/{name}/pull"), &json!({})).await?
    } else {
        client.post(&format!("/api/providers/{provider}/test"), &json!({})).await?
    };
    let is_good = provider == "local" || report["ok"].as_bool() == Some(true);
    if !is_good {
        return Err(
            Failure::new(Exit::Failed, "provider", format!("{provider}: {}", text(&report, "message")))
                .with_hint("check the key and the address; the configuration is kept")
                .into(),
        );
    }
    match form {
        Form::Json => output::json(&json!({"provider": provider, "report": report})),
        Form::Text => output::line(&format!(
            "{provider} works. Start with `steward serve`, or say hello: steward chat -m \"hello\""
        )),
    }
    Ok(())
}
