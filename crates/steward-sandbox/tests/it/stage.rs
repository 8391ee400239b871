//! A temporary workspace and a sandbox over it.

use std::path::Path;
use std::time::Duration;

use steward_sandbox::{Backend, Child, Command, Config, Exit, Sandbox, Streams};
use tokio::io::AsyncReadExt;

pub(crate) const BACKENDS: [Backend; 2] = [Backend::Bubblewrap, Backend::Landlock];

pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) async fn stage(backend: Backend) -> Stage {
    stage_with(Config {
        backend,
        ..Config::default()
    })
    .await
}

pub(crate) async fn stage_with(config: Config) -> Stage {
    let backend = config.backend;
    let sandbox = Sandbox::probe(config).await;
    assert!(
        sandbox.backend().is_some(),
        "the {backend} backend does not work here ({}); if bwrap is missing: apt-get install bubblewrap",
        sandbox.why()
    );
    Stage {
        sandbox,
        folder: tempfile::tempdir().expect("a temporary folder"),
    }
}

impl Stage {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut command = Command::new(self.path(), ["/bin/sh", "-c", script]);
        command.streams = Streams::Merged;
        command
    }

    pub(crate) async fn start(&self, command: Command) -> Child {
        self.sandbox.spawn(command).await.expect("the command starts")
    }

    /// Runs a shell script and returns all of its output and how it ended.
    pub(crate) async fn run(&self, script: &str) -> (String, Exit) {
        self.finish(self.shell(script)).await
    }

    pub(crate) async fn finish(&self, command: Command) -> (String, Exit) {
        let mut child = self.start(command).await;
        let mut output = Vec::new();
        let mut stdout = child.take_stdout().expect("its output");
        within(stdout.read_to_end(&mut output)).await.expect("its output is read");
        let exit = within(child.wait()).await.expect("it ends");
        (String::from_utf8_lossy(&output).into_owned(), exit)
    }
}

pub(crate) async fn within<F: std::future::Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("it takes less than a minute")
}

/// The processes on this machine with this text in their arguments.
pub(crate) fn processes_with(text: &str) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").expect("the list of processes");
    let named = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    named
        .filter(|process: &i32| {
            let arguments = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&arguments).contains(text)
        })
        .collect()
}

/// Is there a process on this machine with this text in its arguments?
pub(crate) fn is_running(text: &str) -> bool {
    !processes_with(text).is_empty()
}

pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: it does not come to that");
}

pub(crate) async fn until_gone(text: &str) {
    until(&format!("no process has {text:?}"), || !is_running(text)).await;
}

pub(crate) async fn until_running(text: &str) {
    until(&format!("a process has {text:?}"), || is_running(text)).await;
}
