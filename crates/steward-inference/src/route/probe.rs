//! Tests a provider without spending: asks for its list of models with each key.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use steward_domain::secret::Secret;

use super::{Router, no_provider};
use crate::tables::{Endpoint, Reach};
use crate::wait::{ms_since, within};

const TEST_LIMIT: Duration = Duration::from_secs(15);

/// What a test of a provider found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProviderTest {
    /// It answers and takes every key.
    pub ok: bool,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// A sentence for people.
    pub message: String,
}

impl Router {
    /// Asks a provider for its models with each of its keys. Nothing is spent.
    pub async fn test_provider(&self, name: &str) -> ProviderTest {
        let clock = &self.shared.clock;
        let begun_at = clock.now();
        let result = self.probe(name).await;
        let (ok, message) = match result {
            Ok(message) => (true, message),
            Err(message) => (false, message),
        };
        ProviderTest {
            ok,
            ms: ms_since(clock.now(), begun_at),
            message,
        }
    }

    async fn probe(&self, name: &str) -> Result<String, String> {
        let tables = self.tables.load_full();
        let provider = tables.providers.get(name).ok_or_else(|| no_provider(name).message)?;
        let endpoint = match &provider.reach {
            Reach::Http(endpoint) => endpoint,
            Reach::Local => return Ok("its models run in this process".into()),
            Reach::Unset(problem) => return Err(format!("it is not set up: {problem}")),
        };
        if !endpoint.auth.wants_key() {
            return self.ask(endpoint, None).await.map_err(|problem| format!("it {problem}"));
        }
        if provider.keys.is_empty() {
            return Err(format!("no key is configured: {}", provider.key_hint()));
        }
        let mut message = String::new();
        for (index, key) in provider.keys.iter().enumerate() {
            message = self
                .ask(endpoint, Some(key.value()))
                .await
                .map_err(|problem| format!("with key {} it {problem}", index + 1))?;
        }
        Ok(message)
    }

    async fn ask(&self, endpoint: &Endpoint, key: Option<&Secret<String>>) -> Result<String, String> {
        let clock = &*self.shared.clock;
        let answer = within(clock, TEST_LIMIT, self.shared.http.list_models(endpoint, key, clock.now())).await;
        let status = answer
            .ok_or_else(|| format!("did not answer within {TEST_LIMIT:?}"))?
            .map_err(|error| format!("could not be reached: {}", error.message))?;
        match status {
            200..300 => Ok("it answers and takes the key".into()),
            404 | 405 => Ok("it answers, but lists no models, so the key was not tested".into()),
            401..=403 => Err(format!("refuses the key (status {status})")),
            _ => Err(format!("answered with status {status}")),
        }
    }
}
