//! The system calls that have no safe wrapper, and the steps between fork and exec.
//!
//! With `keeper.rs` the only file of the crate with `unsafe`. What runs in the forked child allocates nothing and takes no lock: everything it needs is
//! prepared in `Steps` before the fork.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::process::ExitStatus;

use seccompiler::sock_filter;
use tokio::io::unix::AsyncFd;

use crate::keeper::{self, Keeping};

/// What the child does between fork and exec, in this order. The descriptors stay open in the parent until the spawn is over.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    /// Begin a session; with a terminal on descriptor 0, take it as the controlling one.
    pub(crate) session: Option<Session>,
    /// Mounts placed in a private mount namespace of the child; needs root.
    pub(crate) staging: Option<Staging>,
    /// Soft and hard limit of each resource.
    pub(crate) limits: Vec<(Resource, u64)>,
    /// Working directory by handle, entered while privileges last.
    pub(crate) directory: Option<OwnedFd>,
    /// User and group to become; supplementary groups are dropped.
    pub(crate) identity: Option<u32>,
    /// Descriptors that survive exec; every other one above 2 is closed.
    pub(crate) keep: Vec<OwnedFd>,
    /// A Landlock ruleset to enter.
    pub(crate) landlock: Option<OwnedFd>,
    /// Seccomp programs to install, in this order.
    pub(crate) filters: Vec<Vec<sock_filter>>,
}

/// The type that libc gives resource names on this platform.
#[cfg(target_env = "gnu")]
pub(crate) type Resource = libc::__rlimit_resource_t;
/// The type that libc gives resource names on this platform.
#[cfg(not(target_env = "gnu"))]
pub(crate) type Resource = libc::c_int;

/// How the child's session begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    /// A new session without a terminal.
    Plain,
    /// A new session whose controlling terminal is descriptor 0.
    OnTerminal,
}

/// Detached mounts and the paths below `/tmp` at which the child sees them.
#[derive(Debug)]
pub(crate) struct Staging {
    pub(crate) mounts: Vec<StagedMount>,
}

/// One detached mount.
#[derive(Debug)]
pub(crate) struct StagedMount {
    pub(crate) tree: OwnedFd,
    pub(crate) target: CString,
    pub(crate) is_directory: bool,
}

/// Makes `command` take the steps before it execs, below a keeper. What is spawned then is the keeper; it ends with the command's code.
pub(crate) fn take_steps(command: &mut tokio::process::Command, keeping: Keeping, steps: Steps) {
    // SAFETY: both only make system calls with memory that was prepared before the fork; they neither allocate nor lock.
    unsafe {
        command.pre_exec(move || {
            let keeper = keeping.divide()?;
            steps.run(keeper)
        });
    }
}

impl Steps {
    fn run(&self, keeper: libc::pid_t) -> io::Result<()> {
        // SAFETY: plain system calls; every pointer is to memory owned by `self` or to a local.
        unsafe {
            reset_signals();
            raise_oom_score();
            libc::setpriority(libc::PRIO_PROCESS, 0, 5);
            self.begin_session()?;
            if let Some(staging) = &self.staging {
                staging.run()?;
            }
            for (resource, limit) in &self.limits {
                lower_limit(*resource, *limit)?;
            }
            if let Some(directory) = &self.directory {
                check(libc::fchdir(directory.as_raw_fd()))?;
            }
            if let Some(id) = self.identity {
                check(libc::setgroups(0, std::ptr::null()))?;
                check(libc::setresgid(id, id, id))?;
                check(libc::setresuid(id, id, id))?;
            }
            // After the change of user, which would undo it.
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            keeper::leave_if_orphaned(keeper);
            libc::umask(0o022);
            check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
            // Everything but 0, 1, 2 closes at exec, whoever opened it; then the few that are meant to pass are let through.
            let flags = libc::CLOSE_RANGE_CLOEXEC as libc::c_long;
            check_long(libc::syscall(
                libc::SYS_close_range,
                3 as libc::c_long,
                libc::c_long::from(u32::MAX),
                flags,
            ))?;
            for fd in &self.keep {
                check(libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0))?;
            }
            if let Some(ruleset) = &self.landlock {
                check_long(libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0))?;
            }
            for filter in &self.filters {
                install_filter(filter)?;
            }
        }
        Ok(())
    }

    unsafe fn begin_session(&self) -> io::Result<()> {
        let Some(session) = self.session else { return Ok(()) };
        // SAFETY: system calls without pointers.
        unsafe {
            check(libc::setsid())?;
            if session == Session::OnTerminal {
                check(libc::ioctl(0, libc::TIOCSCTTY as _, 0))?;
            }
        }
        Ok(())
    }
}

impl Staging {
    unsafe fn run(&self) -> io::Result<()> {
        // SAFETY: every string is a literal or a CString of `self`.
        unsafe {
            check(libc::unshare(libc::CLONE_NEWNS))?;
            let none = std::ptr::null();
            check(libc::mount(
                none,
                c"/".as_ptr(),
                none,
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ))?;
            let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
            let options = c"mode=0755,size=1m".as_ptr().cast();
            check(libc::mount(c"tmpfs".as_ptr(), c"/tmp".as_ptr(), c"tmpfs".as_ptr(), flags, options))?;
            for mount in &self.mounts {
                let target = mount.target.as_ptr();
                if mount.is_directory {
                    check(libc::mkdir(target, 0o755))?;
                } else {
                    let file = check(libc::open(
                        target,
                        libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC,
                        0o644,
                    ))?;
                    libc::close(file);
                }
                let from_fd = libc::c_long::from(mount.tree.as_raw_fd());
                let to_fd = libc::c_long::from(libc::AT_FDCWD);
                let empty = c"".as_ptr();
                check_long(libc::syscall(
                    libc::SYS_move_mount,
                    from_fd,
                    empty,
                    to_fd,
                    target,
                    MOVE_MOUNT_F_EMPTY_PATH,
                ))?;
            }
        }
        Ok(())
    }
}

const MOVE_MOUNT_F_EMPTY_PATH: libc::c_long = 4;
const OPEN_TREE_CLONE: libc::c_long = 1;
const MOUNT_ATTR_NOSUID: u64 = 2;
const MOUNT_ATTR_NODEV: u64 = 4;
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_long(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Signals that the parent ignores or blocks must not stay so in the child.
unsafe fn reset_signals() {
    // SAFETY: the set is initialised by sigemptyset before use.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        for signal in 1..32 {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// When memory runs out, the kernel should take the command, not Steward. Failing is harmless.
unsafe fn raise_oom_score() {
    // SAFETY: literals only.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file >= 0 {
            libc::write(file, c"800".as_ptr().cast(), 3);
            libc::close(file);
        }
    }
}

/// Lowers a limit; a hard limit that is already lower stays.
unsafe fn lower_limit(resource: Resource, limit: u64) -> io::Result<()> {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `now` is a valid rlimit.
    unsafe {
        check(libc::getrlimit(resource, &mut now))?;
        let limit = (limit as libc::rlim_t).min(now.rlim_max);
        check(libc::setrlimit(
            resource,
            &libc::rlimit {
                rlim_cur: limit,
                rlim_max: limit,
            },
        ))?;
    }
    Ok(())
}

unsafe fn install_filter(filter: &[sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: filter.len() as libc::c_ushort,
        filter: filter.as_ptr().cast_mut().cast(),
    };
    // SAFETY: seccompiler's sock_filter has the layout of the kernel's; the kernel copies the program.
    unsafe {
        check(libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &program as *const libc::sock_fprog,
        ))
    }?;
    Ok(())
}

/// A detached copy of the mount that holds `handle`, rooted there. With `idmap` the owner on disk is seen as the sandbox's user.
pub(crate) fn clone_mount(handle: BorrowedFd<'_>, idmap: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE | libc::c_long::from(libc::O_CLOEXEC) | libc::c_long::from(libc::AT_EMPTY_PATH);
    // SAFETY: the empty string is a literal; the descriptor is new and owned from here on.
    let tree = unsafe {
        let fd = check_long(libc::syscall(libc::SYS_open_tree, handle.as_raw_fd(), c"".as_ptr(), flags))?;
        OwnedFd::from_raw_fd(fd as RawFd)
    };
    let mut attributes = MountAttr {
        set: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
        clear: 0,
        propagation: 0,
        userns_fd: 0,
    };
    if let Some(userns) = idmap {
        attributes.set |= MOUNT_ATTR_IDMAP;
        attributes.userns_fd = userns.as_raw_fd() as u64;
    }
    let size = std::mem::size_of::<MountAttr>();
    // SAFETY: the structure lives through the call and its size is passed.
    unsafe {
        let empty = c"".as_ptr();
        check_long(libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            empty,
            libc::AT_EMPTY_PATH,
            &attributes,
            size,
        ))?;
    }
    Ok(tree)
}

/// A user namespace that maps one user and one group on disk to the sandbox's id. Needs root.
pub(crate) fn mapping_namespace(owner_uid: u32, owner_gid: u32, sandbox_id: u32) -> io::Result<OwnedFd> {
    let (ready_read, ready_write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // SAFETY: the child makes system calls only and never returns.
    let pid = unsafe { check(libc::fork())? };
    if pid == 0 {
        // SAFETY: as above; the buffer is a local.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            let byte = [u8::from(libc::unshare(libc::CLONE_NEWUSER) == 0)];
            libc::write(ready_write.as_raw_fd(), byte.as_ptr().cast(), 1);
            // It holds copies of every pipe of the process; none may stay open because of it.
            libc::syscall(
                libc::SYS_close_range,
                0 as libc::c_long,
                libc::c_long::from(u32::MAX),
                0 as libc::c_long,
            );
            loop {
                libc::pause();
            }
        }
    }
    drop(ready_write);
    let result = (|| {
        let mut byte = [0_u8];
        let count = rustix::io::read(&ready_read, &mut byte)?;
        if count != 1 || byte[0] != 1 {
            return Err(io::Error::other("a user namespace could not be made"));
        }
        std::fs::write(format!("/proc/{pid}/uid_map"), format!("{owner_uid} {sandbox_id} 1\n"))?;
        std::fs::write(format!("/proc/{pid}/gid_map"), format!("{owner_gid} {sandbox_id} 1\n"))?;
        Ok(std::fs::File::open(format!("/proc/{pid}/ns/user"))?.into())
    })();
    // SAFETY: ends and collects the child forked above; the namespace lives on by its descriptor.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, std::ptr::null_mut(), 0);
    }
    result
}

/// Sets the size of a terminal.
pub(crate) fn set_terminal_size(terminal: BorrowedFd<'_>, rows: u16, columns: u16) -> io::Result<()> {
    let size = libc::winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the structure lives through the call.
    unsafe { check(libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ as _, &size)) }?;
    Ok(())
}

/// Sends a signal to the group in the foreground of a terminal, through its controlling side.
pub(crate) fn signal_terminal(terminal: BorrowedFd<'_>, signal: libc::c_int) -> io::Result<()> {
    const TIOCSIG: libc::c_ulong = 0x4004_5436;
    // SAFETY: the argument is a number.
    unsafe { check(libc::ioctl(terminal.as_raw_fd(), TIOCSIG as _, signal)) }?;
    Ok(())
}

/// The bytes of a seccomp program as `bwrap --add-seccomp-fd` reads them.
pub(crate) fn filter_bytes(filter: &[sock_filter]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(filter.len() * 8);
    for step in filter {
        bytes.extend_from_slice(&step.code.to_ne_bytes());
        bytes.push(step.jt);
        bytes.push(step.jf);
        bytes.extend_from_slice(&step.k.to_ne_bytes());
    }
    bytes
}

/// The exit code as a shell reports it: 128 + signal when a signal ended the process.
pub(crate) fn shell_code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Is the effective user root?
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A descriptor of an anonymous file with these contents, read from the start.
pub(crate) fn memory_file(name: &str, contents: &[u8]) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut rest = contents;
    while !rest.is_empty() {
        let written = rustix::io::write(file.as_fd(), rest)?;
        rest = &rest[written..];
    }
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file)
}

/// Registers a descriptor with the runtime.
pub(crate) fn watch(fd: OwnedFd, interest: tokio::io::Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned, is the same whenever it is asked for, and stays open as long as the registration lives.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(io::Error::from)
}
