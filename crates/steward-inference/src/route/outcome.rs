//! What failed on the way, and the one error a caller gets when everything did.

use std::time::Duration;

use steward_domain::model::{ModelError, ModelErrorKind, Retry};

use crate::catalog::KnownModel;
use crate::tables::Target;

/// The most failures that an error's message lists.
const LISTED_FAILURES: usize = 12;

/// Failures of one call, in order.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    list: Vec<ModelError>,
    /// The largest context that was too small; the inner `None` when it is not known.
    too_long_for: Option<Option<u64>>,
}

impl Failures {
    /// A target failed, or was left out.
    pub(crate) fn add(&mut self, target: &str, mut error: ModelError) {
        target.clone_into(&mut error.target);
        self.list.push(error);
    }

    /// An attempt at a target failed.
    pub(crate) fn attempted(&mut self, target: &Target, error: ModelError) {
        if error.kind == ModelErrorKind::ContextTooLong {
            let so_far = self.too_long_for.flatten();
            self.too_long_for = Some(so_far.max(target.known.context_tokens));
        }
        self.list.push(error);
    }

    /// Why a target need not be asked after another said that the request is too long: its context is no larger.
    pub(crate) fn gap_after_too_long(&self, known: &KnownModel) -> Option<ModelError> {
        let too_small = self.too_long_for?;
        let is_larger = match (known.context_tokens, too_small) {
            (Some(context), Some(too_small)) => context > too_small,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let message = "the request was too long for another target, and its context is no larger";
        (!is_larger).then(|| ModelError::new(ModelErrorKind::ContextTooLong, message))
    }

    /// The kind of the last failure.
    pub(crate) fn last_kind(&self) -> Option<ModelErrorKind> {
        self.list.last().map(|error| error.kind)
    }

    /// The failure that ended the call by itself.
    pub(crate) fn last_or_none(&self) -> ModelError {
        let nothing = || ModelError::new(ModelErrorKind::NoTarget, "no target answered");
        self.list.last().cloned().unwrap_or_else(nothing)
    }

    /// The error that a caller gets.
    pub(crate) fn into_error(mut self) -> ModelError {
        let all = |kind: ModelErrorKind| self.list.iter().all(|error| error.kind == kind);
        let said = self.listed();
        if all(ModelErrorKind::RateLimited) {
            let mut error = ModelError::new(ModelErrorKind::RateLimited, said);
            error.status = Some(429);
            error.retry = self.soonest_retry().map_or(Retry::Now, Retry::After);
            return error;
        }
        if all(ModelErrorKind::Auth) {
            return ModelError::new(ModelErrorKind::Auth, format!("provider_auth: {said}"));
        }
        let is_too_long = self.too_long_for.is_some() || all(ModelErrorKind::ContextTooLong);
        if is_too_long && let Some(at) = self.list.iter().position(|error| error.kind == ModelErrorKind::ContextTooLong) {
            return self.list.swap_remove(at);
        }
        if all(ModelErrorKind::Unsupported) || all(ModelErrorKind::NotFound) {
            let kind = self.list.first().map_or(ModelErrorKind::NoTarget, |error| error.kind);
            return ModelError::new(kind, said);
        }
        ModelError::new(ModelErrorKind::NoTarget, format!("no target answered: {said}"))
    }

    /// Each failure as `target: cause`, equal neighbours counted together.
    fn listed(&self) -> String {
        let mut lines: Vec<(String, usize)> = Vec::new();
        for error in &self.list {
            let line = format!("{}: {error}", error.target);
            match lines.last_mut() {
                Some((last, count)) if *last == line => *count += 1,
                Some(_) | None => lines.push((line, 1)),
            }
        }
        let left_out = lines.len().saturating_sub(LISTED_FAILURES);
        lines.truncate(LISTED_FAILURES);
        let mut texts: Vec<String> = lines
            .into_iter()
            .map(|(line, count)| if count > 1 { format!("{line} ({count} times)") } else { line })
            .collect();
        if left_out > 0 {
            texts.push(format!("and {left_out} more"));
        }
        texts.join("; ")
    }

    fn soonest_retry(&self) -> Option<Duration> {
        let waits = self.list.iter().filter_map(|error| match error.retry {
            Retry::After(wait) => Some(wait),
            Retry::Now | Retry::Never => None,
        });
        waits.min()
    }
}

#[cfg(test)]
mod tests;
