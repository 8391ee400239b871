//! The `[tools]` table: which search provider, and how much a fetch may take.
//!
//! Only values; what they mean is in the tools that use them.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use steward_domain::secret::Secret;

/// The `[tools]` table of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ToolsConfig")]
pub struct Config {
    /// Who answers `web_search`. Absent: `web_search` says how to set it up.
    pub search: Option<Search>,
    /// What one `web_fetch` may take.
    pub fetch: Fetch,
}

/// Who answers `web_search`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "provider", rename_all = "lowercase", deny_unknown_fields)]
pub enum Search {
    /// A SearXNG server of your own, with its JSON format switched on.
    Searxng {
        /// Its address, such as `http://127.0.0.1:8888`. It may be private.
        base_url: String,
    },
    /// Brave Search.
    Brave {
        /// The key.
        #[serde(with = "secret_text")]
        #[schemars(with = "String")]
        api_key: Secret<String>,
        /// Another address than Brave's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_url: Option<String>,
    },
}

/// What one `web_fetch` may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fetch {
    /// Characters of a page that the model gets.
    pub characters: usize,
    /// Bytes that are downloaded at most.
    pub body_bytes: usize,
    /// Seconds for everything, redirects included.
    pub timeout_s: u64,
}

impl Default for Fetch {
    fn default() -> Self {
        Fetch {
            characters: 20_000,
            body_bytes: 5_000_000,
            timeout_s: 20,
        }
    }
}

impl Fetch {
    /// The time for everything.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }
}

/// Read as text, shown as `***`.
mod secret_text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(secret)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

#[cfg(test)]
mod tests;
