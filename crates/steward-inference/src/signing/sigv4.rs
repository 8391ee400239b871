//! Amazon's signature, version 4: a request and a key make one header.
//!
//! Pure. The path is encoded once more than it is sent, as every service but S3 wants it.

use std::fmt::Write;

use ring::{digest, hmac};
use steward_domain::clock::Timestamp;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// An access key of Amazon.
#[derive(Clone, Copy)]
pub(crate) struct AwsKey<'a> {
    pub(crate) id: &'a str,
    secret: &'a str,
    pub(crate) session_token: Option<&'a str>,
}

impl<'a> AwsKey<'a> {
    /// Reads `ID:SECRET` or `ID:SECRET:TOKEN`; `None` when the text is of another form.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (id, rest) = text.split_once(':')?;
        let is_id = id.len() >= 8 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let (secret, token) = match rest.split_once(':') {
            Some((secret, token)) => (secret, Some(token).filter(|token| !token.is_empty())),
            None => (rest, None),
        };
        (is_id && !secret.is_empty()).then_some(AwsKey {
            id,
            secret,
            session_token: token,
        })
    }
}

/// For which service and where a signature is good.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// A request to be signed. The host is signed by itself.
pub(crate) struct ToSign<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: &'a reqwest::Url,
    /// Further headers under the signature, names in lower case.
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) body: &'a [u8],
}

/// What a signed request carries beside its session token.
pub(crate) struct Signed {
    /// For `x-amz-date`.
    pub(crate) date: String,
    /// For `authorization`.
    pub(crate) authorization: String,
}

/// Signs a request as of `now`.
pub(crate) fn sign(request: &ToSign<'_>, key: &AwsKey<'_>, scope: Scope<'_>, now: Timestamp) -> Signed {
    let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = &date[..8];
    let (canonical, signed_headers) = canonical_request(request, key, &date);
    let place = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign = format!("{ALGORITHM}\n{date}\n{place}\n{}", hex_digest(canonical.as_bytes()));
    let mut signing_key = mac(format!("AWS4{}", key.secret).as_bytes(), day.as_bytes());
    for step in [scope.region, scope.service, "aws4_request"] {
        signing_key = mac(signing_key.as_ref(), step.as_bytes());
    }
    let signature = hex(mac(signing_key.as_ref(), to_sign.as_bytes()).as_ref());
    let authorization = format!(
        "{ALGORITHM} Credential={}/{place}, SignedHeaders={signed_headers}, Signature={signature}",
        key.id
    );
    Signed { date, authorization }
}

fn canonical_request(request: &ToSign<'_>, key: &AwsKey<'_>, date: &str) -> (String, String) {
    let mut headers = request.headers.clone();
    headers.push(("host", host(request.url)));
    headers.push(("x-amz-date", date.to_owned()));
    if let Some(token) = key.session_token {
        headers.push(("x-amz-security-token", token.to_owned()));
    }
    headers.sort_by(|left, right| left.0.cmp(right.0));
    let mut lines = String::new();
    let mut names: Vec<&str> = Vec::new();
    for (name, value) in &headers {
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        if names.last() == Some(name) {
            // A header that comes twice is one line with both values.
            lines.truncate(lines.len() - 1);
            let _ = writeln!(lines, ",{value}");
        } else {
            let _ = writeln!(lines, "{name}:{value}");
            names.push(name);
        }
    }
    let names = names.join(";");
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{}",
        request.method,
        canonical_path(request.url),
        canonical_query(request.url),
        hex_digest(request.body)
    );
    (canonical, names)
}

/// The host as the client writes it into its header.
fn host(url: &reqwest::Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

fn canonical_path(url: &reqwest::Url) -> String {
    let encoded: Vec<String> = url.path().split('/').map(percent_encoded).collect();
    encoded.join("/")
}

fn canonical_query(url: &reqwest::Url) -> String {
    let mut pairs: Vec<(String, String)> = url
        .query_pairs()
        .map(|(name, value)| (percent_encoded(&name), percent_encoded(&value)))
        .collect();
    pairs.sort();
    let written: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    written.join("&")
}

/// Everything but letters, digits and `-._~` as `%XX`.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn mac(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}

fn hex_digest(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
