//! Why a file could not be read or changed, as sentences that a model can act on.

use std::io;

use rustix::io::Errno;
use steward_domain::tool::ToolOutcome;

use super::InsidePath;

/// Why a file could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The path is no path.
    #[error("{reason}")]
    Unfit {
        /// What is wrong with it.
        reason: String,
    },
    /// It leads out of the workspace, by its text or by a symlink.
    #[error("{path} is outside the workspace; use a path relative to it")]
    Outside {
        /// The path as it was given.
        path: String,
    },
    /// There is nothing there.
    #[error("{path} does not exist")]
    Missing {
        /// The path.
        path: String,
    },
    /// It is a folder, a FIFO, a device.
    #[error("{path} is {kind}, not a file")]
    NotAFile {
        /// The path.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A symlink is on the way, and this operation follows none.
    #[error("{path} is, or goes through, a symlink; name the place itself")]
    Symlink {
        /// The path.
        path: String,
    },
    /// A rule of the policy keeps the call from it.
    #[error("{path} leads to what {rule} closes")]
    Barred {
        /// The path.
        path: String,
        /// The rule.
        rule: String,
    },
    /// It makes other programs run something.
    #[error("{path} is a control file, which tools may not change; ask the person to do it")]
    Control {
        /// The path.
        path: String,
    },
    /// Nobody may write it.
    #[error("{path} is read-only")]
    ReadOnly {
        /// The path.
        path: String,
    },
    /// It is over the limit.
    #[error("{path} has {size_bytes} bytes, the limit is {limit_bytes}")]
    TooLarge {
        /// The path.
        path: String,
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: usize,
    },
    /// Someone else changed it in between.
    #[error("{path} was changed by someone else meanwhile, so nothing was written; read it again")]
    Changed {
        /// The path.
        path: String,
    },
    /// The system said no.
    #[error("{doing} {path} did not work: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The path.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl FileError {
    pub(super) fn opening(path: &InsidePath, errno: Errno) -> FileError {
        let path = path.to_string();
        match errno {
            Errno::NOENT => FileError::Missing { path },
            Errno::XDEV => FileError::Outside { path },
            Errno::LOOP => FileError::Symlink { path },
            Errno::NXIO => FileError::NotAFile {
                path,
                kind: "a socket or a device",
            },
            Errno::NOTDIR => FileError::Unfit {
                reason: format!("{path} is not a folder, or goes through a file"),
            },
            Errno::ISDIR => FileError::NotAFile { path, kind: "a folder" },
            errno => FileError::Io {
                doing: "opening",
                path,
                source: errno.into(),
            },
        }
    }

    pub(crate) fn io(doing: &'static str, path: &InsidePath, source: impl Into<io::Error>) -> FileError {
        FileError::Io {
            doing,
            path: path.to_string(),
            source: source.into(),
        }
    }
}

impl From<FileError> for ToolOutcome {
    fn from(error: FileError) -> ToolOutcome {
        match error {
            FileError::Control { .. } | FileError::Barred { .. } => ToolOutcome::Refused { reason: error.to_string() },
            FileError::Unfit { .. }
            | FileError::Outside { .. }
            | FileError::Missing { .. }
            | FileError::NotAFile { .. }
            | FileError::Symlink { .. }
            | FileError::ReadOnly { .. }
            | FileError::TooLarge { .. }
            | FileError::Changed { .. }
            | FileError::Io { .. } => ToolOutcome::failed(error.to_string()),
        }
    }
}
