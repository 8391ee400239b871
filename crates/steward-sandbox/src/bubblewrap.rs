//! The strongest backend: own mount, process, IPC, user and network namespaces by `bwrap`, with a seccomp filter.
//!
//! Never passes Steward's environment, descriptors or user id on. What is bound is bound by handle.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use seccompiler::BpfProgram;

use crate::command::{Access, Command};
use crate::config::Config;
use crate::control_files::{Guarded, GuardedKind};
use crate::error::SandboxError;
use crate::leftovers::VARIABLE;
use crate::syscalls::{self, Session, StagedMount, Staging, Steps};
use crate::workspace::{Handle, Ids, Lease};

/// Where the workspace is seen inside.
pub(crate) const WORKSPACE: &str = "/workspace";
/// Where programs are looked for inside.
pub(crate) const PATH: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// Folders of the system that are links into `/usr` on most machines.
const SYSTEM_LINKS: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// What of `/etc` may be read: how programs find libraries, certificates, their defaults. No accounts, hosts or keys.
const ETC: [&str; 30] = [
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "host.conf",
    "inputrc",
    "java-17-openjdk",
    "java-21-openjdk",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "login.defs",
    "magic",
    "magic.mime",
    "maven",
    "mime.types",
    "networks",
    "os-release",
    "perl",
    "pki",
    "profile",
    "protocols",
    "python3",
    "services",
    "ssl/certs",
    "terminfo",
];
const PASSWD: &str = "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nagent:x:1000:1000:agent:/tmp/home:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1 localhost sandbox\n::1 localhost\n";
const NAMES: &str = "passwd: files\ngroup: files\nhosts: files\n";

/// A command ready to be forked.
pub(crate) struct Prepared {
    pub(crate) process: tokio::process::Command,
    pub(crate) steps: Steps,
    /// Where bwrap writes what became of the command.
    pub(crate) status: OwnedFd,
    pub(crate) lease: Option<Lease>,
    /// The user id on the host, when Steward is root.
    pub(crate) owner: Option<u32>,
}

/// What is given to every command.
pub(crate) struct Setup<'a> {
    pub(crate) program: &'a Path,
    pub(crate) config: &'a Config,
    pub(crate) filters: &'a [BpfProgram],
    pub(crate) ids: &'a std::sync::Arc<Ids>,
    pub(crate) limits: Vec<(syscalls::Resource, u64)>,
    /// By which leftovers are found.
    pub(crate) mark: &'a str,
}

/// Collects arguments and the descriptors that they name.
struct Arguments {
    words: Vec<u8>,
    keep: Vec<OwnedFd>,
    staged: Vec<StagedMount>,
    /// Present when Steward is root: mounts are placed before the user id is given up.
    owner: Option<u32>,
}

impl Arguments {
    fn push(&mut self, word: impl AsRef<[u8]>) {
        self.words.extend_from_slice(word.as_ref());
        self.words.push(0);
    }

    fn all<const N: usize>(&mut self, words: [&str; N]) {
        for word in words {
            self.push(word);
        }
    }

    /// A folder of its own at `target`, empty and read-only.
    fn empty_folder(&mut self, mode: &str, target: &Path) {
        self.all(["--perms", mode, "--size", "4096"]);
        for flag in ["--tmpfs", "--remount-ro"] {
            self.push(flag);
            self.push(target.as_os_str().as_bytes());
        }
    }

    fn data(&mut self, contents: &str, target: impl AsRef<Path>) -> Result<(), SandboxError> {
        let file = syscalls::memory_file("data", contents.as_bytes()).map_err(SandboxError::start("making a file in memory"))?;
        self.all(["--ro-bind-data", &file.as_raw_fd().to_string()]);
        self.push(target.as_ref().as_os_str().as_bytes());
        self.keep.push(file);
        Ok(())
    }

    /// Binds what `fd` holds at `target`.
    fn bind(&mut self, tree: Tree<'_>, access: Access, target: &Path) -> Result<(), SandboxError> {
        let failed = SandboxError::start("binding a folder into the sandbox");
        match self.owner {
            Some(_) => {
                let source = format!("/tmp/{}", self.staged.len());
                self.push(if access == Access::ReadWrite { "--bind" } else { "--ro-bind" });
                self.push(&source);
                let target = CString::new(source).expect("the path is made here and has no zero byte");
                self.staged.push(StagedMount {
                    tree: tree.mounted.map_err(failed)?,
                    target,
                    is_directory: tree.is_directory,
                });
            }
            None => {
                let fd = tree.handle.try_clone_to_owned().map_err(failed)?;
                self.push(if access == Access::ReadWrite { "--bind-fd" } else { "--ro-bind-fd" });
                self.push(fd.as_raw_fd().to_string());
                self.keep.push(fd);
            }
        }
        self.push(target.as_os_str().as_bytes());
        Ok(())
    }
}

/// Something to bind: by handle, or as a detached mount that was made from it.
struct Tree<'a> {
    handle: std::os::fd::BorrowedFd<'a>,
    mounted: std::io::Result<OwnedFd>,
    is_directory: bool,
}

/// Makes the arguments and steps for one command.
pub(crate) fn prepare(setup: Setup<'_>, command: &Command, workspace: &Handle, guarded: &[Guarded]) -> Result<Prepared, SandboxError> {
    workspace.open_beneath(&command.cwd)?;
    let identity = Identity::choose(setup.ids, workspace)?;
    let mut arguments = Arguments {
        words: Vec::new(),
        keep: Vec::new(),
        staged: Vec::new(),
        owner: identity.id(),
    };
    namespaces(&mut arguments);
    system(&mut arguments, setup.config)?;
    files(&mut arguments, &identity, setup.ids, (command, workspace))?;
    guards(&mut arguments, &identity, setup.ids, (guarded, workspace, command.workspace_access))?;
    arguments.all(["--remount-ro", "/dev", "--remount-ro", "/"]);
    environment(&mut arguments, command, setup.mark);
    // By parts, so that an empty one leaves no slash at the end of `PWD`.
    let directory: PathBuf = Path::new(WORKSPACE).components().chain(command.cwd.components()).collect();
    arguments.push("--chdir");
    arguments.push(directory.as_os_str().as_bytes());
    for filter in setup.filters {
        let file =
            syscalls::memory_file("filter", &syscalls::filter_bytes(filter)).map_err(SandboxError::start("making a file in memory"))?;
        arguments.all(["--add-seccomp-fd", &file.as_raw_fd().to_string()]);
        arguments.keep.push(file);
    }
    let status = syscalls::memory_file("status", b"").map_err(SandboxError::start("making a file in memory"))?;
    let theirs = status.try_clone().map_err(SandboxError::start("duplicating a descriptor"))?;
    arguments.all(["--json-status-fd", &theirs.as_raw_fd().to_string()]);
    arguments.keep.push(theirs);
    finish(setup, command, arguments, (status, identity))
}

fn finish(setup: Setup<'_>, command: &Command, mut arguments: Arguments, rest: (OwnedFd, Identity)) -> Result<Prepared, SandboxError> {
    let (status, identity) = rest;
    // Descriptors keep their numbers across the fork, so bwrap can be told of them here.
    let words = syscalls::memory_file("arguments", &arguments.words).map_err(SandboxError::start("making a file in memory"))?;
    let mut process = tokio::process::Command::new(setup.program);
    process.env_clear().env(VARIABLE, setup.mark).current_dir("/");
    process.arg("--args").arg(words.as_raw_fd().to_string()).arg("--");
    arguments.keep.push(words);
    let mut limits = setup.limits;
    if identity.id().is_none() {
        // The user's other processes count too, unless the limit is set inside the user namespace.
        limits.retain(|(resource, _)| *resource != libc::RLIMIT_NPROC);
        let count = setup.config.limits.processes;
        process.args(["/usr/bin/prlimit", &format!("--nproc={count}:{count}"), "--"]);
    }
    if command.pty.is_some() {
        process.args(["/usr/bin/setsid", "--ctty", "--"]);
    }
    process.args(&command.argv);
    let owner = identity.id();
    let steps = Steps {
        session: Some(Session::Plain),
        staging: owner.map(|_| Staging { mounts: arguments.staged }),
        limits,
        identity: owner,
        keep: arguments.keep,
        ..Steps::default()
    };
    Ok(Prepared {
        process,
        steps,
        status,
        lease: identity.into_lease(),
        owner,
    })
}

/// Whom the command runs as on the host.
enum Identity {
    /// The user of Steward, who is not root.
    Same,
    /// An id of its own; the owner of the workspace is mapped to it.
    Mapped(Lease),
    /// The id of the workspace, to which its files were given: the file system cannot map owners.
    Given(u32),
}

impl Identity {
    fn choose(ids: &std::sync::Arc<Ids>, workspace: &Handle) -> Result<Identity, SandboxError> {
        if !syscalls::is_root() {
            return Ok(Identity::Same);
        }
        let fixed = ids.fixed(workspace);
        if workspace.owner_uid != fixed {
            let lease = ids.lease()?;
            if ids.clone_mapped(workspace, lease.id).is_ok() {
                return Ok(Identity::Mapped(lease));
            }
        }
        workspace
            .give_to(fixed)
            .map_err(SandboxError::start("giving the workspace to the sandbox's user"))?;
        Ok(Identity::Given(fixed))
    }

    fn id(&self) -> Option<u32> {
        match self {
            Identity::Same => None,
            Identity::Mapped(lease) => Some(lease.id),
            Identity::Given(id) => Some(*id),
        }
    }

    fn into_lease(self) -> Option<Lease> {
        match self {
            Identity::Mapped(lease) => Some(lease),
            Identity::Same | Identity::Given(_) => None,
        }
    }

    /// A detached mount of `fd`, whose owner is the one of `like`.
    fn mount(&self, ids: &Ids, fd: std::os::fd::BorrowedFd<'_>, like: &Handle) -> std::io::Result<OwnedFd> {
        match self {
            Identity::Same => Err(std::io::Error::from(std::io::ErrorKind::Unsupported)),
            Identity::Mapped(lease) => syscalls::clone_mount(fd, Some((*ids.mapping(like, lease.id)?).as_fd())),
            Identity::Given(_) => syscalls::clone_mount(fd, None),
        }
    }
}

fn namespaces(arguments: &mut Arguments) {
    arguments.all([
        "--unshare-all",
        "--unshare-user",
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--hostname",
        "sandbox",
    ]);
    arguments.all(["--die-with-parent", "--new-session", "--clearenv"]);
}

fn system(arguments: &mut Arguments, config: &Config) -> Result<(), SandboxError> {
    arguments.all(["--ro-bind", "/usr", "/usr"]);
    for name in SYSTEM_LINKS {
        let path = format!("/{name}");
        match std::fs::read_link(&path) {
            Ok(target) => {
                arguments.push("--symlink");
                arguments.push(target.as_os_str().as_bytes());
                arguments.push(&path);
            }
            Err(_) => arguments.all(["--ro-bind-try", &path, &path]),
        }
    }
    for name in ETC {
        let path = format!("/etc/{name}");
        if Path::new(&path).exists() {
            arguments.all(["--ro-bind-try", &path, &path]);
        }
    }
    arguments.data(PASSWD, "/etc/passwd")?;
    arguments.data(GROUP, "/etc/group")?;
    arguments.data(HOSTS, "/etc/hosts")?;
    arguments.data(NAMES, "/etc/nsswitch.conf")?;
    for folder in &config.system {
        arguments.push("--ro-bind-try");
        arguments.push(folder.as_os_str().as_bytes());
        arguments.push(folder.as_os_str().as_bytes());
    }
    let scratch = (config.limits.memory / 2).max(1 << 20).to_string();
    arguments.all([
        "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", "67108864", "--tmpfs", "/dev/shm",
    ]);
    arguments.all([
        "--perms",
        "1777",
        "--size",
        &scratch,
        "--tmpfs",
        "/tmp",
        "--perms",
        "0700",
        "--dir",
        "/tmp/home",
    ]);
    arguments.all(["--dir", "/var", "--symlink", "/tmp", "/var/tmp", "--dir", "/run"]);
    Ok(())
}

fn files(arguments: &mut Arguments, identity: &Identity, ids: &Ids, what: (&Command, &Handle)) -> Result<(), SandboxError> {
    let (command, workspace) = what;
    for mount in &command.mounts {
        let handle = Handle::open(&mount.path)?;
        // Through the mapping, also what only its owner may read is readable: it was granted.
        let mounted = identity.mount(ids, handle.fd.as_fd(), &handle);
        let tree = Tree {
            handle: handle.fd.as_fd(),
            mounted,
            is_directory: handle.is_directory,
        };
        arguments.bind(tree, mount.access, &mount.path)?;
    }
    let mounted = identity.mount(ids, workspace.fd.as_fd(), workspace);
    let tree = Tree {
        handle: workspace.fd.as_fd(),
        mounted,
        is_directory: true,
    };
    arguments.bind(tree, command.workspace_access, Path::new(WORKSPACE))
}

fn guards(arguments: &mut Arguments, identity: &Identity, ids: &Ids, what: (&[Guarded], &Handle, Access)) -> Result<(), SandboxError> {
    let (guarded, workspace, workspace_access) = what;
    for item in guarded {
        let target: PathBuf = Path::new(WORKSPACE).join(&item.path);
        let (is_directory, access) = match item.kind {
            // Seen empty: what the owner keeps there is nothing for the command.
            GuardedKind::Hooks => {
                arguments.empty_folder("0755", &target);
                continue;
            }
            GuardedKind::HiddenFolder => {
                arguments.empty_folder("0000", &target);
                continue;
            }
            GuardedKind::HiddenFile => {
                arguments.all(["--perms", "0000"]);
                arguments.data("", &target)?;
                continue;
            }
            GuardedKind::GitFolder | GuardedKind::Fixed => (true, workspace_access),
            GuardedKind::ReadOnlyFolder => (true, Access::ReadOnly),
            GuardedKind::File => (false, Access::ReadOnly),
        };
        let mounted = identity.mount(ids, item.handle.as_fd(), workspace);
        arguments.bind(
            Tree {
                handle: item.handle.as_fd(),
                mounted,
                is_directory,
            },
            access,
            &target,
        )?;
    }
    Ok(())
}

fn environment(arguments: &mut Arguments, command: &Command, mark: &str) {
    let path = PATH.join(":");
    let terminal = if command.pty.is_some() { "xterm-256color" } else { "dumb" };
    let fixed = [
        ("PATH", path.as_str()),
        ("HOME", "/tmp/home"),
        ("TMPDIR", "/tmp"),
        ("TERM", terminal),
        (VARIABLE, mark),
    ];
    for (name, value) in fixed.into_iter().chain(COMMON_ENVIRONMENT) {
        arguments.all(["--setenv", name, value]);
    }
    for (name, value) in &command.env {
        arguments.all(["--setenv", name, value]);
    }
}

/// Variables that every command has, whatever the backend.
pub(crate) const COMMON_ENVIRONMENT: [(&str, &str); 4] =
    [("LANG", "C.UTF-8"), ("USER", "agent"), ("LOGNAME", "agent"), ("SHELL", "/bin/sh")];
