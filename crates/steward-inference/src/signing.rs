//! Turns a key into the headers of one request: as it is, as an Amazon signature, or as a Google access token.
//!
//! Never writes a key, a signature or a token into a message or a log.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use steward_domain::clock::Timestamp;
use steward_domain::model::{ModelError, ModelErrorKind};
use steward_domain::secret::Secret;

use crate::config::AuthStyle;

pub(crate) mod google;
pub(crate) mod sigv4;

use google::GoogleTokens;
use sigv4::{AwsKey, Scope, ToSign};

/// A request that lacks nothing but its authentication.
pub(crate) struct Unsigned<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: &'a reqwest::Url,
    pub(crate) body: &'a [u8],
    /// The region of Amazon for which it is signed.
    pub(crate) region: &'a str,
    pub(crate) now: Timestamp,
}

/// Adds what `style` makes of `key` to the headers.
///
/// # Errors
/// The key is of the wrong form, or Google gives no token for it.
pub(crate) async fn authenticate(
    (style, key): (AuthStyle, Option<&Secret<String>>),
    request: &Unsigned<'_>,
    (client, tokens): (&reqwest::Client, &GoogleTokens),
    headers: &mut HeaderMap,
) -> Result<(), ModelError> {
    let Some(key) = key else { return Ok(()) };
    let (name, text) = match style {
        AuthStyle::None => return Ok(()),
        AuthStyle::Bearer => (AUTHORIZATION, format!("Bearer {}", key.expose())),
        AuthStyle::XApiKey => (HeaderName::from_static("x-api-key"), key.expose().clone()),
        AuthStyle::XGoogApiKey => (HeaderName::from_static("x-goog-api-key"), key.expose().clone()),
        AuthStyle::ApiKey => (HeaderName::from_static("api-key"), key.expose().clone()),
        AuthStyle::AwsSigv4 => match AwsKey::parse(key.expose()) {
            Some(aws) => return sign(&aws, request, headers),
            None => (AUTHORIZATION, format!("Bearer {}", key.expose())),
        },
        AuthStyle::GoogleOauth => {
            let token = tokens.token(client, key, request.now).await?;
            (AUTHORIZATION, format!("Bearer {}", token.expose()))
        }
    };
    headers.insert(name, hidden(&text)?);
    Ok(())
}

fn sign(key: &AwsKey<'_>, request: &Unsigned<'_>, headers: &mut HeaderMap) -> Result<(), ModelError> {
    let content_type = headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| ("content-type", value.to_owned()));
    let to_sign = ToSign {
        method: request.method,
        url: request.url,
        headers: content_type.into_iter().collect(),
        body: request.body,
    };
    let scope = Scope {
        region: request.region,
        service: "bedrock",
    };
    let signed = sigv4::sign(&to_sign, key, scope, request.now);
    headers.insert(HeaderName::from_static("x-amz-date"), hidden(&signed.date)?);
    if let Some(token) = key.session_token {
        headers.insert(HeaderName::from_static("x-amz-security-token"), hidden(token)?);
    }
    headers.insert(AUTHORIZATION, hidden(&signed.authorization)?);
    Ok(())
}

fn hidden(text: &str) -> Result<HeaderValue, ModelError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        ModelError::new(
            ModelErrorKind::Auth,
            "the key holds characters that no header can carry, such as a line break",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}
