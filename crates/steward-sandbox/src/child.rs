//! A running command: its streams, its signals, its end.
//!
//! Never outlives its handle: dropping a `Child` kills the command and everything that it started.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

use crate::error::SandboxError;
use crate::supervise::Control;
use crate::syscalls;

/// A running command.
#[derive(Debug)]
pub struct Child {
    pub(crate) stdin: Option<Input>,
    pub(crate) stdout: Option<Output>,
    pub(crate) stderr: Option<Output>,
    pub(crate) terminal: Option<Arc<OwnedFd>>,
    pub(crate) control: Arc<Control>,
    pub(crate) end: watch::Receiver<Option<Result<Exit, Arc<SandboxError>>>>,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code; 128 + the signal number when a signal ended it, as a shell reports it.
    pub code: i32,
    /// Whether it ended by itself, or which limit stopped it.
    pub ended: Ended,
    /// Control files that it made in the workspace and that were taken away again (paths relative to the workspace).
    pub removed: Vec<std::path::PathBuf>,
}

impl Exit {
    /// It ended by itself with code 0.
    pub fn is_success(&self) -> bool {
        self.code == 0 && self.ended == Ended::ByItself
    }
}

/// Why a command is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited, or a signal from inside ended it.
    ByItself,
    /// Its wall time was over.
    TimeLimit,
    /// It printed more than it may.
    OutputLimit,
    /// All its processes together used more memory than they may.
    MemoryLimit,
    /// `Child::kill` was called.
    Killed,
}

/// A signal that can be sent to a running command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// As Ctrl-C does.
    Interrupt,
    /// Asks it to end.
    Terminate,
    /// The terminal went away.
    Hangup,
}

impl Child {
    /// Its standard input, when it was piped or has a terminal. `None` the second time.
    pub fn take_stdin(&mut self) -> Option<Input> {
        self.stdin.take()
    }

    /// Its standard output; with merged streams or a terminal all of its output. `None` the second time.
    pub fn take_stdout(&mut self) -> Option<Output> {
        self.stdout.take()
    }

    /// Its standard error, when streams are separate. `None` the second time.
    pub fn take_stderr(&mut self) -> Option<Output> {
        self.stderr.take()
    }

    /// Tells the terminal its new size. Nothing happens without a terminal.
    pub fn resize(&self, rows: u16, columns: u16) -> io::Result<()> {
        match &self.terminal {
            Some(terminal) => syscalls::set_terminal_size(terminal.as_fd(), rows, columns),
            None => Ok(()),
        }
    }

    /// Sends a signal to the command's process group; with a terminal, to the group in its foreground.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let number = match signal {
            Signal::Interrupt => libc::SIGINT,
            Signal::Terminate => libc::SIGTERM,
            Signal::Hangup => libc::SIGHUP,
        };
        match &self.terminal {
            Some(terminal) => syscalls::signal_terminal(terminal.as_fd(), number),
            None => self.control.signal_group(number as u8),
        }
    }

    /// Kills the command and everything that it started. `wait` then answers `Ended::Killed`.
    pub fn kill(&self) {
        self.control.kill(Ended::Killed);
    }

    /// The id of the outermost process on the host, for logs.
    pub fn id(&self) -> u32 {
        self.control.id()
    }

    /// Waits until the command and everything that it started is gone. May be called again.
    pub async fn wait(&mut self) -> Result<Exit, Arc<SandboxError>> {
        match self.end.wait_for(Option::is_some).await {
            Ok(end) => end.clone().expect("wait_for returns only when the value is there"),
            Err(_) => Err(Arc::new(SandboxError::Start {
                doing: "waiting for the command: the runtime shut down",
                source: io::Error::from(io::ErrorKind::Interrupted),
            })),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.control.kill(Ended::Killed);
    }
}

/// Output of a command. Reading past the output limit kills the command; what was within the limit is delivered.
#[derive(Debug)]
pub struct Output {
    pub(crate) fd: AsyncFd<OwnedFd>,
    pub(crate) control: Arc<Control>,
}

impl AsyncRead for Output {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let allowed = usize::try_from(this.control.output_left()).unwrap_or(usize::MAX);
        loop {
            let mut ready = std::task::ready!(this.fd.poll_read_ready(cx))?;
            // One byte more than is allowed tells an exact fit from an overflow.
            let room = buf.remaining().min(allowed.saturating_add(1));
            let read = ready.try_io(|fd| match rustix::io::read(fd.get_ref(), &mut buf.initialize_unfilled()[..room]) {
                // The last process closed its side of the terminal: this is its end of file.
                Err(rustix::io::Errno::IO) => Ok(0),
                other => other.map_err(io::Error::from),
            });
            match read {
                Ok(Ok(count)) => {
                    let kept = count.min(allowed);
                    if count > allowed {
                        this.control.kill(Ended::OutputLimit);
                    }
                    this.control.count_output(kept as u64);
                    buf.advance(kept);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => continue,
            }
        }
    }
}

/// Input of a command: its pipe or its terminal. Shutting down or dropping a pipe closes it; a terminal reads end of file as the byte 4.
#[derive(Debug)]
pub struct Input {
    pub(crate) fd: Option<AsyncFd<OwnedFd>>,
}

impl AsyncWrite for Input {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(fd) = &self.get_mut().fd else {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::BrokenPipe)));
        };
        loop {
            let mut ready = std::task::ready!(fd.poll_write_ready(cx))?;
            match ready.try_io(|fd| rustix::io::write(fd.get_ref(), bytes).map_err(io::Error::from)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(result) => return Poll::Ready(result),
                Err(_would_block) => continue,
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().fd = None;
        Poll::Ready(Ok(()))
    }
}
