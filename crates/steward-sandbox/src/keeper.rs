//! The process between Steward and a command: it sees to it that nothing the command started lives on.
//!
//! It is a copy of Steward that never execs and makes system calls only. Orphans of the command become its children, and it leaves only
//! when it has none. It ends them all when the command ends, when Steward lets go of the lifeline, and when Steward dies, which is the
//! same: the kernel closes the lifeline. It never signals by a number that may mean another process.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::pipe::{PipeFlags, pipe_with};

/// The pause between two looks while something is being killed, in milliseconds. A death wakes the keeper at once.
const KILL_PAUSE_MS: libc::c_int = 5;
/// A command that lasts this long, in milliseconds, is worth giving back memory for.
const SHORT_MS: libc::c_int = 200;
/// Private memory of at least this size is given back; smaller parts are not worth a call.
const WORTH_BYTES: usize = 128 * 1024;

/// Steward's end: what is written are numbers of signals for the command, closing it ends the command and all that it started.
#[derive(Debug)]
pub(crate) struct Lifeline(OwnedFd);

impl Lifeline {
    /// Both ends.
    pub(crate) fn make(group: Group) -> io::Result<(Lifeline, Keeping)> {
        let (lifeline, ours) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok((Lifeline(ours), Keeping { lifeline, group }))
    }

    /// Has the keeper send a signal to the command's process group.
    pub(crate) fn signal(&self, signal: u8) -> io::Result<()> {
        rustix::io::write(&self.0, &[signal])?;
        Ok(())
    }
}

/// The keeper's end, and what it must know before the fork.
#[derive(Debug)]
pub(crate) struct Keeping {
    lifeline: OwnedFd,
    group: Group,
}

/// Which process leads the group that signals are meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// The command itself.
    OfCommand,
    /// The first child of what is executed: bubblewrap stays outside, its child leads the group inside.
    OfFirstChild,
}

impl Keeping {
    /// Called in a forked child: forks once more. Returns in the process that is to become the command, with the keeper's id; the keeper
    /// itself never returns.
    ///
    /// # Safety
    /// Only between fork and exec: it does not free what the process holds.
    pub(crate) unsafe fn divide(&self) -> io::Result<libc::pid_t> {
        // SAFETY: plain system calls; the set is initialised by sigfillset before use.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
            check(libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))?;
            // A second sign of Steward's death; whoever died before this call has closed the lifeline.
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM))?;
            // What kills Steward's process group or closes its terminal must not take the keeper with it.
            check(libc::setsid())?;
            let keeper = libc::getpid();
            let command = check(libc::fork())?;
            if command == 0 {
                return Ok(keeper);
            }
            keep(self.lifeline.as_raw_fd(), command, self.group)
        }
    }
}

/// Ends the calling process if its parent is not `keeper` any more: the signal for that came too early to be heard.
///
/// # Safety
/// Only between fork and exec: nothing is cleaned up.
pub(crate) unsafe fn leave_if_orphaned(keeper: libc::pid_t) {
    // SAFETY: system calls without pointers.
    unsafe {
        if libc::getppid() != keeper {
            libc::_exit(128 + libc::SIGKILL);
        }
    }
}

/// The keeper's whole life.
unsafe fn keep(lifeline: RawFd, command: libc::pid_t, group: Group) -> ! {
    // SAFETY: system calls with literals and locals.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, c"sandbox-keeper".as_ptr());
        libc::chdir(c"/".as_ptr());
        let signals = prepare_descriptors(lifeline);
        let mut lifeline: RawFd = 0;
        let mut is_killing = signals < 0;
        let mut longest_ms = SHORT_MS;
        let mut status = None;
        loop {
            if let Collected::Nobody = collect(command, &mut status) {
                libc::_exit(status.unwrap_or(128 + libc::SIGKILL));
            }
            is_killing |= status.is_some();
            if is_killing && !kill_children(command, status) {
                libc::_exit(status.unwrap_or(128 + libc::SIGKILL));
            }
            match hear(&mut lifeline, signals, if is_killing { KILL_PAUSE_MS } else { longest_ms }) {
                Heard::Signal(signal) => forward(signal, command, group, status),
                Heard::End => is_killing = true,
                Heard::Silence if !is_killing => {
                    give_back_memory();
                    longest_ms = -1;
                }
                Heard::Silence | Heard::Death => {}
            }
        }
    }
}

/// Keeps only the lifeline, as descriptor 0; the copies of everything else would keep pipes and terminals open. Gives the descriptor
/// that tells of signals, below 0 when there is none.
unsafe fn prepare_descriptors(lifeline: RawFd) -> RawFd {
    // SAFETY: the set is initialised by sigemptyset before use; the path is a literal.
    unsafe {
        libc::dup2(lifeline, 0);
        let first: libc::c_long = 1;
        libc::syscall(libc::SYS_close_range, first, libc::c_long::from(u32::MAX), 0 as libc::c_long);
        libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        libc::dup2(1, 2);
        let mut heard: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut heard);
        for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
            libc::sigaddset(&mut heard, signal);
        }
        libc::signalfd(-1, &heard, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    }
}

enum Collected {
    /// There are children still.
    Some,
    /// There is none left, dead or alive.
    Nobody,
}

/// Collects the dead. When the command is among them its whole group is killed first, while its number is still its own.
unsafe fn collect(command: libc::pid_t, status: &mut Option<libc::c_int>) -> Collected {
    loop {
        // SAFETY: `dead` is a valid siginfo_t that the call fills; zero in it means that nobody is dead.
        unsafe {
            let mut dead: libc::siginfo_t = std::mem::zeroed();
            let peek = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            if libc::waitid(libc::P_ALL, 0, &mut dead, peek) < 0 {
                return Collected::Nobody;
            }
            let pid = dead.si_pid();
            if pid == 0 {
                return Collected::Some;
            }
            if pid == command {
                libc::kill(-command, libc::SIGKILL);
                let has_exited = dead.si_code == libc::CLD_EXITED;
                *status = Some(if has_exited { dead.si_status() } else { 128 + dead.si_status() });
            }
            libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG);
        }
    }
}

/// Kills the command's group and every child. What those leave behind is a child at the next look. False when the children cannot be
/// listed, so that nothing more can be done.
unsafe fn kill_children(command: libc::pid_t, status: Option<libc::c_int>) -> bool {
    // SAFETY: system calls with numbers; a child that is not collected keeps its number.
    unsafe {
        if status.is_none() {
            libc::kill(-command, libc::SIGKILL);
            libc::kill(command, libc::SIGKILL);
        }
        each_child(c"/proc/thread-self/children".as_ptr(), |child| {
            libc::kill(child, libc::SIGKILL);
        })
    }
}

/// Calls `act` with each process that a list of the kernel names. False when it cannot be read.
unsafe fn each_child(list: *const libc::c_char, mut act: impl FnMut(libc::pid_t)) -> bool {
    // SAFETY: the path is a valid string by contract; reads go into a local.
    unsafe {
        let file = libc::open(list, libc::O_RDONLY | libc::O_CLOEXEC);
        if file < 0 {
            return false;
        }
        let mut buffer = [0_u8; 1024];
        let mut number: libc::pid_t = 0;
        loop {
            let count = libc::read(file, buffer.as_mut_ptr().cast(), buffer.len());
            let Ok(count @ 1..) = usize::try_from(count) else { break };
            for byte in buffer.iter().take(count) {
                if byte.is_ascii_digit() {
                    number = number.wrapping_mul(10).wrapping_add(libc::pid_t::from(byte - b'0'));
                } else if number > 1 {
                    act(number);
                    number = 0;
                }
            }
        }
        if number > 1 {
            act(number);
        }
        libc::close(file);
        true
    }
}

enum Heard {
    /// Steward asks for a signal.
    Signal(libc::c_int),
    /// Steward let go or is dead, or the keeper itself is to end.
    End,
    /// A child died.
    Death,
    /// Nothing, for as long as was to be waited.
    Silence,
}

/// Waits for a word from Steward or for a death.
unsafe fn hear(lifeline: &mut RawFd, signals: RawFd, longest_ms: libc::c_int) -> Heard {
    let entry = |fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    let mut watched = [entry(*lifeline), entry(signals)];
    // SAFETY: the arrays are locals and their sizes are passed.
    unsafe {
        if libc::poll(watched.as_mut_ptr(), 2, longest_ms) == 0 {
            return Heard::Silence;
        }
        if watched[1].revents != 0 {
            let mut heard: libc::signalfd_siginfo = std::mem::zeroed();
            let size = std::mem::size_of_val(&heard);
            let count = libc::read(signals, (&raw mut heard).cast(), size);
            if count > 0 && heard.ssi_signo != libc::SIGCHLD as u32 {
                return Heard::End;
            }
        }
        if watched[0].revents != 0 {
            let mut byte = 0_u8;
            return match libc::read(*lifeline, (&raw mut byte).cast(), 1) {
                1 => Heard::Signal(libc::c_int::from(byte)),
                0 => {
                    *lifeline = -1;
                    Heard::End
                }
                _ => Heard::Death,
            };
        }
    }
    Heard::Death
}

/// Sends a signal to the group of a command that still runs.
unsafe fn forward(signal: libc::c_int, command: libc::pid_t, group: Group, status: Option<libc::c_int>) {
    if status.is_some() {
        return;
    }
    let mut leader = command;
    if group == Group::OfFirstChild {
        let mut path = [0_u8; 64];
        write_children_path(&mut path, command);
        leader = 0;
        // SAFETY: the path ends with a zero.
        unsafe {
            each_child(path.as_ptr().cast(), |child| {
                if leader == 0 {
                    leader = child;
                }
            });
        }
    }
    if leader > 1 {
        // SAFETY: a system call with numbers.
        unsafe { libc::kill(-leader, signal) };
    }
}

/// Writes `/proc/N/task/N/children` and a zero; the buffer is large enough for every number.
fn write_children_path(path: &mut [u8; 64], pid: libc::pid_t) {
    use std::io::Write;
    let mut rest = &mut path[..];
    // Formatting numbers into a slice allocates nothing.
    let _ = write!(rest, "/proc/{pid}/task/{pid}/children\0");
}

/// Lets go of the memory that was copied from Steward, so that a long command does not keep a second copy of it alive, and no secret in
/// it. The stack stays, and what belongs to the program's file.
unsafe fn give_back_memory() {
    let mut line = [0_u8; 160];
    let (mut length, mut file_end) = (0, 0);
    // SAFETY: reads go into locals; only private memory that nothing here uses is discarded.
    unsafe {
        let file = libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        let mut buffer = [0_u8; 2048];
        loop {
            let count = libc::read(file, buffer.as_mut_ptr().cast(), buffer.len());
            let Ok(count @ 1..) = usize::try_from(count) else { break };
            for byte in buffer.iter().take(count) {
                if *byte != b'\n' {
                    if length < line.len() {
                        line[length] = *byte;
                        length += 1;
                    }
                    continue;
                }
                if let Some(part) = Mapping::parse(&line[..length]) {
                    discard(&part, file_end);
                    file_end = if part.is_file { part.end } else { 0 };
                }
                length = 0;
            }
        }
        libc::close(file);
    }
}

/// A part of the process's memory.
struct Mapping {
    start: usize,
    end: usize,
    is_private_data: bool,
    is_file: bool,
}

impl Mapping {
    /// Reads `START-END PERMISSIONS OFFSET DEVICE INODE …`.
    fn parse(line: &[u8]) -> Option<Mapping> {
        let mut words = line.split(|byte| *byte == b' ');
        let mut range = words.next()?.split(|byte| *byte == b'-');
        let permissions = words.next()?;
        let inode = words.nth(2)?;
        let mut number = || usize::from_str_radix(std::str::from_utf8(range.next()?).ok()?, 16).ok();
        let (start, end) = (number()?, number()?);
        // The stack of the first thread and what the kernel put there are named in brackets; the heap is too, and may go.
        let name = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        let is_special = name.starts_with(b"[") && name != b"[heap]" && !name.starts_with(b"[anon:");
        Some(Mapping {
            start,
            end,
            is_private_data: permissions == b"rw-p" && inode == b"0" && !is_special,
            is_file: inode != b"0",
        })
    }
}

/// `file_end` is where the file part before this one ends: what follows on it directly is the program's own zeroed data.
unsafe fn discard(part: &Mapping, file_end: usize) {
    let here = (&raw const part).addr();
    let is_stack = (part.start..part.end).contains(&here);
    let is_zeroed_data = part.start == file_end;
    let size = part.end.wrapping_sub(part.start);
    if part.is_private_data && !is_stack && !is_zeroed_data && size >= WORTH_BYTES {
        // SAFETY: nothing that the keeper uses lives there; failing changes nothing.
        unsafe { libc::madvise(part.start as *mut libc::c_void, size, libc::MADV_DONTNEED) };
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests;
