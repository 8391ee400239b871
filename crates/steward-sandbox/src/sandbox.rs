//! Chooses a backend that works here and starts commands in it.
//!
//! Never falls back to the bare host: when no backend works, every command is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use seccompiler::BpfProgram;
use tokio::sync::watch;

use crate::child::Child;
use crate::closed;
use crate::command::{Access, Command};
use crate::config::{Backend, Config};
use crate::control_files::{self, Guard, Guarded};
use crate::error::SandboxError;
use crate::keeper::{Group, Lifeline};
use crate::leftovers::Owner;
use crate::seccomp::{self, Profile};
use crate::supervise::{self, Control, Watch};
use crate::syscalls::{self, Steps};
use crate::workspace::{Handle, Ids, Lease};
use crate::{bubblewrap, direct, spawner, streams};

/// Starts commands in isolation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    kind: Kind,
    why: String,
    ids: Arc<Ids>,
    owner: Owner,
}

#[derive(Debug)]
enum Kind {
    Bubblewrap { program: PathBuf, filters: Vec<BpfProgram> },
    Landlock { filters: Vec<BpfProgram> },
    Bare,
    Refused,
}

/// What a backend made of a command.
struct Prepared {
    process: tokio::process::Command,
    steps: Steps,
    status: Option<std::os::fd::OwnedFd>,
    lease: Option<Lease>,
    owner: Option<u32>,
    scratch: Option<direct::Scratch>,
    mark: String,
}

impl Sandbox {
    /// Picks the backend that the configuration names, or the strongest one, after a trial run. Never fails: when nothing works, spawning
    /// refuses with the reason.
    pub async fn probe(config: Config) -> Sandbox {
        Self::probe_for(config, Owner::nobody()).await
    }

    /// The same for commands of `owner`, who finds them again should they outlive this process.
    pub async fn probe_for(config: Config, owner: Owner) -> Sandbox {
        let ids = Ids::new(config.first_uid);
        let wanted: &[Backend] = match config.backend {
            Backend::Auto => &[Backend::Bubblewrap, Backend::Landlock],
            Backend::Bubblewrap => &[Backend::Bubblewrap],
            Backend::Landlock => &[Backend::Landlock],
            Backend::None => &[Backend::None],
        };
        let mut failures = Vec::new();
        for backend in wanted {
            match Self::with_backend(&config, *backend, (&ids, &owner)).await {
                Ok(mut sandbox) => {
                    if !failures.is_empty()
                        && let Some(inner) = Arc::get_mut(&mut sandbox.inner)
                    {
                        inner.why = format!("{}; {}", inner.why, failures.join("; "));
                    }
                    tracing::info!(backend = %backend, why = %sandbox.inner.why, "commands run in the {backend} sandbox");
                    return sandbox;
                }
                Err(error) => failures.push(format!("{backend}: {}", with_sources(&error))),
            }
        }
        let why = failures.join("; ");
        tracing::error!(%why, "no sandbox works here: commands are refused");
        Sandbox {
            inner: Arc::new(Inner {
                config,
                kind: Kind::Refused,
                why,
                ids,
                owner,
            }),
        }
    }

    async fn with_backend(config: &Config, backend: Backend, (ids, owner): (&Arc<Ids>, &Owner)) -> Result<Sandbox, SandboxError> {
        let filters = |profile| {
            seccomp::filters(profile).map_err(|error| SandboxError::Unavailable {
                reason: format!("the seccomp filter cannot be built: {error}"),
            })
        };
        let (kind, why) = match backend {
            Backend::Bubblewrap => {
                let program = find_bubblewrap()?;
                (
                    Kind::Bubblewrap {
                        program,
                        filters: filters(Profile::Namespaced)?,
                    },
                    "namespaces and seccomp work here",
                )
            }
            Backend::Landlock => (
                Kind::Landlock {
                    filters: filters(Profile::Shared)?,
                },
                "Landlock and seccomp work here",
            ),
            Backend::None if config.i_know => (Kind::Bare, "the configuration asks for the bare host"),
            Backend::None => {
                return Err(SandboxError::Unavailable {
                    reason: "backend = \"none\" needs i_know = true beside it".into(),
                });
            }
            Backend::Auto => {
                return Err(SandboxError::Unavailable {
                    reason: "auto is not a backend of its own".into(),
                });
            }
        };
        let sandbox = Sandbox {
            inner: Arc::new(Inner {
                config: config.clone(),
                kind,
                why: why.into(),
                ids: ids.clone(),
                owner: owner.clone(),
            }),
        };
        sandbox.trial().await?;
        Ok(sandbox)
    }

    /// Runs a command whose exit code is known.
    async fn trial(&self) -> Result<(), SandboxError> {
        const CODE: i32 = 23;
        let folder = TrialFolder::make()?;
        let mut child = self
            .spawn(Command::new(&folder.0, ["/bin/sh", "-c", &format!("exit {CODE}")]))
            .await?;
        let mut words = String::new();
        if let Some(mut errors) = child.take_stderr() {
            // What it said is only for the message; its end is judged by the exit code.
            let _ = tokio::io::AsyncReadExt::read_to_string(&mut errors, &mut words).await;
        }
        match child.wait().await {
            Ok(exit) if exit.code == CODE => Ok(()),
            Ok(exit) => Err(SandboxError::Unavailable {
                reason: format!("the trial ended with code {}: {}", exit.code, words.trim()),
            }),
            Err(error) => Err(SandboxError::Unavailable {
                reason: format!("{error}: {}", words.trim()),
            }),
        }
    }

    /// Which backend runs commands; `None` when no backend works and commands are refused.
    pub fn backend(&self) -> Option<Backend> {
        match self.inner.kind {
            Kind::Bubblewrap { .. } => Some(Backend::Bubblewrap),
            Kind::Landlock { .. } => Some(Backend::Landlock),
            Kind::Bare => Some(Backend::None),
            Kind::Refused => None,
        }
    }

    /// Why this backend, in a sentence for people.
    pub fn why(&self) -> &str {
        &self.inner.why
    }

    /// The configuration that it was made with.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Where a command sees the workspace: `/workspace`, or the host's path where there is no mount namespace.
    pub fn workspace_inside(&self, workspace: &Path) -> PathBuf {
        match self.inner.kind {
            Kind::Bubblewrap { .. } => PathBuf::from(bubblewrap::WORKSPACE),
            Kind::Landlock { .. } | Kind::Bare | Kind::Refused => workspace.to_owned(),
        }
    }

    /// Starts a command. Must be called inside a tokio runtime.
    pub async fn spawn(&self, command: Command) -> Result<Child, SandboxError> {
        if let Kind::Refused = self.inner.kind {
            return Err(SandboxError::Unavailable {
                reason: self.inner.why.clone(),
            });
        }
        check(&command)?;
        let this = self.clone();
        let preparing = tokio::task::spawn_blocking(move || this.prepare(command));
        let (command, mut prepared, guard) = preparing.await.map_err(|error| SandboxError::Start {
            doing: "preparing the command",
            source: std::io::Error::other(error),
        })??;
        let ends = streams::wire(&command, &mut prepared.process, prepared.owner).map_err(SandboxError::start("making pipes"))?;
        let group = match prepared.status {
            Some(_) => Group::OfFirstChild,
            None => Group::OfCommand,
        };
        let (lifeline, keeping) = Lifeline::make(group).map_err(SandboxError::start("making pipes"))?;
        syscalls::take_steps(&mut prepared.process, keeping, prepared.steps);
        let process = spawner::spawn(prepared.process)
            .await
            .map_err(|source| spawn_error(&command, source))?;
        let limits = &self.inner.config.limits;
        let output_limit = command.output_limit.unwrap_or(limits.output).min(limits.output);
        let pid = process.id().unwrap_or(0);
        let control = Control::new(pid, lifeline, prepared.status, output_limit).map_err(SandboxError::start("holding the process"))?;
        let terminal = ends.terminal.clone();
        let (stdin, [stdout, stderr]) = ends.register(&control).map_err(SandboxError::start("reading its output"))?;
        let watch = Watch {
            control: control.clone(),
            time_limit: command.time_limit.unwrap_or(limits.time).min(limits.time),
            memory_limit: limits.memory,
            guard,
            lease: prepared.lease,
            scratch: prepared.scratch,
            mark: prepared.mark,
        };
        let (end_sender, end) = watch::channel(None);
        tokio::spawn(supervise::supervise(process, watch, end_sender));
        Ok(Child {
            stdin,
            stdout,
            stderr,
            terminal,
            control,
            end,
        })
    }

    fn prepare(&self, command: Command) -> Result<(Command, Prepared, Option<Guard>), SandboxError> {
        let workspace = Handle::open_folder(&command.workspace)?;
        let (guard, guarded) = self.guard(&workspace)?;
        let limits = self.limits();
        let config = &self.inner.config;
        let mark = self.inner.owner.mark();
        let prepared = match &self.inner.kind {
            Kind::Bubblewrap { program, filters } => {
                check_program(&command.argv[0], config)?;
                let setup = bubblewrap::Setup {
                    program,
                    config,
                    filters,
                    ids: &self.inner.ids,
                    limits,
                    mark: &mark,
                };
                let layers = closed::layers(&workspace, &command, guarded)?;
                let made = bubblewrap::prepare(setup, &command, &workspace, &layers)?;
                Prepared {
                    process: made.process,
                    steps: made.steps,
                    status: Some(made.status),
                    lease: made.lease,
                    owner: made.owner,
                    scratch: None,
                    mark,
                }
            }
            Kind::Landlock { .. } | Kind::Bare | Kind::Refused => {
                let may_change = command.workspace_access == Access::ReadWrite;
                if !command.hidden.is_empty() || (may_change && !command.read_only.is_empty()) {
                    // Landlock only adds rights, and the bare host has none to take away.
                    return Err(SandboxError::CannotHide {
                        backend: self.backend().unwrap_or(Backend::None),
                    });
                }
                let filters = match &self.inner.kind {
                    Kind::Landlock { filters } => Some(filters.as_slice()),
                    Kind::Bubblewrap { .. } | Kind::Bare | Kind::Refused => None,
                };
                let setup = direct::Setup {
                    config,
                    filters,
                    ids: &self.inner.ids,
                    limits,
                    mark: &mark,
                };
                let made = direct::prepare(setup, &command, &workspace)?;
                Prepared {
                    process: made.process,
                    steps: made.steps,
                    status: None,
                    lease: None,
                    owner: made.owner,
                    scratch: Some(made.scratch),
                    mark,
                }
            }
        };
        Ok((command, prepared, Some(guard)))
    }

    fn guard(&self, workspace: &Handle) -> Result<(Guard, Vec<Guarded>), SandboxError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY;
        let failed = |source| SandboxError::Path {
            path: workspace.path.clone(),
            source,
        };
        let root = rustix::fs::openat(&workspace.fd, ".", flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        control_files::guard(root).map_err(failed)
    }

    fn limits(&self) -> Vec<(syscalls::Resource, u64)> {
        let limits = &self.inner.config.limits;
        // The keeper, bubblewrap itself and its first process inside count as well.
        const OWN_PROCESSES: u64 = 4;
        vec![
            (libc::RLIMIT_NPROC, limits.processes + OWN_PROCESSES),
            // Data, not address space: language runtimes reserve far more addresses than they use.
            (libc::RLIMIT_DATA, limits.memory),
            (libc::RLIMIT_FSIZE, limits.file),
            (libc::RLIMIT_NOFILE, limits.descriptors),
            (libc::RLIMIT_CORE, 0),
            (libc::RLIMIT_MEMLOCK, 64 * 1024),
            (libc::RLIMIT_MSGQUEUE, 0),
        ]
    }
}

fn find_bubblewrap() -> Result<PathBuf, SandboxError> {
    bubblewrap::PATH
        .iter()
        .map(|folder| Path::new(folder).join("bwrap"))
        .find(|path| path.is_file())
        .ok_or_else(|| SandboxError::Unavailable {
            reason: "bwrap is not installed (apt-get install bubblewrap)".into(),
        })
}

/// Refuses what is never run, before anything is prepared.
fn check(command: &Command) -> Result<(), SandboxError> {
    let invalid = |reason: String| Err(SandboxError::Invalid { reason });
    let Some(program) = command.argv.first().filter(|program| !program.is_empty()) else {
        return invalid("it names no program".into());
    };
    if program.starts_with('-') {
        return invalid(format!("{program:?} is not a program"));
    }
    let variables = command.env.iter().flat_map(|(name, value)| [name, value]);
    let has_zero = command.argv.iter().chain(variables).any(|word| word.contains('\0'));
    if has_zero {
        return invalid("a word of it holds a zero byte".into());
    }
    for (name, _) in &command.env {
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name || is_dangerous_variable(name) {
            return invalid(format!("the variable {name:?} may not be set"));
        }
    }
    for mount in &command.mounts {
        if !mount.path.is_absolute() {
            return invalid(format!("{:?} is not an absolute path", mount.path));
        }
    }
    Ok(())
}

/// Variables by which one program makes another load code.
fn is_dangerous_variable(name: &str) -> bool {
    const PREFIXES: [&str; 6] = ["LD_", "DYLD_", "GIT_", "BASH_FUNC_", "GLIBC_", "MALLOC_"];
    const NAMES: [&str; 12] = [
        "PATH",
        "IFS",
        "ENV",
        "BASH_ENV",
        "PROMPT_COMMAND",
        "NODE_OPTIONS",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "PERL5OPT",
        "PERL5LIB",
        "RUBYOPT",
        "JAVA_TOOL_OPTIONS",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name)
}

/// Tells a missing program apart from one that ends with code 1, which bubblewrap does not.
fn check_program(program: &str, config: &Config) -> Result<(), SandboxError> {
    let not_found = || {
        Err(SandboxError::NotFound {
            program: program.to_owned(),
        })
    };
    let is_system = ["/usr/", "/bin/", "/sbin/", "/lib"]
        .iter()
        .any(|folder| program.starts_with(folder))
        || config.system.iter().any(|folder| Path::new(program).starts_with(folder));
    if is_system && !Path::new(program).exists() {
        return not_found();
    }
    let is_plain = !program.contains('/');
    if is_plain && !bubblewrap::PATH.iter().any(|folder| Path::new(folder).join(program).is_file()) {
        return not_found();
    }
    Ok(())
}

fn spawn_error(command: &Command, source: std::io::Error) -> SandboxError {
    if source.kind() == std::io::ErrorKind::NotFound {
        return SandboxError::NotFound {
            program: command.argv[0].clone(),
        };
    }
    SandboxError::Start {
        doing: "starting the process",
        source,
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        text = format!("{text}: {next}");
        source = next.source();
    }
    text
}

/// An empty folder for the trial; removed when dropped.
struct TrialFolder(PathBuf);

impl TrialFolder {
    fn make() -> Result<TrialFolder, SandboxError> {
        let unique = format!("sandbox-trial-{}-{:?}", std::process::id(), std::time::Instant::now());
        let name: String = unique.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).map_err(SandboxError::start("making a folder for the trial"))?;
        Ok(TrialFolder(path))
    }
}

impl Drop for TrialFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
