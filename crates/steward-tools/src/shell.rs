//! `shell`: a command in the sandbox, waited for or in the background.
//!
//! Never starts a process itself. A command that only reads gets the workspace read-only, so a mistake about it is harmless.

pub(crate) mod capture;
pub(crate) mod effect;
pub(crate) mod keys;
pub(crate) mod process;
pub(crate) mod processes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::files::{FileRules, Touched};
use steward_domain::message::Part;
use steward_domain::tool::{Evidence, EvidenceAction, LeftBy, Repeat, Tool, ToolContext, ToolOutcome, ToolOutput, ToolSpec};
use steward_sandbox::{Access, Child, Command, Ended, Exit, Output, Sandbox, SandboxError, Stdin, Streams};
use tokio::io::AsyncReadExt;

use crate::arguments::{blocking, named, parse, settle};
use crate::workspace::Workspace;
use crate::workspace::closed::Closed;
use capture::{Capture, Shown};
use process::Begun;
use processes::Processes;

/// How long a command may run when the call does not say.
const DEFAULT_TIME: Duration = Duration::from_secs(30 * 60);
/// A terminal of this size, rows and columns.
const TERMINAL: (u16, u16) = (40, 120);
/// What is left in the pipe when the command is over is read within this time.
const DRAIN: Duration = Duration::from_millis(500);

pub(crate) struct ShellTool {
    spec: ToolSpec,
    workspace: Workspace,
    sandbox: Arc<Sandbox>,
    processes: Arc<Processes>,
    shown: Shown,
    shell: &'static str,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Arguments {
    pub(crate) command: Words,
    cwd: Option<String>,
    #[serde(default)]
    background: bool,
    #[serde(default)]
    pty: bool,
    timeout_s: Option<u64>,
}

/// A line for a shell, or a program with its arguments.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Words {
    Line(String),
    Argv(Vec<String>),
}

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Words::Line(line) => f.write_str(line),
            Words::Argv(words) => f.write_str(&words.join(" ")),
        }
    }
}

impl ShellTool {
    pub(crate) fn new(workspace: Workspace, sandbox: Arc<Sandbox>, processes: Arc<Processes>, shown: Shown) -> Self {
        let spec = ToolSpec {
            name: "shell",
            group: "shell",
            description: include_str!("../prompts/shell.md").trim_ascii(),
            input_schema: json!({
                "type": "object",
                "properties": {
                    "command": { "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] },
                    "cwd": { "type": "string" },
                    "background": { "type": "boolean" },
                    "pty": { "type": "boolean" },
                    "timeout_s": { "type": "integer", "minimum": 1 }
                },
                "required": ["command"]
            }),
            effect: Effect::Destroys,
            repeat: Repeat::Never,
            gives_outside: false,
        };
        let has_bash = ["/usr/bin/bash", "/bin/bash"].iter().any(|path| Path::new(path).is_file());
        ShellTool {
            spec,
            workspace,
            sandbox,
            processes,
            shown,
            shell: if has_bash { "bash" } else { "sh" },
        }
    }

    async fn run(&self, arguments: Value, context: ToolContext) -> Result<ToolOutcome, ToolOutcome> {
        let arguments: Arguments = parse(arguments)?;
        let mut command = self.command(&arguments)?;
        let closed = self.closed(context.files).await?;
        let note = closed.note().map(|note| format!("[{note}]\n")).unwrap_or_default();
        (command.hidden, command.read_only) = (closed.hidden, closed.read_only);
        let line = arguments.command.to_string();
        if arguments.background {
            let slot = self.processes.reserve(&context.agent)?;
            let child = self.spawn(command).await?;
            let begun = Begun {
                line: line.clone(),
                has_terminal: arguments.pty,
                by: [LeftBy::Turn(context.turn), LeftBy::Session(context.session)],
            };
            let id = slot.fill(child, begun, self.shown.clone());
            let evidence = vec![ran(&line, format!("background process {id}"))];
            let said = format!("{note}started {id}; read it with shell_poll");
            return Ok(ToolOutcome::Done(ToolOutput {
                parts: vec![Part::text(said)],
                evidence,
            }));
        }
        let child = self.spawn(command).await?;
        let (output, exit) = wait(child, self.shown.clone()).await?;
        report((&line, &note), output, &exit)
    }

    /// What the rules keep from a command.
    async fn closed(&self, rules: Arc<dyn FileRules>) -> Result<Closed, ToolOutcome> {
        if !rules.may_limit_below("") {
            return Ok(Closed::default());
        }
        let workspace = self.workspace.clone();
        let found = blocking(move || Closed::find(&workspace, rules.as_ref())).await?;
        found.map_err(|error| ToolOutcome::Refused {
            reason: format!("rules of the policy close some files to commands, and which ones cannot be found out: {error}"),
        })
    }

    fn command(&self, arguments: &Arguments) -> Result<Command, ToolOutcome> {
        let argv = match &arguments.command {
            Words::Line(line) if line.trim().is_empty() => return Err(ToolOutcome::failed("the command is empty")),
            Words::Line(line) => vec![self.shell.to_owned(), "-c".to_owned(), line.clone()],
            Words::Argv(words) => words.clone(),
        };
        let mut command = Command::new(self.workspace.path(), argv);
        command.cwd = match arguments.cwd.as_deref() {
            None | Some("") => PathBuf::new(),
            Some(cwd) => self.workspace.locate(cwd)?.as_path().to_owned(),
        };
        command.workspace_access = match effect::effect_of(&arguments.command) {
            Effect::Reads => Access::ReadOnly,
            Effect::Writes | Effect::Sends | Effect::Spends | Effect::Destroys => Access::ReadWrite,
        };
        command.streams = Streams::Merged;
        command.stdin = if arguments.background { Stdin::Piped } else { Stdin::Null };
        command.pty = arguments.pty.then_some(TERMINAL);
        command.time_limit = Some(arguments.timeout_s.map_or(DEFAULT_TIME, Duration::from_secs));
        Ok(command)
    }

    async fn spawn(&self, command: Command) -> Result<Child, ToolOutcome> {
        self.sandbox.spawn(command).await.map_err(|error| match error {
            SandboxError::Unavailable { .. } | SandboxError::CannotHide { .. } => ToolOutcome::Refused { reason: error.to_string() },
            SandboxError::NotFound { .. }
            | SandboxError::Invalid { .. }
            | SandboxError::Path { .. }
            | SandboxError::Start { .. }
            | SandboxError::Setup => ToolOutcome::failed(with_sources(&error)),
        })
    }
}

impl Tool for ShellTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, arguments: &Value) -> Result<Touched, String> {
        let touched = named(&self.workspace, arguments, "cwd")?;
        // A command reaches all of the workspace; what rules close is kept from it by the sandbox.
        Ok(Touched { is_all: false, ..touched })
    }

    fn effect_of(&self, arguments: &Value) -> Effect {
        match serde_json::from_value::<Words>(arguments["command"].clone()) {
            Ok(words) => effect::effect_of(&words),
            Err(_) => Effect::Writes,
        }
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'_, ToolOutcome> {
        Box::pin(async move { settle(self.run(arguments, context).await) })
    }

    fn end_left_running(&self, by: LeftBy) -> BoxFuture<'_, Vec<Evidence>> {
        Box::pin(async move { self.processes.end_left_running(&by).await })
    }
}

/// Reads a command to its end. Dropping this kills it and all that it started.
async fn wait(mut child: Child, shown: Shown) -> Result<(String, Exit), ToolOutcome> {
    let mut output = child.take_stdout();
    let mut capture = Capture::new(shown);
    let mut buffer = vec![0; 32 * 1024];
    let exit = loop {
        tokio::select! {
            biased;
            more = read_some(&mut output, &mut buffer) => match more {
                Some(count) => capture.push(&buffer[..count]).await,
                None => output = None,
            },
            exit = child.wait() => break exit,
        }
    };
    if output.is_some() {
        // What outlives the command may keep the pipe open without writing; it is not waited for.
        let drain = async {
            while let Some(count) = read_some(&mut output, &mut buffer).await {
                capture.push(&buffer[..count]).await;
            }
        };
        let _ = tokio::time::timeout(DRAIN, drain).await;
    }
    let text = capture.finish().await;
    match exit {
        Ok(exit) => Ok((text, exit)),
        Err(error) => Err(ToolOutcome::failed(format!("{}\n{text}", with_sources(error.as_ref())))),
    }
}

/// Some bytes, or `None` at the end. Never resolves without an output.
pub(crate) async fn read_some(output: &mut Option<Output>, buffer: &mut [u8]) -> Option<usize> {
    match output {
        None => std::future::pending().await,
        Some(output) => output.read(buffer).await.ok().filter(|count| *count > 0),
    }
}

fn report((line, note): (&str, &str), mut text: String, exit: &Exit) -> Result<ToolOutcome, ToolOutcome> {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&format!("{note}[{}]", describe_exit(exit)));
    if exit.ended != Ended::ByItself {
        return Err(ToolOutcome::failed(text));
    }
    let evidence = vec![ran(line, format!("exit code {}", exit.code))];
    Ok(ToolOutcome::Done(ToolOutput {
        parts: vec![Part::text(text)],
        evidence,
    }))
}

pub(crate) fn ran(line: &str, detail: String) -> Evidence {
    Evidence {
        action: EvidenceAction::Ran,
        object: line.to_owned(),
        detail,
    }
}

/// How a command ended, in words.
pub(crate) fn describe_exit(exit: &Exit) -> String {
    let mut text = match exit.ended {
        Ended::ByItself => format!("exit code {}", exit.code),
        Ended::TimeLimit => "killed: its time was over".to_owned(),
        Ended::OutputLimit => "killed: it printed more than it may".to_owned(),
        Ended::MemoryLimit => "killed: it used more memory than it may".to_owned(),
        Ended::Killed => "killed".to_owned(),
    };
    if !exit.removed.is_empty() {
        let names: Vec<String> = exit.removed.iter().map(|path| path.display().to_string()).collect();
        text.push_str(&format!("; control files may not be made and were set aside: {}", names.join(", ")));
    }
    text
}

pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        text = format!("{text}: {next}");
        source = next.source();
    }
    text
}
