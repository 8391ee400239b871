//! A real `steward serve` in a home of its own, made to be killed.
//!
//! The process gets a process group, so that a tracer and the server die together.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How long a start may take, also under a tracer on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// How often a condition is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A home and the binary that serves it.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) home: PathBuf,
    pub(crate) store_url: String,
    binary: PathBuf,
    sabotage: Option<&'static str>,
    http: reqwest::Client,
}

/// How commands are isolated.
#[derive(Clone, Copy)]
pub(crate) enum Isolation {
    /// As people have it.
    Default,
    /// Bare, so that a tracer sees no processes but the server and the command itself.
    None,
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    group: Pid,
    at: Option<Address>,
    http: reqwest::Client,
    home: PathBuf,
}

#[derive(Clone)]
struct Address {
    url: String,
    token: String,
}

/// What became of a message that was sent.
pub(crate) struct Taken {
    pub(crate) is_duplicate: bool,
    pub(crate) turn: Option<String>,
}

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("STEWARD_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_steward")), PathBuf::from)
}

impl House {
    /// Writes the configuration of a home whose only model is the scripted one. `store_url` as in the configuration.
    pub(crate) fn new(home: &Path, model_url: &str, store_url: &str, isolation: Isolation) -> Result<Self> {
        // The provider is chosen once a process; a second choice is refused and does not matter.
        let _ = rustls::crypto::ring::default_provider().install_default();
        fs::create_dir_all(home)?;
        let sandbox = match isolation {
            Isolation::Default => "",
            Isolation::None => "[sandbox]\nbackend = \"none\"\ni_know = true\n",
        };
        let text = format!(
            "[store]\nurl = \"{store_url}\"\n\
             [providers.scripted]\ndialect = \"openai-chat\"\nbase_url = \"{model_url}\"\nauth = \"none\"\n\
             [models.\"scripted/m\"]\ninput_usd_per_mtok = 0.3\noutput_usd_per_mtok = 1.5\n\
             [routes.default]\ntargets = [{{ model = \"scripted/m\" }}]\n\
             [agents.main]\nroute = \"default\"\ntools = [\"files\", \"shell\"]\n{sandbox}"
        );
        fs::write(home.join("steward.toml"), text)?;
        let store_url = match store_url.strip_prefix("sqlite:") {
            Some(file) => format!("sqlite:{}", home.join(file).display()),
            None => store_url.to_owned(),
        };
        Ok(House {
            home: home.to_owned(),
            store_url,
            binary: binary(),
            sabotage: None,
            http: reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?,
        })
    }

    /// The same home served by a build with a guard taken out.
    pub(crate) fn sabotaged(mut self, binary: &Path, guard: &'static str) -> Self {
        self.binary = binary.to_owned();
        self.sabotage = Some(guard);
        self
    }

    /// The workspace of the one agent.
    pub(crate) fn workspace(&self) -> PathBuf {
        self.home.join("workspaces/main")
    }

    /// Starts the server; `tracer` comes before its command line.
    pub(crate) fn start(&self, tracer: &[String]) -> Result<Server> {
        // What the last server left would be taken for the word of this one.
        let left = fs::remove_file(self.home.join("run.json"));
        drop(left);
        let mut words: Vec<String> = tracer.to_vec();
        words.push(self.binary.display().to_string());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(["serve", "--bind", "127.0.0.1:0", "--home"])
            .arg(&self.home);
        if let Some(guard) = self.sabotage {
            command.env("STEWARD_SABOTAGE", guard);
        }
        // Outside the home, which may be a disk that is full or gone.
        let log = File::options().create(true).append(true).open(self.log())?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("the server cannot be started")?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        Ok(Server {
            child,
            group: pid.context("the server ended at once")?,
            at: None,
            http: self.http.clone(),
            home: self.home.clone(),
        })
    }

    /// Starts the server and waits until it serves.
    pub(crate) async fn start_ready(&self) -> Result<Server> {
        let mut server = self.start(&[])?;
        ensure!(server.ready().await?, "the server ended by itself: {}", self.last_log());
        Ok(server)
    }

    /// The end of what servers of this home logged.
    pub(crate) fn last_log(&self) -> String {
        let text = fs::read(self.log())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    fn log(&self) -> PathBuf {
        let name = self.home.to_string_lossy().replace('/', "_");
        std::env::temp_dir().join(format!("steward-crash{name}.log"))
    }

    /// Removes what is kept outside the home.
    pub(crate) fn clean(&self) {
        drop(fs::remove_file(self.log()));
    }
}

impl Server {
    /// True once it serves, false if it ended before.
    pub(crate) async fn ready(&mut self) -> Result<bool> {
        let until = Instant::now() + READY_WITHIN;
        while self.at.is_none() {
            if self.has_ended()? {
                return Ok(false);
            }
            ensure!(Instant::now() < until, "the server was not ready within {READY_WITHIN:?}");
            let running = fs::read(self.home.join("run.json")).ok();
            let running: Option<Value> = running.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            if let Some(running) = running {
                let text = |name: &str| running[name].as_str().unwrap_or_default().to_owned();
                self.at = Some(Address {
                    url: text("url"),
                    token: text("token"),
                });
            } else {
                sleep(LOOK_EVERY).await;
            }
        }
        Ok(true)
    }

    /// Has it served already?
    pub(crate) fn is_ready(&self) -> bool {
        self.at.is_some()
    }

    /// Has the process ended?
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Sends a message and gives what became of it; an error means that nobody knows.
    pub(crate) async fn send(&self, session: &str, client_id: &str, text: &str) -> Result<Taken> {
        let body = json!({"client_id": client_id, "text": text});
        let (status, answer) = self.post(&format!("/api/sessions/{session}/messages"), &body).await?;
        ensure!(status == 202, "the message was answered {status}: {answer}");
        Ok(Taken {
            is_duplicate: answer["is_duplicate"] == true,
            turn: answer["turn_id"].as_str().map(str::to_owned),
        })
    }

    /// Status and body of a request.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let at = self.at.as_ref().context("the server is not ready")?;
        let request = self.http.post(format!("{}{path}", at.url)).bearer_auth(&at.token).json(body);
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok((status, response.json().await.unwrap_or(Value::Null)))
    }

    /// The body of an answer that must be good.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        let at = self.at.as_ref().context("the server is not ready")?;
        let response = self.http.get(format!("{}{path}", at.url)).bearer_auth(&at.token).send().await?;
        let status = response.status();
        let body: Value = response.json().await?;
        if !status.is_success() {
            bail!("GET {path} was answered {status}: {body}");
        }
        Ok(body)
    }

    /// All turns, the newest first.
    pub(crate) async fn turns(&self) -> Result<Vec<Value>> {
        let list = self.get("/api/turns?limit=500").await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// Resolves when there are turns and none is open.
    pub(crate) async fn all_turns_over(&self, look_every: Duration) -> Result<()> {
        loop {
            let turns = self.turns().await?;
            let is_open = |turn: &Value| matches!(turn["status"].as_str(), Some("running" | "waiting"));
            if !turns.is_empty() && !turns.iter().any(is_open) {
                return Ok(());
            }
            sleep(look_every).await;
        }
    }

    /// SIGKILL to the server and its tracer. Resolves when they are gone.
    pub(crate) async fn kill(mut self) -> Result<()> {
        // It may have ended by itself.
        let _ = kill_process_group(self.group, Signal::KILL);
        self.child.wait().await?;
        let until = Instant::now() + Duration::from_secs(2);
        while test_kill_process_group(self.group).is_ok() && Instant::now() < until {
            sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that failed leaves no server behind. After `kill` the group is gone and this changes nothing.
        if self.child.id().is_some() {
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }
}
