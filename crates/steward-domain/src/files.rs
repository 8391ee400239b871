//! The files that a call touches, resolved, and what the rules leave of them.
//!
//! Tools say where their arguments lead; the gate decides on that. No path is opened here.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

/// The files and folders that a call names, after every link was followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// Absolute paths of the host that mean the workspace, without a slash at the end.
    pub roots: Vec<String>,
    /// What the call names.
    pub files: Vec<TouchedFile>,
    /// `files` is all that the call can reach. A command reaches more than its working directory.
    pub is_all: bool,
}

impl Touched {
    /// A call that touches no file.
    pub fn nothing() -> Self {
        Touched {
            roots: Vec::new(),
            files: Vec::new(),
            is_all: true,
        }
    }
}

/// One file or folder, by every place that leads to it: as it was written, each link on the way, and where it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchedFile {
    /// Never empty; the last one is the file itself.
    pub places: Vec<Place>,
}

/// Where something is. Paths have no `.`, `..` or doubled slashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "place", rename_all = "snake_case")]
pub enum Place {
    /// In the workspace.
    Inside {
        /// Relative to the workspace; empty for the workspace itself.
        path: String,
    },
    /// Anywhere else.
    Outside {
        /// Absolute, or beginning with `~`.
        path: String,
    },
}

/// What the rules leave of a file for one call; asked again at the moment of use.
pub trait FileRules: Debug + Send + Sync {
    /// What the call may do with the file or folder at `path`, relative to the workspace.
    fn limit(&self, path: &str) -> FileLimit;

    /// Can there be a limit on the folder `path` or on something below it? `false` saves looking.
    fn may_limit_below(&self, path: &str) -> bool;
}

/// What a call may do with one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileLimit {
    /// What the call's effect says.
    Free,
    /// Look at it only.
    ReadOnly {
        /// The rule, such as `policy.deny[0]`.
        rule: String,
    },
    /// Nothing, not even see it.
    Hidden {
        /// The rule, such as `policy.deny[0]`.
        rule: String,
    },
}

/// May files be used that a rule asks about?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// A person allowed this very call.
    Given,
    /// Nobody was asked.
    NotGiven,
}

/// No file has a limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFileRules;

impl FileRules for NoFileRules {
    fn limit(&self, _path: &str) -> FileLimit {
        FileLimit::Free
    }

    fn may_limit_below(&self, _path: &str) -> bool {
        false
    }
}
