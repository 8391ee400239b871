//! The pipes or the terminal between Steward and a command.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::OpenptFlags;
use tokio::io::Interest;

use crate::child::{Input, Output};
use crate::command::{Command, Stdin, Streams};
use crate::supervise::Control;
use crate::syscalls;

/// Steward's ends.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    pub(crate) terminal: Option<Arc<OwnedFd>>,
}

/// Wires `process` as `command` asks. `owner` becomes the owner of the terminal.
pub(crate) fn wire(command: &Command, process: &mut tokio::process::Command, owner: Option<u32>) -> io::Result<Ends> {
    if let Some((rows, columns)) = command.pty {
        return wire_terminal(process, rows, columns, owner);
    }
    let mut ends = Ends::default();
    match command.stdin {
        Stdin::Null => process.stdin(Stdio::null()),
        Stdin::Piped => {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
            ends.stdin = Some(nonblocking(write)?);
            process.stdin(Stdio::from(read))
        }
    };
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    ends.stdout = Some(nonblocking(read)?);
    match command.streams {
        Streams::Merged => process.stderr(Stdio::from(write.try_clone()?)),
        Streams::Separate => {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
            ends.stderr = Some(nonblocking(read)?);
            process.stderr(Stdio::from(write))
        }
    };
    process.stdout(Stdio::from(write));
    Ok(ends)
}

fn wire_terminal(process: &mut tokio::process::Command, rows: u16, columns: u16, owner: Option<u32>) -> io::Result<Ends> {
    let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    rustix::pty::grantpt(&ours)?;
    rustix::pty::unlockpt(&ours)?;
    let name = rustix::pty::ptsname(&ours, Vec::new())?;
    let theirs = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    syscalls::set_terminal_size(ours.as_fd(), rows, columns)?;
    if let Some(id) = owner {
        rustix::fs::fchown(&theirs, Some(rustix::fs::Uid::from_raw(id)), None)?;
    }
    process.stdin(Stdio::from(theirs.try_clone()?));
    process.stdout(Stdio::from(theirs.try_clone()?));
    process.stderr(Stdio::from(theirs));
    let ours = nonblocking(ours)?;
    Ok(Ends {
        stdin: Some(ours.try_clone()?),
        stdout: Some(ours.try_clone()?),
        stderr: None,
        terminal: Some(Arc::new(ours)),
    })
}

impl Ends {
    /// Registers the ends with the runtime.
    pub(crate) fn register(self, control: &Arc<Control>) -> io::Result<(Option<Input>, [Option<Output>; 2])> {
        let output = |fd: Option<OwnedFd>| -> io::Result<Option<Output>> {
            let Some(fd) = fd else { return Ok(None) };
            let fd = syscalls::watch(fd, Interest::READABLE)?;
            Ok(Some(Output {
                fd,
                control: control.clone(),
            }))
        };
        let input = match self.stdin {
            Some(fd) => Some(Input {
                fd: Some(syscalls::watch(fd, Interest::WRITABLE)?),
            }),
            None => None,
        };
        Ok((input, [output(self.stdout)?, output(self.stderr)?]))
    }
}

fn nonblocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
    Ok(fd)
}
