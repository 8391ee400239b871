//! The one error of the flows. It knows no HTTP; surfaces turn it into their own words.

use steward_store::StoreError;

/// Why a service call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// There is no such thing, or the caller may not know of it.
    #[error("{what} {id:?} does not exist")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Which.
        id: String,
    },
    /// The request makes no sense; the sentence says what to change.
    #[error("{0}")]
    Invalid(String),
    /// It is not as the caller thinks: answered already, changed since.
    #[error("{0}")]
    Conflict(String),
    /// The caller may not do this.
    #[error("{0}")]
    Denied(String),
    /// No key, a wrong one, or an expired one.
    #[error("{0}")]
    Unauthenticated(String),
    /// Too much at once.
    #[error("{0}")]
    Busy(String),
    /// A limit on money refused.
    #[error("{0}")]
    OverBudget(String),
    /// The store cannot take or give anything now.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}

impl ServiceError {
    /// A missing thing.
    pub fn not_found(what: &'static str, id: impl ToString) -> Self {
        ServiceError::NotFound { what, id: id.to_string() }
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { what, .. } => ServiceError::NotFound { what: "thing", id: what },
            StoreError::Conflict { what, .. } => ServiceError::Conflict(what),
            other => ServiceError::Unavailable(other.to_string()),
        }
    }
}
