//! Access tokens of Google for service accounts: a signed claim is exchanged for a token that is good for about an hour.
//!
//! A token is kept until it is about to end; while one caller fetches the next, the others go on with the old one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Deserialize;
use serde_json::json;
use steward_domain::clock::Timestamp;
use steward_domain::model::{ModelError, ModelErrorKind, Retry};
use steward_domain::secret::Secret;

use crate::wait::after;

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Google refuses claims that are good for longer.
const CLAIM_LIFE: Duration = Duration::from_secs(3600);

/// A token is renewed this long before it ends …
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// … and not used at all in its last moments, for a request takes time to arrive.
const UNUSABLE_BEFORE: Duration = Duration::from_secs(15);

/// The exchange itself may take this long.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(20);

/// The most bytes of an answer with a token.
const ANSWER_LIMIT_BYTES: usize = 64 * 1024;

/// This many accounts keep their tokens.
const ACCOUNT_LIMIT: usize = 64;

/// What the JSON of a service account holds, as far as it matters here.
#[derive(Deserialize)]
struct ServiceAccount {
    #[serde(rename = "type")]
    kind: String,
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: Option<String>,
    token_uri: String,
}

/// The tokens of all accounts of the process.
#[derive(Debug, Default)]
pub(crate) struct GoogleTokens {
    accounts: Mutex<Vec<Arc<Account>>>,
}

#[derive(Debug)]
struct Account {
    key: Secret<String>,
    token: Mutex<Option<Token>>,
    /// Held by the one caller who fetches.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Token {
    value: Secret<String>,
    ends_at: Timestamp,
}

/// How good a kept token is.
enum Freshness {
    Good(Secret<String>),
    Ending(Secret<String>),
    Gone,
}

/// The project of a service account; `None` when the key is no such JSON.
pub(crate) fn project_of(key: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Project {
        project_id: Option<String>,
    }
    serde_json::from_str::<Project>(key).ok()?.project_id
}

impl GoogleTokens {
    /// An access token for the key. A key that is no JSON is a token itself.
    ///
    /// # Errors
    /// The JSON is no service account, or its exchange failed.
    pub(crate) async fn token(&self, client: &reqwest::Client, key: &Secret<String>, now: Timestamp) -> Result<Secret<String>, ModelError> {
        if !key.expose().trim_start().starts_with('{') {
            return Ok(key.clone());
        }
        let account = self.account(key);
        match account.freshness(now) {
            Freshness::Good(token) => return Ok(token),
            Freshness::Ending(token) => {
                let Ok(_turn) = account.fetching.try_lock() else {
                    return Ok(token);
                };
                // The old token is still good, so a failed renewal is tried again by the next caller.
                return Ok(account.fetch(client, now).await.unwrap_or(token));
            }
            Freshness::Gone => {}
        }
        let _turn = account.fetching.lock().await;
        match account.freshness(now) {
            Freshness::Good(token) | Freshness::Ending(token) => Ok(token),
            Freshness::Gone => account.fetch(client, now).await,
        }
    }

    fn account(&self, key: &Secret<String>) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = accounts.iter().find(|account| account.key == *key) {
            return Arc::clone(known);
        }
        if accounts.len() >= ACCOUNT_LIMIT {
            accounts.remove(0);
        }
        let account = Arc::new(Account {
            key: key.clone(),
            token: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        });
        accounts.push(Arc::clone(&account));
        account
    }
}

impl Account {
    fn freshness(&self, now: Timestamp) -> Freshness {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        match &*token {
            Some(token) if after(now, RENEW_BEFORE) < token.ends_at => Freshness::Good(token.value.clone()),
            Some(token) if after(now, UNUSABLE_BEFORE) < token.ends_at => Freshness::Ending(token.value.clone()),
            Some(_) | None => Freshness::Gone,
        }
    }

    async fn fetch(&self, client: &reqwest::Client, now: Timestamp) -> Result<Secret<String>, ModelError> {
        let account: ServiceAccount = serde_json::from_str(self.key.expose()).map_err(|_| bad("the key is no service account JSON"))?;
        let token = exchange(client, &account, now).await?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(token.value)
    }
}

async fn exchange(client: &reqwest::Client, account: &ServiceAccount, now: Timestamp) -> Result<Token, ModelError> {
    if account.kind != "service_account" {
        return Err(bad("the key is no service account: its type is another"));
    }
    let url = token_url(&account.token_uri)?;
    let assertion = claim(account, now)?;
    let form = format!("grant_type={}&assertion={assertion}", super::sigv4::percent_encoded(GRANT));
    let response = client
        .post(url)
        .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .timeout(EXCHANGE_LIMIT)
        .body(form)
        .send()
        .await
        .map_err(|_| ModelError::new(ModelErrorKind::Network, "Google's token address could not be reached"))?;
    let status = response.status();
    let body = limited(response).await?;
    if !status.is_success() {
        return Err(refused(status.as_u16(), &body));
    }
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
        #[serde(default = "an_hour")]
        expires_in: u64,
    }
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| ModelError::new(ModelErrorKind::Server, "Google's token address answered without an access token"))?;
    Ok(Token {
        value: Secret::new(answer.access_token),
        ends_at: after(now, Duration::from_secs(answer.expires_in)),
    })
}

fn an_hour() -> u64 {
    CLAIM_LIFE.as_secs()
}

/// Where tokens are fetched: Google over TLS, or this machine.
fn token_url(text: &str) -> Result<reqwest::Url, ModelError> {
    let url = reqwest::Url::parse(text).map_err(|_| bad("the token_uri of the service account is no address"))?;
    let is_own_machine = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if url.scheme() != "https" && !is_own_machine {
        return Err(bad("the token_uri of the service account must begin with https://"));
    }
    Ok(url)
}

/// The claim in three parts, signed with RS256.
fn claim(account: &ServiceAccount, now: Timestamp) -> Result<String, ModelError> {
    let issued = now.as_second();
    let life = i64::try_from(CLAIM_LIFE.as_secs()).expect("an hour has few seconds");
    let mut head = json!({ "alg": "RS256", "typ": "JWT" });
    if let Some(id) = &account.private_key_id {
        head["kid"] = json!(id);
    }
    let claims = json!({
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": issued,
        "exp": issued + life,
    });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&head), part(&claims));
    let pair = private_key(&account.private_key)?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| bad("the private key of the service account cannot sign"))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn private_key(pem: &str) -> Result<RsaKeyPair, ModelError> {
    let inner: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = STANDARD
        .decode(inner)
        .map_err(|_| bad("the private key of the service account is no PEM"))?;
    RsaKeyPair::from_pkcs8(&der).map_err(|_| bad("the private key of the service account is no RSA key in PKCS#8"))
}

async fn limited(mut response: reqwest::Response) -> Result<Vec<u8>, ModelError> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|_| ModelError::new(ModelErrorKind::Network, "the answer of Google's token address broke off"))?
    {
        if body.len() + chunk.len() > ANSWER_LIMIT_BYTES {
            return Err(ModelError::new(
                ModelErrorKind::Server,
                "the answer of Google's token address is too long",
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What OAuth says when it refuses: `error` and `error_description`.
fn refused(status: u16, body: &[u8]) -> ModelError {
    #[derive(Default, Deserialize)]
    struct Refusal {
        #[serde(default)]
        error: String,
        #[serde(default)]
        error_description: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let words: String = format!("{} {}", refusal.error, refusal.error_description)
        .trim()
        .chars()
        .take(300)
        .collect();
    let kind = match status {
        429 => ModelErrorKind::RateLimited,
        500.. => ModelErrorKind::Server,
        _ => ModelErrorKind::Auth,
    };
    let mut error = ModelError::new(
        kind,
        format!("Google gives no token for the service account: {words} (status {status})"),
    );
    error.status = Some(status);
    error
}

fn bad(problem: &str) -> ModelError {
    let mut error = ModelError::new(ModelErrorKind::Auth, problem);
    error.retry = Retry::Never;
    error
}

#[cfg(test)]
mod tests;
