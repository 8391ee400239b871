//! From headers and cookies to an identity, before any body is read. Fails closed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, Method, header};
use steward_domain::secret::Secret;
use steward_runtime::access::Identity;
use steward_runtime::runtime::Runtime;
use subtle::ConstantTimeEq;

use crate::error::ApiError;

/// Failed tries an address may make in [`FAILURE_WINDOW`].
const FAILURES: u32 = 20;
const FAILURE_WINDOW: Duration = Duration::from_secs(60);
/// Addresses remembered at most; when full, the oldest half is forgotten.
const ADDRESSES: usize = 10_000;

/// How a caller showed who it is.
#[derive(Clone, Debug)]
pub(crate) struct Authenticated {
    pub(crate) identity: Identity,
    /// The console's cookie and the token that its changes carry.
    pub(crate) cookie: Option<(Secret<String>, String)>,
    /// The token of the command line on this machine.
    pub(crate) is_local: bool,
}

/// What authentication needs besides the request.
pub(crate) struct Guard {
    pub(crate) local_token: Secret<String>,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) cookie_name: String,
    failures: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

impl Guard {
    /// `hosts` are the names, with port, under which the server is reached.
    pub(crate) fn new(local_token: Secret<String>, hosts: Vec<String>, port: u16) -> Self {
        Guard {
            local_token,
            allowed_hosts: hosts,
            cookie_name: format!("steward_{port}"),
            failures: Mutex::new(HashMap::new()),
        }
    }

    /// Refuses names that are not ours (DNS rebinding) and pages of other origins, on every call, reads included.
    pub(crate) fn check_origin(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let forged = |what: &str| Err(ApiError::new(403, "forbidden", format!("the {what} header is not this server's")));
        let host = text(headers, header::HOST.as_str()).unwrap_or_default();
        if !self.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host)) {
            return forged("Host");
        }
        if let Some(origin) = text(headers, header::ORIGIN.as_str()) {
            let is_ours = origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"))
                .is_some_and(|rest| rest.eq_ignore_ascii_case(host));
            if !is_ours {
                return forged("Origin");
            }
        }
        Ok(())
    }

    /// Who calls; `None` without any credential.
    pub(crate) async fn authenticate(
        &self,
        runtime: &Runtime,
        method: &Method,
        headers: &HeaderMap,
        address: IpAddr,
    ) -> Result<Option<Authenticated>, ApiError> {
        if let Some(key) = key_of(headers) {
            return self.by_key(runtime, key, address).await.map(Some);
        }
        let Some(cookie) = self.cookie_of(headers) else { return Ok(None) };
        let Ok((identity, csrf)) = runtime.session_identity(&cookie).await else {
            return Ok(None);
        };
        check_same_site(method, headers, &csrf)?;
        Ok(Some(Authenticated {
            identity,
            cookie: Some((cookie, csrf)),
            is_local: false,
        }))
    }

    async fn by_key(&self, runtime: &Runtime, key: Secret<String>, address: IpAddr) -> Result<Authenticated, ApiError> {
        let is_local: bool = key.expose().as_bytes().ct_eq(self.local_token.expose().as_bytes()).into();
        if is_local {
            return Ok(Authenticated {
                identity: Identity::owner(),
                cookie: None,
                is_local: true,
            });
        }
        self.check_failures(address)?;
        match runtime.authenticate(&key).await {
            Ok(identity) => Ok(Authenticated {
                identity,
                cookie: None,
                is_local: false,
            }),
            Err(error) => {
                self.note_failure(address);
                Err(error.into())
            }
        }
    }

    /// Refuses an address that failed too often of late.
    pub(crate) fn check_failures(&self, address: IpAddr) -> Result<(), ApiError> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = failures
            .get(&address)
            .is_some_and(|(since, count)| since.elapsed() < FAILURE_WINDOW && *count >= FAILURES);
        if !is_over {
            return Ok(());
        }
        let mut refusal = ApiError::new(429, "rate_limited", "too many failed sign-ins from this address; wait a minute");
        refusal.retry_after_s = Some(FAILURE_WINDOW.as_secs());
        Err(refusal)
    }

    /// Counts a failed try.
    pub(crate) fn note_failure(&self, address: IpAddr) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ADDRESSES {
            failures.retain(|_, (since, _)| since.elapsed() < FAILURE_WINDOW / 2);
        }
        let entry = failures.entry(address).or_insert((Instant::now(), 0));
        if entry.0.elapsed() >= FAILURE_WINDOW {
            *entry = (Instant::now(), 0);
        }
        entry.1 += 1;
    }

    fn cookie_of(&self, headers: &HeaderMap) -> Option<Secret<String>> {
        let cookies = text(headers, header::COOKIE.as_str())?;
        cookies.split(';').find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.cookie_name && !value.is_empty()).then(|| Secret::new(value.to_owned()))
        })
    }
}

/// A browser that carries the cookie must show that our own page asks.
fn check_same_site(method: &Method, headers: &HeaderMap, csrf: &str) -> Result<(), ApiError> {
    let forbidden = |message: &str| Err(ApiError::new(403, "forbidden", message));
    let site = text(headers, "sec-fetch-site");
    if site.is_some_and(|site| site == "cross-site" || site == "same-site") {
        return forbidden("calls from other pages are refused");
    }
    if *method == Method::GET || *method == Method::HEAD {
        return Ok(());
    }
    let has_origin = headers.contains_key(header::ORIGIN);
    let is_same_origin = site == Some("same-origin");
    if !has_origin && !is_same_origin {
        return forbidden("a change needs an Origin header");
    }
    let sent = text(headers, "x-steward-csrf").unwrap_or_default();
    let is_ours: bool = sent.as_bytes().ct_eq(csrf.as_bytes()).into();
    if !is_ours {
        return forbidden("the x-steward-csrf header is missing or wrong; reload the page");
    }
    Ok(())
}

fn key_of(headers: &HeaderMap) -> Option<Secret<String>> {
    let bearer = text(headers, header::AUTHORIZATION.as_str())
        .and_then(|value| value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer ")));
    let key = bearer
        .or_else(|| text(headers, "x-api-key"))
        .or_else(|| text(headers, "x-goog-api-key"))?;
    Some(Secret::new(key.trim().to_owned()))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
