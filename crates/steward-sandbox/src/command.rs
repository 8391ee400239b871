//! What is to be run: argv, where, with which files, and how its input and output are wired.
//!
//! Holds no default environment and no shell: argv is run as it stands.

use std::path::PathBuf;
use std::time::Duration;

/// A command to run in the sandbox. Build it with `Command::new` and set the fields that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments; no shell is involved. A program without `/` is looked for in the sandbox's `PATH`.
    pub argv: Vec<String>,
    /// The folder of the host that is the workspace; read-write unless `workspace_access` says otherwise.
    pub workspace: PathBuf,
    /// May the workspace be written?
    pub workspace_access: Access,
    /// Files and folders, relative to the workspace, that the command must not see. Only bubblewrap can do that.
    pub hidden: Vec<PathBuf>,
    /// Files and folders, relative to the workspace, that the command may not change. Only bubblewrap can do that.
    pub read_only: Vec<PathBuf>,
    /// Working directory, relative to the workspace. Empty is the workspace itself. Leaving the workspace is an error.
    pub cwd: PathBuf,
    /// Variables beyond `PATH`, `HOME`, `LANG`, `TERM`, `USER`, `TMPDIR`. Names that load code (`LD_*` and the like) are refused.
    pub env: Vec<(String, String)>,
    /// Further files or folders of the host that are visible at the same path inside.
    pub mounts: Vec<Mount>,
    /// Where its standard input comes from; ignored with a PTY, whose input is always writable.
    pub stdin: Stdin,
    /// Separate or merged output; ignored with a PTY, which has one output.
    pub streams: Streams,
    /// A terminal of this size (rows, columns).
    pub pty: Option<(u16, u16)>,
    /// Wall time after which it is killed; the configured limit when absent, and never more than that.
    pub time_limit: Option<Duration>,
    /// Bytes of output after which it is killed; the configured limit when absent, and never more than that.
    pub output_limit: Option<u64>,
}

impl Command {
    /// A command without input, with separate output, in the workspace, with the configured limits.
    pub fn new(workspace: impl Into<PathBuf>, argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Command {
            argv: argv.into_iter().map(Into::into).collect(),
            workspace: workspace.into(),
            workspace_access: Access::ReadWrite,
            hidden: Vec::new(),
            read_only: Vec::new(),
            cwd: PathBuf::new(),
            env: Vec::new(),
            mounts: Vec::new(),
            stdin: Stdin::Null,
            streams: Streams::Separate,
            pty: None,
            time_limit: None,
            output_limit: None,
        }
    }
}

/// A file or folder of the host that is visible inside at the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its absolute path on the host, and inside. Symlinks are resolved before anything is bound.
    pub path: PathBuf,
    /// May it be written?
    pub access: Access,
}

/// May it be written?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read and run only.
    ReadOnly,
    /// Read, run and write.
    ReadWrite,
}

/// Where standard input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing to read.
    Null,
    /// `Child::take_stdin` writes to it; dropping that closes it.
    Piped,
}

/// How output is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// `take_stdout` and `take_stderr` are two streams.
    Separate,
    /// Standard error goes into `take_stdout`, in the order it was written.
    Merged,
}
