//! The one list of routes, each with the right it needs. A route that is not here does not exist.

mod approvals;
mod health;
mod inference;
mod keys;
pub(crate) mod measures;
mod operations;
mod rollouts;
mod session;
mod sessions;
mod spend;
mod stream;
mod turns;

use std::sync::{Arc, LazyLock};

use axum::http::Method;
use axum::routing::{MethodRouter, delete, get, post};
use steward_dialects::Dialect;
use steward_inference::cache::CacheReport;
use steward_inference::chaos::{ChaosPlan, ChaosReport};
use steward_inference::explain::{Explanation, Replay};
use steward_inference::measure::alert::Alerts;
use steward_inference::measure::performance::Performance;
use steward_inference::rollout::RolloutEvent;
use steward_inference::rollout::status::RolloutStatus;
use steward_inference::route::{ProviderTest, RouteStanding};
use steward_runtime::access::Right;
use steward_runtime::approvals::ApprovalView;
use steward_runtime::follow::Fact;
use steward_runtime::keys::{CreatedKey, KeyLine};
use steward_runtime::sessions::SessionLine;
use steward_runtime::signin::WhoAmI;
use steward_runtime::spend::SpendReport;
use steward_runtime::turns::{TurnLine, TurnView};
use steward_runtime::undo::Undone;

use crate::openapi::{self, Answer, Describe, schema_of};
use crate::operations::CatalogueText;
use crate::server::Gateway;
use crate::shapes;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anyone who reaches the server.
    Open,
    /// Who has this right.
    Needs(Right),
}

/// One path with its calls.
pub(crate) struct Route {
    pub(crate) path: &'static str,
    pub(crate) calls: Vec<Call>,
    pub(crate) handler: MethodRouter<Arc<Gateway>>,
}

/// One method of a path: who may call it, what it is for, what it takes and gives.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) access: Access,
    pub(crate) summary: &'static str,
    pub(crate) query: Option<Describe>,
    pub(crate) body: Option<Describe>,
    pub(crate) answer: Answer,
}

const USE: Access = Access::Needs(Right::Use);
const SEE: Access = Access::Needs(Right::See);
const READ: Access = Access::Needs(Right::Read);
const OPERATE: Access = Access::Needs(Right::Operate);
const ADMINISTER: Access = Access::Needs(Right::Administer);

macro_rules! route {
    ($path:literal, $handler:expr, $($method:ident($access:expr, $summary:literal $(, $word:ident: $shape:ty)*)),+ $(,)?) => {
        Route {
            path: $path,
            calls: vec![$({
                #[allow(unused_mut, reason = "a call without shapes is complete as it is")]
                let mut call = Call { method: Method::$method, access: $access, summary: $summary, query: None, body: None, answer: Answer::Empty };
                $(route!(@shape call, $word, $shape);)*
                call
            }),+],
            handler: $handler,
        }
    };
    (@shape $call:ident, query, $shape:ty) => { $call.query = Some(schema_of::<$shape>) };
    (@shape $call:ident, body, $shape:ty) => { $call.body = Some(schema_of::<$shape>) };
    (@shape $call:ident, gives, $shape:ty) => { $call.answer = Answer::Json(schema_of::<$shape>) };
    (@shape $call:ident, events, $shape:ty) => { $call.answer = Answer::Events(schema_of::<$shape>) };
    (@shape $call:ident, foreign, $shape:ty) => { $call.answer = Answer::Foreign };
}

/// All routes.
pub(crate) fn all() -> Vec<Route> {
    vec![
        route!("/healthz", get(health::live), GET(Access::Open, "Is the process alive?", gives: shapes::Health)),
        route!("/readyz", get(health::ready), GET(Access::Open, "Can it take work?", gives: shapes::Health)),
        route!("/metrics", get(measures::metrics), GET(READ, "Measures as Prometheus text", foreign: ())),
        route!(
            "/api/performance",
            get(measures::performance),
            GET(READ, "Times, goodput and attainment of late", query: measures::Look, gives: Performance)
        ),
        route!("/api/alerts", get(measures::alerts), GET(READ, "Alerts of routes", gives: Alerts)),
        route!("/api/openapi.json", get(openapi::serve), GET(Access::Open, "This list", foreign: ())),
        route!(
            "/v1/chat/completions",
            post(inference::chat_completions),
            POST(USE, "A model call in the chat completions dialect", foreign: ())
        ),
        route!(
            "/v1/messages",
            post(inference::messages),
            POST(USE, "A model call in the Anthropic dialect", foreign: ())
        ),
        route!(
            "/v1/messages/count_tokens",
            post(inference::count::messages),
            POST(USE, "How many input tokens an Anthropic call has", foreign: ())
        ),
        route!(
            "/v1/embeddings",
            post(inference::embed::openai),
            POST(USE, "Vectors for texts in OpenAI's dialect", foreign: ())
        ),
        route!(
            "/v1/responses",
            post(inference::responses),
            POST(USE, "A model call in the responses dialect", foreign: ())
        ),
        route!(
            "/v1beta/models/{*call}",
            get(inference::models::gemini_show).post(inference::gemini::call),
            GET(SEE, "One name that can be asked", gives: shapes::GeminiModel),
            POST(USE, "A call in the Gemini dialect: MODEL:generateContent, :streamGenerateContent, :countTokens, :embedContent, :batchEmbedContents", foreign: ())
        ),
        route!(
            "/v1beta/models",
            get(inference::models::gemini_list),
            GET(SEE, "Routes, agents and models in Gemini's shape", gives: shapes::GeminiModelList)
        ),
        route!(
            "/v1/models",
            get(inference::models::list),
            GET(SEE, "Routes, agents and models that can be asked; in Gemini's shape for Google's clients", gives: shapes::ModelList)
        ),
        route!(
            "/v1/models/{*model}",
            get(inference::models::show).post(inference::gemini::call),
            GET(SEE, "One name that can be asked; in Gemini's shape for Google's clients", gives: shapes::ModelId),
            POST(USE, "A call in the Gemini dialect, as Google's clients make it in their version v1", foreign: ())
        ),
        route!(
            "/api/session",
            get(session::who).delete(session::sign_out),
            GET(Access::Open, "Who is signed in", gives: WhoAmI),
            DELETE(Access::Open, "Signs out")
        ),
        route!(
            "/api/session/link",
            post(session::by_link),
            POST(Access::Open, "Signs in with a one-time link", body: session::Link, gives: WhoAmI)
        ),
        route!(
            "/api/session/password",
            post(session::by_password),
            POST(Access::Open, "Signs in with a password", body: session::Password, gives: WhoAmI)
        ),
        route!(
            "/api/session/key",
            post(session::by_key),
            POST(Access::Open, "Signs in with a key", body: session::Key, gives: WhoAmI)
        ),
        route!(
            "/api/session/set-password",
            post(session::set_password),
            POST(USE, "Sets the caller's password", body: session::NewPassword)
        ),
        route!(
            "/api/signin-links",
            post(session::new_link),
            POST(ADMINISTER, "Makes a one-time sign-in link", gives: shapes::SigninLink)
        ),
        route!(
            "/api/today",
            get(turns::today),
            GET(SEE, "What needs a person, runs and was spent", gives: shapes::Today)
        ),
        route!("/api/agents", get(operations::agents), GET(SEE, "Agents", gives: shapes::List<shapes::AgentLine>)),
        route!("/api/sessions", get(sessions::list), GET(SEE, "Sessions, the latest first", query: sessions::Page, gives: shapes::List<SessionLine>)),
        route!(
            "/api/sessions/{id}/messages",
            get(sessions::messages).post(sessions::send),
            GET(SEE, "Messages of a session", query: sessions::Page, gives: shapes::Messages),
            POST(USE, "Sends a message", body: sessions::Draft, gives: shapes::Sent)
        ),
        route!("/api/inbox/{id}", get(sessions::inbound), GET(SEE, "Which turn took a message", gives: shapes::TakenBy)),
        route!("/api/turns", get(turns::list), GET(SEE, "Turns, newest first", query: turns::Filter, gives: shapes::Page<TurnLine>)),
        route!("/api/turns/{id}", get(turns::show), GET(SEE, "A whole turn", gives: TurnView)),
        route!(
            "/api/turns/{id}/context",
            get(turns::context),
            GET(SEE, "What each step had in context", gives: shapes::TurnContext)
        ),
        route!("/api/turns/{id}/stream", get(stream::turn), GET(SEE, "A turn as it happens", events: stream::TurnEvent)),
        route!("/api/turns/{id}/stop", post(turns::stop), POST(USE, "Stops a turn", gives: shapes::Stopped)),
        route!("/api/turns/{id}/undo", post(turns::undo), POST(USE, "Puts a turn's files back", gives: Undone)),
        route!("/api/approvals", get(approvals::list), GET(SEE, "Questions to a person", query: approvals::Filter, gives: Vec<ApprovalView>)),
        route!("/api/approvals/{id}", get(approvals::show), GET(SEE, "One question", gives: ApprovalView)),
        route!(
            "/api/approvals/{id}/decision",
            post(approvals::decide),
            POST(USE, "Answers a question", body: approvals::Body, gives: ApprovalView)
        ),
        route!(
            "/api/approvals/{id}/approve",
            post(approvals::approve),
            POST(USE, "Answers yes, once", gives: ApprovalView)
        ),
        route!("/api/approvals/{id}/deny", post(approvals::deny), POST(USE, "Answers no", gives: ApprovalView)),
        route!("/api/stream", get(stream::all), GET(SEE, "What happens, from a cursor", query: stream::Cursor, events: Fact)),
        route!("/api/models", get(operations::models), GET(SEE, "Models with prices", gives: shapes::List<shapes::ModelLine>)),
        route!(
            "/api/models/catalogue",
            get(operations::catalogue).post(operations::refresh_catalogue),
            GET(SEE, "Where prices are from", gives: shapes::List<shapes::CatalogueList>),
            POST(ADMINISTER, "Compares another list of prices, and takes it", body: CatalogueText, gives: shapes::RefreshedCatalogue)
        ),
        route!(
            "/api/models/{name}/pull",
            post(operations::pull),
            POST(ADMINISTER, "Fetches a local model", gives: shapes::PulledModel)
        ),
        route!(
            "/api/models/{name}",
            delete(operations::remove_model),
            DELETE(ADMINISTER, "Removes a local model", gives: shapes::RemovedModel)
        ),
        route!("/api/routes", get(operations::routes), GET(SEE, "Routes with their targets", gives: shapes::List<shapes::RouteLine>)),
        route!(
            "/api/routes/explain/{id}",
            get(operations::explain),
            GET(READ, "Why a call went where it went", gives: Explanation)
        ),
        route!(
            "/api/routes/replay/{id}",
            get(operations::replay),
            GET(READ, "The choice of a call computed again", gives: Replay)
        ),
        route!(
            "/api/routes/{name}",
            get(operations::standing),
            GET(READ, "How a route and its targets stand now", gives: RouteStanding)
        ),
        route!(
            "/api/chaos",
            get(operations::chaos).post(operations::start_chaos),
            GET(ADMINISTER, "What callers saw of the last drill", gives: ChaosReport),
            POST(ADMINISTER, "Makes a route's providers fail, for a bounded time", body: ChaosPlan, gives: ChaosReport)
        ),
        route!(
            "/api/chaos/{id}/watch",
            post(operations::watch_chaos),
            POST(ADMINISTER, "What callers have seen of a drill; unwatched it ends after 10 s", gives: ChaosReport)
        ),
        route!(
            "/api/chaos/{id}/stop",
            post(operations::stop_chaos),
            POST(ADMINISTER, "Ends a drill", gives: ChaosReport)
        ),
        route!(
            "/api/routes/{name}/rollout",
            get(rollouts::status),
            GET(READ, "How a route's rollout stands", gives: RolloutStatus)
        ),
        route!(
            "/api/routes/{name}/shift",
            post(rollouts::shift),
            POST(ADMINISTER, "Gives the candidate a share of the calls", body: rollouts::Shift, gives: RolloutEvent)
        ),
        route!(
            "/api/routes/{name}/promote",
            post(rollouts::promote),
            POST(ADMINISTER, "The candidate takes over at once", body: rollouts::Why, gives: RolloutEvent)
        ),
        route!(
            "/api/routes/{name}/hold",
            post(rollouts::hold),
            POST(ADMINISTER, "Keeps a rollout where it is", body: rollouts::Why, gives: RolloutEvent)
        ),
        route!(
            "/api/routes/{name}/resume",
            post(rollouts::resume),
            POST(ADMINISTER, "Lets a held rollout go on by itself", body: rollouts::Why, gives: RolloutEvent)
        ),
        route!(
            "/api/routes/{name}/rollback",
            post(rollouts::rollback),
            POST(ADMINISTER, "Takes the candidate out at once", body: rollouts::Why, gives: RolloutEvent)
        ),
        route!(
            "/api/routes/{name}/cache",
            get(rollouts::cache),
            GET(READ, "How a route's cache does", gives: CacheReport)
        ),
        route!(
            "/api/calls/{id}/feedback",
            post(rollouts::feedback),
            POST(OPERATE, "Says how good an answer was, for the rollout it was part of", body: rollouts::Feedback, gives: shapes::FeedbackTaken)
        ),
        route!("/api/providers", get(operations::providers), GET(READ, "Providers", gives: shapes::List<shapes::ProviderLine>)),
        route!(
            "/api/providers/{name}/test",
            post(operations::test_provider),
            POST(ADMINISTER, "One real call to a provider", gives: ProviderTest)
        ),
        route!("/api/spend", get(spend::report), GET(READ, "What was spent", query: spend::Filter, gives: SpendReport)),
        route!("/api/calls/{id}", get(spend::call), GET(READ, "Everything about one model call", gives: shapes::CallReport)),
        route!(
            "/api/keys",
            get(keys::list).post(keys::create),
            GET(ADMINISTER, "Keys", gives: Vec<KeyLine>),
            POST(ADMINISTER, "Makes a key", body: keys::Body, gives: CreatedKey)
        ),
        route!("/api/keys/{id}/revoke", post(keys::revoke), POST(ADMINISTER, "Ends a key")),
        route!(
            "/api/config",
            get(operations::config).patch(operations::set_config),
            GET(ADMINISTER, "The configuration", gives: shapes::ConfigFile),
            PATCH(ADMINISTER, "Sets one value", body: operations::ConfigValue, gives: shapes::ConfigEntry)
        ),
        route!(
            "/api/config/check",
            post(operations::check_config),
            POST(ADMINISTER, "Is this a valid configuration?", body: operations::ConfigText, gives: shapes::ConfigCheck)
        ),
        route!(
            "/api/config/schema",
            get(operations::config_schema),
            GET(SEE, "JSON Schema of the configuration", foreign: ())
        ),
        route!(
            "/api/doctor",
            get(operations::doctor).post(operations::fix_doctor),
            GET(READ, "Checks of the installation", gives: shapes::DoctorReport),
            POST(ADMINISTER, "Mends what can be mended safely", gives: shapes::DoctorReport)
        ),
        route!("/api/backups", post(operations::backup), POST(ADMINISTER, "Makes a backup", gives: shapes::BackupMade)),
    ]
}

static ACCESS: LazyLock<Vec<(&'static str, Method, Access)>> = LazyLock::new(|| {
    all()
        .into_iter()
        .flat_map(|route| {
            let calls = route.calls.into_iter();
            calls.map(move |call| (route.path, call.method, call.access))
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
    let is_gemini_call = path.starts_with("/v1/models/") && path.contains(':');
    if path.starts_with("/v1beta") || is_gemini_call {
        return Some(Dialect::Gemini);
    }
    path.starts_with("/v1/").then_some(Dialect::OpenAiChat)
}
