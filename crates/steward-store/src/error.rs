//! What can go wrong in the store, in the few kinds that a caller branches on.
//!
//! One failed commit is told to every job of its group, so errors are cheap to clone and share their source.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// No such row.
    #[error("there is no {what}")]
    NotFound {
        /// The row, such as `turn turn_0198`.
        what: String,
    },
    /// A row with that name or key is there already, or the row is no longer in the state that was expected.
    #[error("{what}")]
    Conflict {
        /// What collided.
        what: String,
        /// The database's own words.
        #[source]
        source: Option<Cause>,
    },
    /// The database cannot be used now: a full disk, a lost connection, another owner. Nothing of the job is kept,
    /// except where a connection broke during COMMIT, which may have arrived.
    #[error("{what}")]
    Unavailable {
        /// What was tried.
        what: String,
        /// The database's own words.
        #[source]
        source: Option<Cause>,
    },
    /// The database was written by a newer Steward. Nothing was written to it.
    #[error(
        "the database has version {found} and this Steward knows versions up to {known}; start the newer Steward again, or restore a backup of version {known}"
    )]
    NewerVersion {
        /// Version of the database.
        found: i64,
        /// Newest version that this program knows.
        known: i64,
    },
    /// A stored value is not what this program wrote there.
    #[error("{what}")]
    Unreadable {
        /// Which value.
        what: String,
        /// Why.
        #[source]
        source: Option<Cause>,
    },
    /// This database cannot do that, and what can.
    #[error("{what}")]
    Unsupported {
        /// A sentence for a person.
        what: String,
    },
    /// A mistake in Steward itself: a job panicked or its SQL was refused. The job left nothing.
    #[error("{what}")]
    Broken {
        /// What was tried.
        what: String,
        /// The database's own words.
        #[source]
        source: Option<Cause>,
    },
}

/// A shared source of a [`StoreError`].
#[derive(Clone)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl Cause {
    /// Keeps an error as a source.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Cause(Arc::from(error.into()))
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl StoreError {
    /// No row of that name.
    pub fn not_found(noun: &str, id: impl fmt::Display) -> Self {
        StoreError::NotFound {
            what: format!("{noun} {id}"),
        }
    }

    /// A row stands in the way.
    pub fn conflict(what: impl Into<String>) -> Self {
        StoreError::Conflict {
            what: what.into(),
            source: None,
        }
    }

    pub(crate) fn unavailable(what: impl Into<String>) -> Self {
        StoreError::Unavailable {
            what: what.into(),
            source: None,
        }
    }

    pub(crate) fn unavailable_from(what: impl Into<String>, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        StoreError::Unavailable {
            what: what.into(),
            source: Some(Cause::new(error)),
        }
    }

    pub(crate) fn unreadable(what: impl Into<String>, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        StoreError::Unreadable {
            what: what.into(),
            source: Some(Cause::new(error)),
        }
    }

    pub(crate) fn broken(what: impl Into<String>) -> Self {
        StoreError::Broken {
            what: what.into(),
            source: None,
        }
    }

    pub(crate) fn broken_from(what: impl Into<String>, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        StoreError::Broken {
            what: what.into(),
            source: Some(Cause::new(error)),
        }
    }
}
