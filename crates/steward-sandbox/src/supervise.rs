//! Watches one running command: its time, its memory, its end; then clears up after it.
//!
//! Kills only processes that it holds by handle or whose group it made, never by a number that may have been given to another.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::io::Interest;
use tokio::sync::{Notify, watch};

use crate::child::{Ended, Exit};
use crate::control_files::Guard;
use crate::direct::Scratch;
use crate::error::SandboxError;
use crate::syscalls;
use crate::workspace::Lease;

/// How often memory is looked at.
const MEMORY_CHECK: Duration = Duration::from_millis(250);
/// How long the outer process may take to notice that the inner one is dead.
const GRACE: Duration = Duration::from_millis(500);
/// Looks at a process that was told to stop, and the pause between them.
const STILL_LOOKS: u32 = 500;
const STILL_PAUSE: Duration = Duration::from_micros(100);

/// The means to stop a running command; shared by its handle, its streams and its supervisor.
#[derive(Debug)]
pub(crate) struct Control {
    pid: i32,
    pidfd: OwnedFd,
    /// Where bubblewrap tells the id of the first process inside; absent for other backends, whose process leads a group.
    status: Option<OwnedFd>,
    inner: OnceLock<(i32, OwnedFd)>,
    state: Mutex<State>,
    killed: Notify,
    output_left: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    reason: Option<Ended>,
    is_over: bool,
}

impl Control {
    pub(crate) fn new(pid: u32, status: Option<OwnedFd>, output_limit: u64) -> io::Result<Arc<Control>> {
        let pid = pid as i32;
        let process = Pid::from_raw(pid).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Arc::new(Control {
            pid,
            pidfd: rustix::process::pidfd_open(process, PidfdFlags::empty())?,
            status,
            inner: OnceLock::new(),
            state: Mutex::default(),
            killed: Notify::new(),
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

    /// Kills everything. The first reason is the one that is told.
    pub(crate) fn kill(&self, reason: Ended) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_over {
            return;
        }
        state.reason.get_or_insert(reason);
        if self.status.is_none() {
            // The leader is not collected before `is_over`, so the group is still ours.
            let _ = syscalls::signal_group(self.pid, libc::SIGKILL);
        } else if let Some((_, inner)) = self.inner() {
            let _ = rustix::process::pidfd_send_signal(inner, Signal::KILL);
        } else {
            self.kill_half_started();
        }
        self.killed.notify_one();
    }

    /// The sandbox is being set up: hold the outer process still, kill what it has made so far, then itself.
    fn kill_half_started(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::STOP);
        // A signal is only on its way yet: until it stands still the outer process can make one more child.
        wait_until_still(self.pid);
        for child in children(self.pid) {
            if let Some(child) = Pid::from_raw(child) {
                // The parent is stopped and cannot collect it, so the number still means this child.
                let _ = rustix::process::kill_process(child, Signal::KILL);
            }
        }
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Sends a signal to the command's process group.
    pub(crate) fn signal_group(&self, signal: i32) -> io::Result<()> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_over {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        match &self.status {
            None => syscalls::signal_group(self.pid, signal),
            // The first process inside leads the group and ignores what it does not handle.
            Some(_) => match self.inner() {
                Some((pid, _)) => syscalls::signal_group(*pid, signal),
                None => Err(io::Error::from(io::ErrorKind::NotFound)),
            },
        }
    }

    /// The first process inside, once bubblewrap has told of it.
    fn inner(&self) -> Option<&(i32, OwnedFd)> {
        if let Some(inner) = self.inner.get() {
            return Some(inner);
        }
        let text = read_status(self.status.as_ref()?);
        let pid = number_after(&text, "\"child-pid\":")?;
        let fd = rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        // Opened by number: make sure that the number still means the child of our process.
        if !children(self.pid).contains(&pid) {
            return None;
        }
        Some(self.inner.get_or_init(|| (pid, fd)))
    }

    /// The same after the outer process ended, when its child belongs to another: known by its name, which only bubblewrap itself has.
    fn inner_at_end(&self) -> Option<&OwnedFd> {
        if let Some((_, inner)) = self.inner.get() {
            return Some(inner);
        }
        let text = read_status(self.status.as_ref()?);
        let pid = number_after(&text, "\"child-pid\":")?;
        let fd = rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        if name.trim_end() != "bwrap" {
            return None;
        }
        Some(&self.inner.get_or_init(|| (pid, fd)).1)
    }

    fn reason(&self) -> Option<Ended> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).reason
    }

    /// Nothing is signalled from here on. Returns why it was killed, if it was.
    fn close(&self) -> Option<Ended> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.status.is_none() {
            let _ = syscalls::signal_group(self.pid, libc::SIGKILL);
        }
        state.is_over = true;
        state.reason
    }
}

/// What a supervisor needs besides the process itself.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) control: Arc<Control>,
    pub(crate) time_limit: Duration,
    /// Bytes that all processes together may hold; absent where they cannot be found.
    pub(crate) memory_limit: Option<u64>,
    /// Looks for control files afterwards.
    pub(crate) guard: Option<Guard>,
    /// Kept until everything is gone.
    pub(crate) lease: Option<Lease>,
    /// A folder to remove afterwards.
    pub(crate) scratch: Option<Scratch>,
}

pub(crate) type End = Option<Result<Exit, Arc<SandboxError>>>;

/// Runs until the command and everything it started is gone, then tells how it ended.
pub(crate) async fn supervise(mut process: tokio::process::Child, watch: Watch, end: watch::Sender<End>) {
    let control = watch.control.clone();
    let result = match watch_until_exit(&watch).await {
        Ok(()) => {
            wait_for_inner(&control).await;
            let reason = control.close();
            finish(&mut process, &control, reason).await
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
            () = &mut deadline, if control.reason().is_none() => control.kill(Ended::TimeLimit),
            () = control.killed.notified() => {
                if tokio::time::timeout(GRACE, exit.readable()).await.is_err() {
                    let _ = rustix::process::pidfd_send_signal(&control.pidfd, Signal::KILL);
                }
            }
            _ = memory.tick() => {
                let is_over = watch.memory_limit.is_some_and(|limit| memory_of_tree(control.pid) > limit);
                if is_over {
                    control.kill(Ended::MemoryLimit);
                }
            }
        }
    }
}

/// The first process inside is the last to go: when it is gone, the whole namespace is.
async fn wait_for_inner(control: &Control) {
    let Some(inner) = control.inner_at_end() else { return };
    let _ = rustix::process::pidfd_send_signal(inner, Signal::KILL);
    if let Ok(exit) = inner.try_clone().and_then(|fd| syscalls::watch(fd, Interest::READABLE)) {
        let _ = tokio::time::timeout(Duration::from_secs(5), exit.readable()).await;
    }
    syscalls::reap(inner.as_fd());
}

async fn finish(process: &mut tokio::process::Child, control: &Control, reason: Option<Ended>) -> Result<(i32, Ended), SandboxError> {
    let status = process.wait().await.map_err(SandboxError::start("waiting for the command"))?;
    let code = syscalls::shell_code(status);
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

/// Waits until a process that was told to stop stands still or is gone; a fraction of a millisecond, bounded all the same.
fn wait_until_still(pid: i32) {
    for _ in 0..STILL_LOOKS {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The state follows the name, which ends at the last bracket.
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        if !matches!(state, Some('R' | 'S' | 'D')) {
            return;
        }
        std::thread::sleep(STILL_PAUSE);
    }
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
