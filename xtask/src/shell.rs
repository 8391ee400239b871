//! Runs other programs in the project's folder and says which.
//!
//! Nothing goes through a shell: words are words. Standard input is closed, so that nothing ever waits for a person.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

/// The project's folder.
pub(crate) fn root() -> PathBuf {
    // Cargo says where xtask is at run time, so a target folder shared by several clones does not mislead.
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = manifest.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    root.unwrap_or_else(|| PathBuf::from("."))
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    let configured = env::var_os("CARGO_TARGET_DIR").filter(|path| !path.is_empty());
    root().join(configured.map_or_else(|| PathBuf::from("target"), PathBuf::from))
}

/// Does the machine have this program?
pub(crate) fn has(program: &str) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// A program with its words, run in the project's folder.
pub(crate) struct Job {
    command: Command,
    words: String,
}

impl Job {
    pub(crate) fn new(program: impl AsRef<OsStr>, arguments: &[&str]) -> Self {
        let program = program.as_ref();
        let mut command = Command::new(program);
        command.args(arguments).current_dir(root()).stdin(Stdio::null());
        let shown = program.to_string_lossy();
        Job {
            command,
            words: format!("{shown} {}", arguments.join(" ")),
        }
    }

    pub(crate) fn arguments(mut self, arguments: &[String]) -> Self {
        self.command.args(arguments);
        self.words = format!("{} {}", self.words, arguments.join(" "));
        self
    }

    /// Words that are not shown.
    pub(crate) fn secret_arguments(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn folder(mut self, folder: &str) -> Self {
        self.command.current_dir(root().join(folder));
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it and fails when it fails.
    pub(crate) fn run(mut self) -> Result<()> {
        println!("$ {}", self.words);
        let status = self.command.status().with_context(|| format!("cannot start {}", self.words))?;
        ensure_success(&self.words, status)
    }

    /// Runs it quietly and gives its standard output.
    pub(crate) fn output(mut self) -> Result<String> {
        let output = self.command.output().with_context(|| format!("cannot start {}", self.words))?;
        ensure_success(&self.words, output.status)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs it, shows what it prints as it comes, and gives that and whether it succeeded.
    pub(crate) fn watch(mut self) -> Result<Watched> {
        println!("$ {}", self.words);
        let mut child = self
            .command
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.words))?;
        let readers = [child.stdout.take().map(reader), child.stderr.take().map(reader)];
        let status = child.wait()?;
        let mut lines = Vec::new();
        for thread in readers.into_iter().flatten() {
            lines.extend(thread.join().unwrap_or_default());
        }
        Ok(Watched {
            lines,
            is_success: status.success(),
        })
    }

    /// Becomes the program. Returns only when that fails.
    pub(crate) fn replace(mut self) -> Result<()> {
        use std::os::unix::process::CommandExt;
        println!("$ {}", self.words);
        let error = self.command.stdin(Stdio::inherit()).exec();
        Err(error).with_context(|| format!("cannot start {}", self.words))
    }
}

/// What a program printed and whether it succeeded.
pub(crate) struct Watched {
    pub(crate) lines: Vec<String>,
    pub(crate) is_success: bool,
}

fn reader(stream: impl Read + Send + 'static) -> thread::JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let mut lines = Vec::new();
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            println!("{line}");
            lines.push(line);
        }
        lines
    })
}

fn ensure_success(words: &str, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{words}` ended with {status}");
    }
    Ok(())
}
