//! Nothing outlives Steward: it is killed at many instants while it starts commands that try to get away.
//!
//! The Steward of these tests is this very program, asked to run the one test that stands in for it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use steward_sandbox::{Backend, Config};

use crate::lifetime::{daemonised, unusual_seconds};
use crate::stage::{is_running, processes_with, stage_with, until, until_gone, until_running, within};

const BACKENDS: [Backend; 3] = [Backend::Bubblewrap, Backend::Landlock, Backend::None];
/// The instants reach from the order to well after the command runs.
const LATEST: Duration = Duration::from_millis(30);
/// In place of a backend: the command is started as it is.
const UNKEPT: &str = "unkept";
const SAMPLE: u32 = 15;
const FULL: u32 = 250;

/// A process with a sandbox of its own that starts one command when it is told to.
struct Victim {
    process: Child,
    /// In the arguments of the process and of every copy of it.
    name: String,
    seconds: String,
}

impl Victim {
    fn start(backend: &str) -> Victim {
        let seconds = unusual_seconds();
        let name = format!("victim-{seconds}");
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "keeping::stands_in_for_steward",
                "--skip",
                &name,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let order = format!("{backend} {seconds}\n");
        let stdin = process.stdin.as_mut().expect("its input");
        stdin.write_all(order.as_bytes()).expect("written");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        assert!(
            lines.any(|line| line.expect("a line").ends_with("ready")),
            "{backend} does not work"
        );
        Victim { process, name, seconds }
    }

    fn order(&mut self) {
        self.process.stdin.as_mut().expect("its input").write_all(b"go\n").expect("written");
    }

    fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("collected");
    }

    async fn leaves_nothing(&self) {
        // The keeper goes last and has the name. Looking again afterwards finds what would have slipped by it.
        until_gone(&self.name).await;
        until_gone(&self.seconds).await;
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Both fail when it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Run by the other tests only.
#[tokio::test]
#[ignore = "stands in for Steward in other tests"]
async fn stands_in_for_steward() {
    let mut lines = std::io::stdin().lines();
    let Some(Ok(order)) = lines.next() else { return };
    let (backend, seconds) = order.split_once(' ').expect("a backend and a number");
    if backend == UNKEPT {
        println!("ready");
        lines.next();
        return start_without_keeper(seconds);
    }
    let backend = BACKENDS
        .into_iter()
        .find(|known| known.to_string() == backend)
        .expect("a known backend");
    let stage = stage_with(Config {
        backend,
        i_know: true,
        ..Config::default()
    })
    .await;
    println!("ready");
    lines.next();
    let child = stage.start(stage.shell(&daemonised(seconds))).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(child);
}

/// What the control starts: the same command, below nobody.
fn start_without_keeper(seconds: &str) {
    let mut child = Command::new("sh").args(["-c", &daemonised(seconds)]).spawn().expect("it starts");
    child.wait().expect("it ends");
}

#[tokio::test]
async fn the_control_without_a_keeper_leaves_processes() {
    let mut victim = Victim::start(UNKEPT);
    victim.order();
    until_running(&format!("sleep\0{}", victim.seconds)).await;
    victim.kill();
    let left = processes_with(&victim.seconds);
    assert!(!left.is_empty(), "this test would find nothing");
    for process in left {
        let process = rustix::process::Pid::from_raw(process).expect("a number");
        // One may have ended with another.
        let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
    }
    until_gone(&victim.seconds).await;
}

async fn killed_at_many_instants(tries: u32) {
    for backend in BACKENDS {
        for number in 0..tries {
            let mut victim = Victim::start(&backend.to_string());
            victim.order();
            tokio::time::sleep(LATEST * number / tries).await;
            victim.kill();
            victim.leaves_nothing().await;
        }
    }
}

#[tokio::test]
async fn nothing_outlives_a_steward_killed_at_some_instants() {
    killed_at_many_instants(SAMPLE).await;
}

#[tokio::test]
#[ignore = "takes minutes; make prove runs it"]
async fn nothing_outlives_a_steward_killed_at_any_instant() {
    killed_at_many_instants(FULL).await;
    let count = FULL as usize * BACKENDS.len();
    println!("figure: Steward killed while it started a command, processes left: 0 of {count} tries");
}

#[tokio::test]
async fn nothing_outlives_a_steward_killed_when_all_of_it_runs() {
    for backend in BACKENDS {
        let mut victim = Victim::start(&backend.to_string());
        victim.order();
        let sleep = format!("sleep\0{}", victim.seconds);
        until_running(&sleep).await;
        assert!(is_running(&victim.name));
        victim.kill();
        victim.leaves_nothing().await;
    }
}

#[tokio::test]
async fn what_a_killed_keeper_leaves_behind_is_found() {
    for backend in BACKENDS {
        let stage = stage_with(Config {
            backend,
            i_know: true,
            ..Config::default()
        })
        .await;
        let seconds = unusual_seconds();
        let mut child = stage.start(stage.shell(&daemonised(&seconds))).await;
        until_running(&format!("sleep\0{seconds}")).await;
        let keeper = rustix::process::Pid::from_raw(child.id() as i32).expect("a number");
        rustix::process::kill_process(keeper, rustix::process::Signal::KILL).expect("killed");
        // How that is told does not matter here.
        let _ = within(child.wait()).await;
        until_gone(&seconds).await;
    }
}

#[tokio::test]
async fn a_long_command_keeps_no_copy_of_stewards_memory() {
    const SIZE: usize = 64 << 20;
    let stage = stage_with(Config::default()).await;
    let memory = vec![1_u8; SIZE];
    let child = stage.start(stage.shell("sleep 1000")).await;
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("its status");
        let line = status
            .lines()
            .find(|line| line.starts_with("RssAnon:"))
            .expect("its memory")
            .to_owned();
        line.split_whitespace()
            .nth(1)
            .expect("a number")
            .parse::<usize>()
            .expect("a number")
            * 1024
    };
    until("the memory is given back", || resident() < SIZE / 4).await;
    assert_eq!(memory[SIZE - 1], 1, "ours stays");
}
