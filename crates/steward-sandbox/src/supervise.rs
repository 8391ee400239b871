//! Watches one running command: its time, its memory, its end; then clears up after it.
//!
//! Kills and signals nothing itself: the keeper does, who alone knows which numbers still mean processes of the command.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags};
use tokio::io::Interest;
use tokio::sync::watch;

use crate::child::{Ended, Exit};
use crate::control_files::Guard;
use crate::direct::Scratch;
use crate::error::SandboxError;
use crate::keeper::Lifeline;
use crate::leftovers;
use crate::syscalls;
use crate::workspace::Lease;

/// How often memory is looked at.
const MEMORY_CHECK: Duration = Duration::from_millis(250);

/// The means to stop a running command; shared by its handle, its streams and its supervisor.
#[derive(Debug)]
pub(crate) struct Control {
    pid: i32,
    pidfd: OwnedFd,
    /// Where bubblewrap tells what became of the command; absent for other backends.
    status: Option<OwnedFd>,
    state: Mutex<State>,
    output_left: AtomicU64,
}

#[derive(Debug)]
struct State {
    reason: Option<Ended>,
    /// Held while the command may run.
    lifeline: Option<Lifeline>,
}

impl Control {
    /// `pid` is the keeper's.
    pub(crate) fn new(pid: u32, lifeline: Lifeline, status: Option<OwnedFd>, output_limit: u64) -> io::Result<Arc<Control>> {
        let pid = pid as i32;
        let process = Pid::from_raw(pid).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Arc::new(Control {
            pid,
            pidfd: rustix::process::pidfd_open(process, PidfdFlags::empty())?,
            status,
            state: Mutex::new(State {
                reason: None,
                lifeline: Some(lifeline),
            }),
            output_left: AtomicU64::new(output_limit),
        }))
    }

    pub(crate) fn id(&self) -> u32 {
        self.pid as u32
    }

    pub(crate) fn output_left(&self) -> u64 {
        self.output_left.load(Ordering::Relaxed)
    }

    pub(crate) fn count_output(&self, bytes: u64) {
        // Two streams may count at once; saturating keeps the total right to within one read.
        let _ = self
            .output_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(bytes)));
    }

    /// Kills everything, by letting go of the lifeline. The first reason is the one that is told.
    pub(crate) fn kill(&self, reason: Ended) {
        let mut state = self.state();
        if state.lifeline.take().is_some() {
            state.reason = Some(reason);
        }
    }

    /// Sends a signal to the command's process group.
    pub(crate) fn signal_group(&self, signal: u8) -> io::Result<()> {
        match &self.state().lifeline {
            Some(lifeline) => lifeline.signal(signal),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    fn is_killed(&self) -> bool {
        self.state().reason.is_some()
    }

    /// Everything is gone. Returns why it was killed, if it was.
    fn close(&self) -> Option<Ended> {
        let mut state = self.state();
        state.lifeline = None;
        state.reason
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a supervisor needs besides the process itself.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) control: Arc<Control>,
    pub(crate) time_limit: Duration,
    /// Bytes that all processes together may hold.
    pub(crate) memory_limit: u64,
    /// Looks for control files afterwards.
    pub(crate) guard: Option<Guard>,
    /// Kept until everything is gone.
    pub(crate) lease: Option<Lease>,
    /// A folder to remove afterwards.
    pub(crate) scratch: Option<Scratch>,
    /// By which its processes are found if the keeper was killed.
    pub(crate) mark: String,
}

pub(crate) type End = Option<Result<Exit, Arc<SandboxError>>>;

/// Runs until the command and everything it started is gone, then tells how it ended.
pub(crate) async fn supervise(mut process: tokio::process::Child, watch: Watch, end: watch::Sender<End>) {
    let control = watch.control.clone();
    let result = match watch_until_exit(&watch).await {
        Ok(()) => {
            let reason = control.close();
            finish(&mut process, (&control, watch.mark.clone()), reason).await
        }
        Err(source) => {
            control.kill(Ended::Killed);
            Err(SandboxError::Start {
                doing: "watching the command",
                source,
            })
        }
    };
    let Watch { guard, lease, scratch, .. } = watch;
    let clearing = tokio::task::spawn_blocking(move || {
        drop(scratch);
        guard.map(Guard::sweep).unwrap_or_default()
    });
    let removed = clearing.await.unwrap_or_default();
    drop(lease);
    let result = result.map(|(code, ended)| Exit { code, ended, removed }).map_err(Arc::new);
    // Nobody may be listening any more.
    let _ = end.send(Some(result));
}

async fn watch_until_exit(watch: &Watch) -> io::Result<()> {
    let control = &watch.control;
    let exit = syscalls::watch(control.pidfd.try_clone()?, Interest::READABLE)?;
    let deadline = tokio::time::sleep(watch.time_limit);
    tokio::pin!(deadline);
    let mut memory = tokio::time::interval_at(tokio::time::Instant::now() + MEMORY_CHECK, MEMORY_CHECK);
    loop {
        tokio::select! {
            ready = exit.readable() => {
                ready?.retain_ready();
                return Ok(());
            }
            () = &mut deadline, if !control.is_killed() => control.kill(Ended::TimeLimit),
            _ = memory.tick() => {
                if memory_of_tree(control.pid) > watch.memory_limit {
                    control.kill(Ended::MemoryLimit);
                }
            }
        }
    }
}

async fn finish(
    process: &mut tokio::process::Child,
    (control, mark): (&Control, String),
    reason: Option<Ended>,
) -> Result<(i32, Ended), SandboxError> {
    let status = process.wait().await.map_err(SandboxError::start("waiting for the command"))?;
    let code = syscalls::shell_code(status);
    if std::os::unix::process::ExitStatusExt::signal(&status).is_some() {
        tracing::warn!(code, "the keeper of a command was killed; its processes are looked for");
        // It blocks only shortly, and a failure of the thread changes nothing.
        let _ = tokio::task::spawn_blocking(move || leftovers::kill_marked(&mark)).await;
    }
    if let Some(reason) = reason {
        // Whatever the outer process says, the command was killed.
        return Ok((128 + libc::SIGKILL, reason));
    }
    if let Some(file) = &control.status {
        return match number_after(&read_status(file), "\"exit-code\":") {
            Some(code) => Ok((code, Ended::ByItself)),
            None => Err(SandboxError::Setup),
        };
    }
    Ok((code, Ended::ByItself))
}

fn read_status(file: &OwnedFd) -> String {
    let mut buffer = [0_u8; 1024];
    let count = rustix::io::pread(file, &mut buffer, 0).unwrap_or(0);
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

fn number_after(text: &str, key: &str) -> Option<i32> {
    let rest = text.split_once(key)?.1.trim_start();
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// The children of a process, from all of its threads.
fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        if let Ok(list) = std::fs::read_to_string(thread.path().join("children")) {
            found.extend(list.split_whitespace().filter_map(|id| id.parse::<i32>().ok()));
        }
    }
    found
}

/// Private memory, in bytes, of a process and all below it. Bounded by the limit on processes.
fn memory_of_tree(root: i32) -> u64 {
    const MAX_PROCESSES: usize = 4096;
    let page = rustix::param::page_size() as u64;
    let mut waiting = children(root);
    let mut total = 0;
    let mut seen = 0;
    while let Some(pid) = waiting.pop() {
        seen += 1;
        if seen > MAX_PROCESSES {
            break;
        }
        if let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/statm")) {
            let mut fields = text.split_whitespace().skip(1).map(|field| field.parse::<u64>().unwrap_or(0));
            let resident = fields.next().unwrap_or(0);
            let shared = fields.next().unwrap_or(0);
            total += resident.saturating_sub(shared) * page;
        }
        waiting.extend(children(pid));
    }
    total
}
