//! The backends without namespaces: Landlock with seccomp, and (only when the owner insists) the bare host.
//!
//! Landlock here is a hard requirement: what the kernel cannot enforce makes the backend unavailable. The process may make no socket and
//! cannot leave its process group. Metadata of files outside (names, sizes, modes of what
//! the user may see) is not hidden by Landlock.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, Scope,
};
use seccompiler::BpfProgram;

use crate::bubblewrap::{COMMON_ENVIRONMENT, PATH};
use crate::command::{Access, Command};
use crate::config::Config;
use crate::error::SandboxError;
use crate::leftovers::VARIABLE;
use crate::syscalls::{self, Session, Steps};
use crate::workspace::{Handle, Ids};

/// The oldest Landlock that restricts sockets by name and signals; what is older does not isolate enough.
const ABI_NEEDED: ABI = ABI::V6;
const READABLE: [&str; 19] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/group",
    "/etc/ssl/certs",
    "/etc/pki",
    "/etc/terminfo",
];
const READABLE_PROC: [&str; 7] = ["cpuinfo", "meminfo", "stat", "uptime", "loadavg", "version", "filesystems"];
const DEVICES: [&str; 6] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// A command ready to be forked.
pub(crate) struct Prepared {
    pub(crate) process: tokio::process::Command,
    pub(crate) steps: Steps,
    /// The private folder for temporary files; removed afterwards.
    pub(crate) scratch: Scratch,
    /// The user id on the host, when Steward is root.
    pub(crate) owner: Option<u32>,
}

/// What is given to every command.
pub(crate) struct Setup<'a> {
    pub(crate) config: &'a Config,
    /// Present for Landlock, absent for the bare host.
    pub(crate) filters: Option<&'a [BpfProgram]>,
    pub(crate) ids: &'a Ids,
    pub(crate) limits: Vec<(syscalls::Resource, u64)>,
    /// By which leftovers are found.
    pub(crate) mark: &'a str,
}

/// Makes the process and steps for one command.
pub(crate) fn prepare(setup: Setup<'_>, command: &Command, workspace: &Handle) -> Result<Prepared, SandboxError> {
    let directory = workspace.open_beneath(&command.cwd)?;
    let owner = syscalls::is_root().then(|| setup.ids.fixed(workspace));
    if let Some(id) = owner.filter(|_| command.workspace_access == Access::ReadWrite) {
        workspace
            .give_to(id)
            .map_err(SandboxError::start("giving the workspace to the sandbox's user"))?;
    }
    let scratch = make_scratch(owner).map_err(SandboxError::start("making a folder for temporary files"))?;
    let ruleset = match setup.filters {
        Some(_) => Some(ruleset(setup.config, command, workspace, &scratch.0)?),
        None => None,
    };
    let program = find_program(&command.argv[0], workspace, &command.cwd)?;
    let mut process = tokio::process::Command::new(program);
    process.as_std_mut().args(&command.argv[1..]);
    process.env_clear();
    let terminal = if command.pty.is_some() { "xterm-256color" } else { "dumb" };
    process
        .env("PATH", PATH.join(":"))
        .env("HOME", &scratch.0)
        .env("TMPDIR", &scratch.0)
        .env("TERM", terminal)
        .env(VARIABLE, setup.mark);
    process
        .envs(COMMON_ENVIRONMENT)
        .envs(command.env.iter().map(|(name, value)| (name, value)));
    let mut limits = setup.limits;
    if owner.is_none() {
        // Steward's own processes count too, and there is no namespace to count in.
        for (resource, limit) in &mut limits {
            if *resource == libc::RLIMIT_NPROC {
                *limit += tasks_of_this_user();
            }
        }
    }
    let steps = Steps {
        session: Some(if command.pty.is_some() {
            Session::OnTerminal
        } else {
            Session::Plain
        }),
        limits,
        directory: Some(directory),
        identity: owner,
        landlock: ruleset,
        filters: setup.filters.map(<[BpfProgram]>::to_vec).unwrap_or_default(),
        ..Steps::default()
    };
    Ok(Prepared {
        process,
        steps,
        scratch,
        owner,
    })
}

/// A folder for temporary files; removed when dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of `/tmp`.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn make_scratch(owner: Option<u32>) -> std::io::Result<Scratch> {
    use std::os::unix::fs::DirBuilderExt;
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map(|since| since.as_nanos())
        .unwrap_or(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = PathBuf::from(format!("/tmp/sandbox-{}-{number}-{nanos:x}", std::process::id()));
    // Fails when the name exists: nobody else's folder is ever used.
    std::fs::DirBuilder::new().mode(0o700).create(&path)?;
    let scratch = Scratch(path);
    if let Some(id) = owner {
        std::os::unix::fs::lchown(&scratch.0, Some(id), Some(id))?;
    }
    Ok(scratch)
}

fn find_program(name: &str, workspace: &Handle, cwd: &Path) -> Result<PathBuf, SandboxError> {
    if name.contains('/') {
        let path = Path::new(name);
        return Ok(if path.is_absolute() {
            path.to_owned()
        } else {
            workspace.path.join(cwd).join(path)
        });
    }
    PATH.iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| SandboxError::NotFound { program: name.to_owned() })
}

fn tasks_of_this_user() -> u64 {
    use std::os::unix::fs::MetadataExt;
    let me = rustix::process::getuid().as_raw();
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0 };
    let mine = processes
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
    mine.filter(|entry| entry.metadata().is_ok_and(|data| data.uid() == me))
        .map(|entry| {
            std::fs::read_dir(entry.path().join("task"))
                .map(|tasks| tasks.count() as u64)
                .unwrap_or(0)
        })
        .sum()
}

/// The Landlock rules for one command, as a descriptor that the child enters.
fn ruleset(config: &Config, command: &Command, workspace: &Handle, scratch: &Path) -> Result<OwnedFd, SandboxError> {
    let failed = |error: landlock::RulesetError| SandboxError::Start {
        doing: "making the Landlock rules",
        source: std::io::Error::other(error),
    };
    let read = AccessFs::from_read(ABI_NEEDED);
    let all = AccessFs::from_all(ABI_NEEDED);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(all)
        .map_err(failed)?
        .handle_access(AccessNet::from_all(ABI_NEEDED))
        .map_err(failed)?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)
        .map_err(failed)?
        .create()
        .map_err(failed)?;
    let mut add = |fd: std::os::fd::BorrowedFd<'_>, is_directory: bool, access: BitFlags<AccessFs>| {
        let access = if is_directory {
            access
        } else {
            access & AccessFs::from_file(ABI_NEEDED)
        };
        // Rules are set on handles, not on names.
        let rule = PathBeneath::new(fd, access);
        (&mut rules).add_rule(rule).map(|_| ()).map_err(failed)
    };
    let proc = READABLE_PROC.iter().map(|name| PathBuf::from(format!("/proc/{name}")));
    let readable = READABLE.iter().map(PathBuf::from).chain(proc).chain(config.system.iter().cloned());
    for path in readable {
        if let (Ok(fd), Ok(data)) = (PathFd::new(&path), std::fs::metadata(&path)) {
            add(fd.as_fd(), data.is_dir(), read)?;
        }
    }
    for path in DEVICES {
        if let Ok(fd) = PathFd::new(path) {
            add(fd.as_fd(), false, AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev)?;
        }
    }
    // Devices are made by nobody, so the right to make them is given to nobody.
    let write = all & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    let of = |access| if access == Access::ReadWrite { write } else { read };
    add(workspace.fd.as_fd(), true, of(command.workspace_access))?;
    for mount in &command.mounts {
        let handle = Handle::open(&mount.path)?;
        add(handle.fd.as_fd(), handle.is_directory, of(mount.access))?;
    }
    let scratch = Handle::open_folder(scratch)?;
    add(scratch.fd.as_fd(), true, write)?;
    let fd: Option<OwnedFd> = rules.into();
    fd.ok_or_else(|| SandboxError::Unavailable {
        reason: "this kernel has no Landlock".into(),
    })
}
