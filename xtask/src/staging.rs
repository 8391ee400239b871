//! A Steward of its own for a stage of the tests: a scripted model, a fresh home, the real binary.
//!
//! It listens on loopback, on ports the system chooses, and ends with the value that holds it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell::{Job, root, target};

const PATIENCE: Duration = Duration::from_secs(60);

/// How long the sign-in line may come after the ready line.
const LINK_PATIENCE: Duration = Duration::from_secs(5);

/// The wires, each a provider of the staged home: `openai-chat/scripted` and so on.
pub(crate) const WIRES: &[&str] = &["openai-chat", "openai-responses", "anthropic", "gemini"];

/// A running Steward with a scripted model behind it.
pub(crate) struct Staging {
    /// Where Steward listens.
    pub(crate) url: String,
    /// The one-time link to the console.
    pub(crate) link: String,
    home: PathBuf,
    // Steward goes before its model.
    _steward: Running,
    _model: Running,
}

/// A program that is ended when this is dropped.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Staging {
    /// Starts both programs; `script` is a file for the scripted model.
    pub(crate) fn start(name: &str, script: &Path) -> Result<Self> {
        let home = target().join("staging").join(name);
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        fs::create_dir_all(&home)?;
        let model = Running::start(&binary("steward-scripted-model"), &["--script", &script.to_string_lossy()])?;
        let model_url = model.url_after("scripted model ready on ", PATIENCE)?;
        fs::write(home.join("steward.toml"), configuration(&model_url))?;
        let steward = Running::start(
            &binary("steward"),
            &["--home", &home.to_string_lossy(), "serve", "--bind", "127.0.0.1:0"],
        )?;
        let url = steward.url_after("steward ready on ", PATIENCE)?;
        let link = steward.url_after("", LINK_PATIENCE).unwrap_or_default();
        Ok(Staging {
            url,
            link,
            home,
            _steward: steward,
            _model: model,
        })
    }

    /// A key for this Steward.
    pub(crate) fn create_key(&self, name: &str) -> Result<String> {
        let home = self.home.to_string_lossy().into_owned();
        let printed = Job::new(binary("steward"), &["--home", &home, "keys", "create", name, "--json"]).output()?;
        let created: Value = serde_json::from_str(&printed).with_context(|| format!("`keys create --json` printed {printed:?}"))?;
        created["key"]
            .as_str()
            .map(str::to_owned)
            .context("`keys create --json` printed no key")
    }
}

fn binary(name: &str) -> PathBuf {
    target().join("debug").join(name)
}

fn configuration(model_url: &str) -> String {
    let mut text = String::from("[routes.default]\ntargets = [ { model = \"openai-chat/scripted\" } ]\n");
    for wire in WIRES {
        text.push_str(&format!(
            "\n[providers.{wire}]\ndialect = \"{wire}\"\nbase_url = \"{model_url}\"\napi_key = \"sk-scripted\"\n"
        ));
        let prices = "input_usd_per_mtok = 1.0\noutput_usd_per_mtok = 2.0\ncontext_tokens = 100000";
        text.push_str(&format!("\n[models.\"{wire}/scripted\"]\n{prices}\n"));
        // Stories make targets fail on purpose: no failure may shut the target for the next one, or be tried again for seconds.
        let patience = "breaker = { failures = 1000 }\nretry = { attempts = 0 }";
        text.push_str(&format!(
            "\n[routes.by-{wire}]\ntargets = [ {{ model = \"{wire}/scripted\" }} ]\n{patience}\n"
        ));
    }
    text
}

impl Running {
    fn start(program: &Path, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stdout = child.stdout.take().context("the program has a standard output")?;
        let (sender, lines) = mpsc::channel();
        // Read to the end, so that the program never waits for a reader.
        std::thread::spawn(move || {
            BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .for_each(|line| drop(sender.send(line)))
        });
        Ok(Running { child, lines })
    }

    /// The address in the next line that begins like this.
    fn url_after(&self, beginning: &str, patience: Duration) -> Result<String> {
        loop {
            let line = self
                .lines
                .recv_timeout(patience)
                .with_context(|| format!("no line {beginning:?} within {patience:?}"))?;
            let url = line.split_whitespace().find(|word| word.starts_with("http://"));
            if let (true, Some(url)) = (line.starts_with(beginning), url) {
                return Ok(url.to_owned());
            }
            if beginning.is_empty() {
                bail!("{line:?} holds no address");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
