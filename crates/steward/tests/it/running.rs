//! The real binary as a child process: a server that ends with its value, or one command with its outcome.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How long anything here may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running `steward serve`. Dropping it kills that process and no other.
pub(crate) struct Server {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) url: String,
}

impl Server {
    /// Starts it on a free port and waits for its ready line; the last words of one that does not start are its error.
    pub(crate) async fn start(home: &Path) -> Result<Self, Ran> {
        let log = home.with_extension("log");
        let log_file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut child = command(home, &["serve", "--bind", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = tokio::time::timeout(PATIENCE, lines.next_line())
            .await
            .expect("a first line in time")
            .unwrap();
        let Some(first) = first else {
            let status = child.wait().await.unwrap();
            return Err(Ran {
                code: status.code().unwrap_or(-1),
                stdout: String::new(),
                stderr: std::fs::read_to_string(log).unwrap(),
            });
        };
        let url = first.strip_prefix("steward ready on ").expect("the ready line").to_owned();
        Ok(Server { child, lines, url })
    }

    /// The next line that it prints.
    pub(crate) async fn next_line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line())
            .await
            .expect("a line in time");
        line.unwrap().expect("one more line")
    }

    /// Ends it at once, as a crash would.
    pub(crate) async fn kill(mut self) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
    }

    /// Ends it in good order.
    pub(crate) async fn terminate(mut self) {
        let pid = self.child.id().expect("it still runs").to_string();
        let sent = std::process::Command::new("kill").arg(pid).status().unwrap();
        assert!(sent.success());
        let ended = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("it ends in time")
            .unwrap();
        assert!(ended.success(), "{ended}");
    }
}

/// What one command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Its output as JSON; the command must have ended well.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error that `--json` shows: the last line of standard error.
    pub(crate) fn error(&self) -> Value {
        let last = self.stderr.lines().last().unwrap_or_default();
        let value: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        value["error"].clone()
    }
}

/// Runs one command to its end.
pub(crate) async fn run(home: &Path, arguments: &[&str]) -> Ran {
    let child = command(home, arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .expect("it ends in time")
        .unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The binary with a clean environment: no keys and no home of whoever runs the tests.
fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_steward"));
    command
        .arg("--home")
        .arg(home)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.parent().unwrap())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}
