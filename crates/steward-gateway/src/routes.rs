//! The one list of routes, each with the right it needs. A route that is not here does not exist.

mod approvals;
mod health;
mod inference;
mod keys;
mod operations;
mod session;
mod sessions;
mod spend;
mod stream;
mod turns;

use std::sync::{Arc, LazyLock};

use axum::http::Method;
use axum::routing::{MethodRouter, delete, get, post};
use steward_dialects::Dialect;
use steward_runtime::access::Right;

use crate::openapi;
use crate::server::Gateway;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anyone who reaches the server.
    Open,
    /// Who has this right.
    Needs(Right),
}

/// One path with its methods.
pub(crate) struct Route {
    pub(crate) path: &'static str,
    pub(crate) methods: &'static [(Method, Access, &'static str)],
    pub(crate) handler: MethodRouter<Arc<Gateway>>,
}

const USE: Access = Access::Needs(Right::Use);
const SEE: Access = Access::Needs(Right::See);
const READ: Access = Access::Needs(Right::Read);
const ADMINISTER: Access = Access::Needs(Right::Administer);

macro_rules! route {
    ($path:literal, $handler:expr, $(($method:ident, $access:expr, $summary:literal)),+) => {
        Route { path: $path, methods: &[$((Method::$method, $access, $summary)),+], handler: $handler }
    };
}

/// All routes.
pub(crate) fn all() -> Vec<Route> {
    vec![
        route!("/healthz", get(health::live), (GET, Access::Open, "Is the process alive?")),
        route!("/readyz", get(health::ready), (GET, Access::Open, "Can it take work?")),
        route!("/api/openapi.json", get(openapi::serve), (GET, Access::Open, "This list")),
        route!(
            "/v1/chat/completions",
            post(inference::chat_completions),
            (POST, USE, "A model call in the chat completions dialect")
        ),
        route!(
            "/v1/messages",
            post(inference::messages),
            (POST, USE, "A model call in the Anthropic dialect")
        ),
        route!(
            "/v1/models",
            get(inference::models),
            (GET, SEE, "Routes, agents and models that can be asked")
        ),
        route!(
            "/api/session",
            get(session::who).delete(session::sign_out),
            (GET, Access::Open, "Who is signed in"),
            (DELETE, Access::Open, "Signs out")
        ),
        route!(
            "/api/session/link",
            post(session::by_link),
            (POST, Access::Open, "Signs in with a one-time link")
        ),
        route!(
            "/api/session/password",
            post(session::by_password),
            (POST, Access::Open, "Signs in with a password")
        ),
        route!(
            "/api/session/key",
            post(session::by_key),
            (POST, Access::Open, "Signs in with a key")
        ),
        route!(
            "/api/session/set-password",
            post(session::set_password),
            (POST, USE, "Sets the caller's password")
        ),
        route!(
            "/api/signin-links",
            post(session::new_link),
            (POST, ADMINISTER, "Makes a one-time sign-in link")
        ),
        route!(
            "/api/today",
            get(turns::today),
            (GET, SEE, "What needs a person, runs and was spent")
        ),
        route!("/api/agents", get(operations::agents), (GET, SEE, "Agents")),
        route!("/api/sessions", get(sessions::list), (GET, SEE, "Sessions, the latest first")),
        route!(
            "/api/sessions/{id}/messages",
            get(sessions::messages).post(sessions::send),
            (GET, SEE, "Messages of a session"),
            (POST, USE, "Sends a message")
        ),
        route!("/api/inbox/{id}", get(sessions::inbound), (GET, SEE, "Which turn took a message")),
        route!("/api/turns", get(turns::list), (GET, SEE, "Turns, newest first")),
        route!("/api/turns/{id}", get(turns::show), (GET, SEE, "A whole turn")),
        route!(
            "/api/turns/{id}/context",
            get(turns::context),
            (GET, SEE, "What each step had in context")
        ),
        route!("/api/turns/{id}/stream", get(stream::turn), (GET, SEE, "A turn as it happens")),
        route!("/api/turns/{id}/stop", post(turns::stop), (POST, USE, "Stops a turn")),
        route!("/api/turns/{id}/undo", post(turns::undo), (POST, USE, "Puts a turn's files back")),
        route!("/api/approvals", get(approvals::list), (GET, SEE, "Questions to a person")),
        route!("/api/approvals/{id}", get(approvals::show), (GET, SEE, "One question")),
        route!(
            "/api/approvals/{id}/decision",
            post(approvals::decide),
            (POST, USE, "Answers a question")
        ),
        route!(
            "/api/approvals/{id}/approve",
            post(approvals::approve),
            (POST, USE, "Answers yes, once")
        ),
        route!("/api/approvals/{id}/deny", post(approvals::deny), (POST, USE, "Answers no")),
        route!("/api/stream", get(stream::all), (GET, SEE, "What happens, from a cursor")),
        route!("/api/models", get(operations::models), (GET, SEE, "Models with prices")),
        route!(
            "/api/models/{name}/pull",
            post(operations::pull),
            (POST, ADMINISTER, "Fetches a local model")
        ),
        route!(
            "/api/models/{name}",
            delete(operations::remove_model),
            (DELETE, ADMINISTER, "Removes a local model")
        ),
        route!("/api/routes", get(operations::routes), (GET, SEE, "Routes with their targets")),
        route!(
            "/api/routes/explain/{id}",
            get(operations::explain),
            (GET, READ, "Why a call went where it went")
        ),
        route!("/api/providers", get(operations::providers), (GET, READ, "Providers")),
        route!(
            "/api/providers/{name}/test",
            post(operations::test_provider),
            (POST, ADMINISTER, "One real call to a provider")
        ),
        route!("/api/spend", get(spend::report), (GET, READ, "What was spent")),
        route!("/api/calls/{id}", get(spend::call), (GET, READ, "Everything about one model call")),
        route!(
            "/api/keys",
            get(keys::list).post(keys::create),
            (GET, ADMINISTER, "Keys"),
            (POST, ADMINISTER, "Makes a key")
        ),
        route!("/api/keys/{id}/revoke", post(keys::revoke), (POST, ADMINISTER, "Ends a key")),
        route!(
            "/api/config",
            get(operations::config).patch(operations::set_config),
            (GET, ADMINISTER, "The configuration"),
            (PATCH, ADMINISTER, "Sets one value")
        ),
        route!(
            "/api/config/check",
            post(operations::check_config),
            (POST, ADMINISTER, "Is this a valid configuration?")
        ),
        route!(
            "/api/config/schema",
            get(operations::config_schema),
            (GET, SEE, "JSON Schema of the configuration")
        ),
        route!(
            "/api/doctor",
            get(operations::doctor).post(operations::fix_doctor),
            (GET, READ, "Checks of the installation"),
            (POST, ADMINISTER, "Mends what can be mended safely")
        ),
        route!("/api/backups", post(operations::backup), (POST, ADMINISTER, "Makes a backup")),
    ]
}

static ACCESS: LazyLock<Vec<(&'static str, Method, Access)>> = LazyLock::new(|| {
    all()
        .into_iter()
        .flat_map(|route| {
            route
                .methods
                .iter()
                .map(move |(method, access, _)| (route.path, method.clone(), *access))
        })
        .collect()
});

/// The right a matched path and method need; HEAD is GET.
pub(crate) fn access(path: &str, method: &Method) -> Option<Access> {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    ACCESS
        .iter()
        .find(|(known, known_method, _)| *known == path && known_method == method)
        .map(|(_, _, access)| *access)
}

/// The dialect in which errors of a path are written.
pub(crate) fn dialect_of(path: &str) -> Option<Dialect> {
    if path.starts_with("/v1/messages") {
        return Some(Dialect::Anthropic);
    }
    if path.starts_with("/v1beta") {
        return Some(Dialect::Gemini);
    }
    path.starts_with("/v1/").then_some(Dialect::OpenAiChat)
}
