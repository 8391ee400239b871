//! Why a command could not be started. Each message is a sentence that a model or a person can act on.

use std::io;
use std::path::PathBuf;

/// Why a command could not be started or waited for.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// No backend works here, so nothing that starts processes may run.
    #[error("no sandbox works on this machine, so commands are refused: {reason}")]
    Unavailable {
        /// What was tried, and what came of it.
        reason: String,
    },
    /// The backend cannot keep from the command what must be kept from it.
    #[error("the {backend} sandbox cannot hide files of the workspace that rules of the policy close; install bubblewrap or ask the owner")]
    CannotHide {
        /// The backend.
        backend: crate::Backend,
    },
    /// The program is not installed where the sandbox can see it.
    #[error("program {program:?} was not found in the sandbox")]
    NotFound {
        /// The first word of argv.
        program: String,
    },
    /// The command asks for something that is never given.
    #[error("the command cannot be run: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// The workspace, the working directory or a mount cannot be opened.
    #[error("could not open {path:?} for the sandbox")]
    Path {
        /// The path on the host.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The sandbox itself failed to start.
    #[error("the sandbox did not start: {doing}")]
    Start {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The sandbox failed before the command ran; its own words are in the output.
    #[error("the sandbox failed before the command ran; see its output")]
    Setup,
}

impl SandboxError {
    pub(crate) fn start(doing: &'static str) -> impl FnOnce(io::Error) -> SandboxError {
        move |source| SandboxError::Start { doing, source }
    }
}
