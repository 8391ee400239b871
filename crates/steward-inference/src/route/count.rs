//! Counts tokens before a call: by the provider where its dialect can, else by estimate.

use std::sync::Arc;
use std::time::Duration;

use steward_domain::model::{Caller, ModelError, ModelRequest};
use steward_domain::usage::UsageSource;

use super::Router;
use crate::estimate::estimate_tokens;
use crate::keys::Pick;
use crate::tables::{Place, Target};
use crate::wait::within;

/// A provider that has not counted within this has its request estimated.
const COUNT_LIMIT: Duration = Duration::from_secs(10);

/// How many input tokens a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCount {
    /// The number.
    pub tokens: u64,
    /// Whether a provider has counted them.
    pub source: UsageSource,
}

impl Router {
    /// Counts the input tokens of a request for the first target of its route. Nothing is spent, and a provider that cannot or
    /// does not answer is no failure: then it is an estimate, and says so.
    ///
    /// # Errors
    /// There is no such route or model.
    pub async fn count_tokens(&self, mut request: ModelRequest, caller: &Caller) -> Result<TokenCount, ModelError> {
        let plan = self.tables.load().resolve(&request.model)?;
        let counted = match plan.targets.first() {
            Some(target) => self.ask_count(target, &mut request, caller).await,
            None => None,
        };
        Ok(match counted {
            Some(tokens) => TokenCount {
                tokens,
                source: UsageSource::Reported,
            },
            None => TokenCount {
                tokens: estimate_tokens(&request),
                source: UsageSource::Estimated,
            },
        })
    }

    async fn ask_count(&self, target: &Arc<Target>, request: &mut ModelRequest, caller: &Caller) -> Option<u64> {
        let Place::Http { provider, endpoint } = &target.place else {
            return None;
        };
        let now = self.shared.clock.now();
        let key = match provider.keys.pick(caller, now, |_| None) {
            Pick::Key(_, key) => Some(key),
            _ if endpoint.auth.wants_key() => return None,
            _ => None,
        };
        request.model.clone_from(&target.model);
        let asked = self
            .shared
            .http
            .count_tokens(endpoint, key.as_ref().map(|key| key.value()), request, now);
        match within(&*self.shared.clock, COUNT_LIMIT, asked).await? {
            Ok(tokens) => tokens,
            Err(error) => {
                tracing::debug!(target.name = %target.name, %error, "the provider did not count tokens");
                None
            }
        }
    }
}
