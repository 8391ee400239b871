//! The part of `[providers.NAME]` that says where in a cloud a provider is.
//!
//! Names only; the addresses are made in `platform.rs`.

use schemars::JsonSchema;
use serde::Deserialize;
use steward_domain::secret::Secret;

/// A cloud with addresses and signatures of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlatformName {
    /// Azure OpenAI: the resource is in the host, the deployment in the path or the body.
    Azure,
    /// Amazon Bedrock: the region is in the host, the model in the path, calls are signed.
    Bedrock,
    /// Google Vertex AI: project and location are in the path, calls carry an access token.
    Vertex,
}

/// Access keys of Amazon. Each may be `${NAME}` of the environment, `vault:NAME`, `file:PATH`, or the text itself.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsConfig {
    /// The id of the access key; begins with `AKIA` or `ASIA`.
    #[serde(deserialize_with = "super::secret")]
    #[schemars(with = "String")]
    pub access_key_id: Secret<String>,
    /// Its secret.
    #[serde(deserialize_with = "super::secret")]
    #[schemars(with = "String")]
    pub secret_access_key: Secret<String>,
    /// The token that temporary keys come with.
    #[serde(default, deserialize_with = "super::optional_secret")]
    #[schemars(with = "Option<String>")]
    pub session_token: Option<Secret<String>>,
}
