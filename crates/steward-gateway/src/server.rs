//! The server: layers, outermost first, and the state that routes share.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use steward_dialects::Dialect;
use steward_domain::model::Model;
use steward_domain::secret::Secret;
use steward_runtime::access::{Right, may};
use steward_runtime::runtime::Runtime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::auth::Guard;
use crate::console;
use crate::error::ApiError;
use crate::operations::Operations;
use crate::routes::measures::METRICS;
use crate::routes::{self, Access};

/// Bytes of a body after authentication: a request with images.
const BODY_BYTES: usize = 32 * 1024 * 1024;

/// Bytes of the framework's own words on a refusal.
const REFUSAL_BYTES: usize = 8 * 1024;

/// What the gateway is made of.
pub struct Parts {
    /// The flows.
    pub runtime: Arc<Runtime>,
    /// All routes and models.
    pub model: Arc<dyn Model>,
    /// Operations on the program.
    pub operations: Arc<dyn Operations>,
    /// The token of the command line on this machine.
    pub local_token: Secret<String>,
    /// Names beside the address under which the server may be called, each with its port.
    pub host_names: Vec<String>,
}

/// Shared by all routes.
pub(crate) struct Gateway {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) model: Arc<dyn Model>,
    pub(crate) operations: Arc<dyn Operations>,
    pub(crate) guard: Guard,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
}

/// Serves until `shutdown`; then no new connection is taken and open streams end.
///
/// # Errors
/// When the listener fails.
pub async fn serve(parts: Parts, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    let mut hosts = parts.host_names;
    hosts.extend([
        format!("127.0.0.1:{}", address.port()),
        format!("localhost:{}", address.port()),
        format!("[::1]:{}", address.port()),
        address.to_string(),
    ]);
    let gateway = Arc::new(Gateway {
        runtime: parts.runtime,
        model: parts.model,
        operations: parts.operations,
        guard: Guard::new(parts.local_token, hosts, address.port()),
        address,
        shutdown: shutdown.clone(),
    });
    let app = app(gateway);
    let listener = listener.tap_io(|stream| {
        // A failure only costs latency.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

fn app(gateway: Arc<Gateway>) -> Router {
    let mut router = Router::new();
    for route in routes::all() {
        router = router.route(route.path, route.handler);
    }
    router
        .fallback(fallback)
        .layer(middleware::from_fn_with_state(Arc::clone(&gateway), authorise))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::map_response(add_security_headers))
        .with_state(gateway)
}

/// Who calls, and may they: decided before any body is read, for known and unknown paths alike.
async fn authorise(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    let dialect = routes::dialect_of(request.uri().path());
    match check(&gateway, &mut request).await {
        Ok(()) => readable(next.run(request).await, dialect).await,
        Err(error) => in_dialect(error, dialect).into_response(),
    }
}

/// What the framework refuses by itself is plain text; it gets the shape of every other error.
async fn readable(response: Response, dialect: Option<Dialect>) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_plain = status.is_client_error() && kind.is_some_and(|kind| kind.starts_with("text/plain"));
    if !is_plain {
        return response;
    }
    let text = to_bytes(response.into_body(), REFUSAL_BYTES).await.unwrap_or_default();
    let code = if status == StatusCode::PAYLOAD_TOO_LARGE {
        "too_large"
    } else {
        "invalid_request"
    };
    in_dialect(ApiError::new(status.as_u16(), code, String::from_utf8_lossy(&text)), dialect).into_response()
}

async fn check(gateway: &Gateway, request: &mut Request) -> Result<(), ApiError> {
    gateway.guard.check_origin(request.headers())?;
    if has_key_in_query(request.uri()) {
        return Err(ApiError::new(
            400,
            "invalid_request",
            "keys in an address end up in logs; send the key in a header",
        ));
    }
    let address = address_of(request);
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let mut access = access_of(path.as_deref(), request.method(), request.uri().path());
    if path.as_deref() == Some(METRICS) && gateway.operations.measured().is_open() {
        access = Access::Open;
    }
    let caller = gateway
        .guard
        .authenticate(&gateway.runtime, request.method(), request.headers(), address)
        .await?;
    match (access, caller) {
        (Access::Open, caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
        }
        (Access::Needs(right), Some(caller)) => {
            if !may(caller.identity.role, right) {
                return Err(ApiError::new(
                    403,
                    "policy_denied",
                    format!("the role {:?} may not do this", caller.identity.role).to_lowercase(),
                ));
            }
            request.extensions_mut().insert(caller);
        }
        (Access::Needs(_), None) => return Err(ApiError::unauthenticated()),
    }
    Ok(())
}

/// A path nobody serves is the console's if it is a page's address, else it needs a key like any other call.
fn access_of(matched: Option<&str>, method: &Method, path: &str) -> Access {
    if let Some(access) = matched.and_then(|matched| routes::access(matched, method)) {
        return access;
    }
    let is_api = path.starts_with("/api/") || path.starts_with("/v1") || path.starts_with("/mcp") || path.starts_with("/hooks");
    if is_api || !(*method == Method::GET || *method == Method::HEAD) {
        Access::Needs(Right::See)
    } else {
        Access::Open
    }
}

fn address_of(request: &Request) -> IpAddr {
    request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.ip())
}

fn has_key_in_query(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| {
        query
            .split('&')
            .any(|pair| pair.starts_with("key=") || pair.contains("sk-steward-"))
    })
}

fn in_dialect(error: ApiError, dialect: Option<Dialect>) -> ApiError {
    match dialect {
        Some(dialect) => error.in_dialect(dialect),
        None => error,
    }
}

async fn fallback(request: Request) -> Response {
    let path = request.uri().path();
    let is_api = path.starts_with("/api/") || path.starts_with("/v1") || path.starts_with("/mcp") || path.starts_with("/hooks");
    if is_api {
        let error = ApiError::new(404, "not_found", format!("there is nothing at {path}"));
        return in_dialect(error, routes::dialect_of(path)).into_response();
    }
    console::serve(path, request.headers())
}

async fn add_security_headers(mut response: Response) -> Response {
    for (name, value) in console::SECURITY_HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
