//! How a command fails: one sentence, a hint, and an exit code that scripts can branch on.

use std::fmt;

use serde_json::json;

/// Exit codes, as in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    Refused = 3,
    NotFound = 4,
    NotReached = 5,
}

/// A failure with its code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Failure {
            exit,
            code: code.to_owned(),
            message: message.into(),
            hint: String::new(),
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The failure an API error stands for.
    pub(crate) fn of_api(status: u16, code: &str, message: &str) -> Self {
        let exit = match (status, code) {
            (404, _) => Exit::NotFound,
            (402 | 403, _) => Exit::Refused,
            (503, "unavailable") => Exit::NotReached,
            _ => Exit::Failed,
        };
        Failure::new(exit, code, message)
    }

    /// Any error on the way out; one that is no failure yet has the code `failed`.
    pub(crate) fn of(error: anyhow::Error) -> Self {
        match error.downcast::<Failure>() {
            Ok(failure) => failure,
            Err(other) => Failure::new(Exit::Failed, "failed", format!("{other:#}")),
        }
    }

    /// The form for `--json`.
    pub(crate) fn json(&self) -> String {
        json!({"error": {"code": self.code, "message": self.message, "hint": self.hint}}).to_string()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if self.hint.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.hint)
        }
    }
}

impl std::error::Error for Failure {}
