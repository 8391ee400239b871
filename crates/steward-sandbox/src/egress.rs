//! The guarded way out: the only HTTP client that fetches what a model asks for.
//!
//! A name is resolved once, every address is checked, and only checked addresses are dialled. Redirects are followed by hand and checked
//! again. It never sends cookies, and no headers of the caller across origins; it never logs a query.

mod address;
mod allow;

use std::net::{IpAddr, SocketAddr};
use std::sync::Once;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode, Url};

use allow::AllowList;

/// A guarded HTTP client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Egress {
    allow: Option<AllowList>,
}

/// What one fetch may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// Bytes of the body after decompression.
    pub body_bytes: usize,
    /// Time for everything, redirects included.
    pub time: Duration,
    /// Redirects that are followed.
    pub redirects: usize,
}

impl Default for FetchLimits {
    fn default() -> Self {
        FetchLimits {
            body_bytes: 5_000_000,
            time: Duration::from_secs(20),
            redirects: 3,
        }
    }
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The address after redirects.
    pub final_url: Url,
    /// The status, also when it is an error.
    pub status: u16,
    /// The `content-type`, empty when there is none.
    pub content_type: String,
    /// The body, decompressed.
    pub body: Bytes,
    /// The body was longer than the limit and is cut off there.
    pub is_cut: bool,
}

/// A request with headers, for services from the configuration such as a search provider.
#[derive(Clone, Debug)]
pub struct ServiceRequest {
    /// `GET` or `POST`.
    pub method: Method,
    /// The whole address; must lie on the origin of `base`.
    pub url: Url,
    /// The configured base address of the service. Its own origin may be private; redirects away from it may not.
    pub base: Url,
    /// Headers, sent to the origin of `base` only.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body of a `POST`.
    pub body: Option<Bytes>,
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The address itself is not acceptable.
    #[error("{url:?} cannot be fetched: {reason}")]
    BadUrl {
        /// The address, without user, password, query and fragment.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// `[sandbox] network.allow` does not name the host.
    #[error("host {host:?} is not in [sandbox] network.allow")]
    NotAllowed {
        /// The host, with its port.
        host: String,
    },
    /// The host is, or resolves to, an address that is not public.
    #[error("host {host:?} is at {address}, which is not a public address")]
    PrivateAddress {
        /// The host.
        host: String,
        /// The address.
        address: IpAddr,
    },
    /// The name does not resolve.
    #[error("host {host:?} could not be resolved")]
    Unresolved {
        /// The host.
        host: String,
        /// What the resolver said.
        #[source]
        source: std::io::Error,
    },
    /// One redirect too many.
    #[error("more than {limit} redirects")]
    TooManyRedirects {
        /// How many are followed.
        limit: usize,
    },
    /// Time was over.
    #[error("no answer within {} s", .limit.as_secs_f32())]
    TimedOut {
        /// How long was waited.
        limit: Duration,
    },
    /// The connection or the protocol failed.
    #[error("the request to host {host:?} failed")]
    Failed {
        /// The host.
        host: String,
        /// What happened; addresses are taken out, they may hold secrets.
        #[source]
        source: reqwest::Error,
    },
}

/// Where one request goes: checked, with the addresses that may be dialled.
struct Destination {
    host: String,
    /// Absent when the host is an address itself.
    name: Option<String>,
    addresses: Vec<SocketAddr>,
}

impl Egress {
    /// A client that reaches only the hosts in `allow`; every public host when it is absent.
    ///
    /// An entry is `host`, `*.domain`, `host:port`, or an address with or without port. A private address is reached only when an entry
    /// names that address.
    pub fn new(allow: Option<&[String]>) -> Egress {
        install_crypto();
        Egress {
            allow: allow.map(AllowList::new),
        }
    }

    /// Fetches `url` by GET.
    ///
    /// # Errors
    /// When the address is refused, the host does not answer in time, or the protocol fails. A status such as 404 is no error.
    pub async fn get(&self, url: &str, limits: FetchLimits) -> Result<Fetched, EgressError> {
        let url = Url::parse(url).map_err(|_| EgressError::BadUrl {
            url: printable_text(url),
            reason: "it is not an address",
        })?;
        let request = Outgoing {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: None,
            exempt: None,
        };
        self.follow(request, limits).await
    }

    /// Sends a request to a service from the configuration. Its base address is exempt from the check for private addresses.
    ///
    /// # Errors
    /// As `get`; also when `url` is not on the origin of `base`.
    pub async fn request(&self, request: ServiceRequest, limits: FetchLimits) -> Result<Fetched, EgressError> {
        if request.url.origin() != request.base.origin() {
            return Err(EgressError::BadUrl {
                url: printable(&request.url),
                reason: "it is not at the configured address",
            });
        }
        let headers = request.headers.into_iter().collect();
        let outgoing = Outgoing {
            method: request.method,
            url: request.url,
            headers,
            body: request.body,
            exempt: Some(request.base),
        };
        self.follow(outgoing, limits).await
    }

    async fn follow(&self, request: Outgoing, limits: FetchLimits) -> Result<Fetched, EgressError> {
        let timed_out = EgressError::TimedOut { limit: limits.time };
        tokio::time::timeout(limits.time, self.follow_untimed(request, limits))
            .await
            .unwrap_or(Err(timed_out))
    }

    async fn follow_untimed(&self, mut request: Outgoing, limits: FetchLimits) -> Result<Fetched, EgressError> {
        let mut followed = 0;
        loop {
            let destination = self.check(&request.url, request.exempt.as_ref()).await.inspect_err(|error| {
                tracing::warn!(url = %printable(&request.url), %error, "a request was refused");
            })?;
            let response = send(&request, &destination).await?;
            tracing::info!(method = %request.method, url = %printable(&request.url), status = response.status().as_u16(), "fetched");
            let Some(next) = redirect_target(&request.url, &response) else {
                return read(request.url, response, limits, &destination.host).await;
            };
            if followed == limits.redirects {
                return Err(EgressError::TooManyRedirects { limit: limits.redirects });
            }
            followed += 1;
            request.move_to(next?, response.status());
        }
    }

    /// Checks one address and resolves its host.
    async fn check(&self, url: &Url, exempt: Option<&Url>) -> Result<Destination, EgressError> {
        let bad = |reason| EgressError::BadUrl {
            url: printable(url),
            reason,
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("only http and https are fetched"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it holds a user or password"));
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(bad("it names no host"));
        };
        if port == 0 {
            return Err(bad("port 0 is no port"));
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        if bare.is_empty() {
            return Err(bad("it names no host"));
        }
        let literal: Option<IpAddr> = bare.parse().ok();
        let resolved = match literal {
            Some(address) => vec![SocketAddr::new(address, port)],
            None => resolve(bare, port).await?,
        };
        let addresses = self.admit(
            (bare, port),
            literal.is_some(),
            resolved,
            exempt.is_some_and(|base| base.origin() == url.origin()),
        )?;
        // The client looks its override up by the name as it stands in the address.
        let name = literal.is_none().then(|| host.to_owned());
        Ok(Destination {
            host: bare.to_owned(),
            name,
            addresses,
        })
    }

    /// Which of the resolved addresses may be dialled.
    fn admit(
        &self,
        host: (&str, u16),
        is_literal: bool,
        resolved: Vec<SocketAddr>,
        is_exempt: bool,
    ) -> Result<Vec<SocketAddr>, EgressError> {
        let (host, port) = host;
        if is_exempt {
            return Ok(resolved);
        }
        if let Some(allow) = &self.allow {
            let named: Vec<_> = resolved.iter().copied().filter(|address| allow.names_address(*address)).collect();
            if !named.is_empty() {
                return Ok(named);
            }
            let is_allowed = !is_literal && allow.names_host(host, port);
            if !is_allowed {
                return Err(EgressError::NotAllowed {
                    host: format!("{host}:{port}"),
                });
            }
        }
        // One address that is not public is a reason to reach none of them.
        match resolved.iter().find(|address| !address::is_public(address.ip())) {
            Some(private) => Err(EgressError::PrivateAddress {
                host: host.to_owned(),
                address: private.ip(),
            }),
            None => Ok(resolved),
        }
    }
}

struct Outgoing {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Bytes>,
    /// The configured address whose origin may be private.
    exempt: Option<Url>,
}

impl Outgoing {
    /// Becomes the request that a redirect asks for.
    fn move_to(&mut self, next: Url, status: StatusCode) {
        if next.origin() != self.url.origin() {
            self.headers.clear();
            self.body = None;
        }
        let keeps_method = matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) && self.body.is_some();
        if !keeps_method {
            self.method = Method::GET;
            self.body = None;
        }
        self.url = next;
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, EgressError> {
    let failed = |source| EgressError::Unresolved {
        host: host.to_owned(),
        source,
    };
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.map_err(failed)?.collect();
    if found.is_empty() {
        return Err(failed(std::io::Error::from(std::io::ErrorKind::NotFound)));
    }
    Ok(found)
}

async fn send(request: &Outgoing, destination: &Destination) -> Result<reqwest::Response, EgressError> {
    let failed = |source: reqwest::Error| EgressError::Failed {
        host: destination.host.clone(),
        source: source.without_url(),
    };
    let mut builder = reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .pool_max_idle_per_host(0)
        .connect_timeout(Duration::from_secs(10))
        .user_agent(concat!("steward/", env!("CARGO_PKG_VERSION")));
    if let Some(name) = &destination.name {
        builder = builder.resolve_to_addrs(name, &destination.addresses);
    }
    let client = builder.build().map_err(failed)?;
    let mut outgoing = client
        .request(request.method.clone(), request.url.clone())
        .headers(request.headers.clone());
    if let Some(body) = &request.body {
        outgoing = outgoing.body(body.clone());
    }
    outgoing.send().await.map_err(failed)
}

/// Where the answer redirects to, if it does.
fn redirect_target(from: &Url, response: &reqwest::Response) -> Option<Result<Url, EgressError>> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| is_redirect)?;
    let target = location.to_str().ok().and_then(|text| from.join(text).ok());
    Some(target.ok_or_else(|| EgressError::BadUrl {
        url: printable(from),
        reason: "it redirects to something that is not an address",
    }))
}

async fn read(url: Url, response: reqwest::Response, limits: FetchLimits, host: &str) -> Result<Fetched, EgressError> {
    let status = response.status().as_u16();
    let content_type = response
        .headers()
        .get(reqwest::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
        .to_owned();
    let mut body = Vec::new();
    let mut is_cut = false;
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|source| EgressError::Failed {
            host: host.to_owned(),
            source: source.without_url(),
        })?;
        let room = limits.body_bytes - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            is_cut = true;
            break;
        }
    }
    Ok(Fetched {
        final_url: url,
        status,
        content_type,
        body: body.into(),
        is_cut,
    })
}

/// An address without what may be secret: user, password, query, fragment.
fn printable(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Fails for addresses without a host, which hold neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

fn printable_text(text: &str) -> String {
    text.split(['?', '#'])
        .next()
        .unwrap_or("")
        .rsplit('@')
        .next()
        .unwrap_or("")
        .chars()
        .take(200)
        .collect()
}

fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails when the program has chosen a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests;
