//! Shapes of the API that are not a noun of another crate: lists, readings of the program, answers of its operations.
//!
//! The description of the API is made from these types, so an answer that changes its shape changes the description too.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use steward_domain::journal::TurnStatus;
use steward_domain::money::Usd;
use steward_inference::catalog::difference::Difference;
use steward_inference::catalog::snapshot::Origin;
use steward_runtime::approvals::ApprovalView;
use steward_runtime::sessions::MessageView;
use steward_runtime::spend::CallRecord;
use steward_runtime::turns::{ContextView, TurnLine};

/// A list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
}

/// A list that goes on.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to ask for as `cursor` to get the next ones; absent when there are none.
    pub cursor: Option<String>,
}

/// Messages of a session.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Messages {
    /// The messages, oldest first.
    pub items: Vec<MessageView>,
    /// There are older ones.
    pub has_more: bool,
}

/// What became of a message that was sent.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Sent {
    /// The session.
    pub session_id: String,
    /// The message's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound_id: Option<String>,
    /// The turn that takes it; absent where the message waits for a turn of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// The client's id was seen before; nothing new was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_duplicate: Option<bool>,
    /// Set where the text was a chat command such as `/stop`, which is answered at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<bool>,
    /// The answer to a chat command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Which turn took a message.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TakenBy {
    /// The turn; absent while the message waits.
    pub turn_id: Option<String>,
}

/// What each step of a turn had in context.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TurnContext {
    /// The steps.
    pub steps: Vec<ContextView>,
}

/// Where a turn stands after it was stopped.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Stopped {
    /// Where it stands.
    pub status: TurnStatus,
}

/// What needs a person, runs and was spent.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Today {
    /// Questions that wait.
    pub approvals: Vec<ApprovalView>,
    /// Turns that run.
    pub running: Vec<TurnLine>,
    /// The latest turns.
    pub recent: Vec<TurnLine>,
    /// US dollars since midnight.
    pub spent_today_usd: Usd,
    /// The local model.
    #[schemars(with = "LocalModels")]
    pub local_model: Value,
}

/// A one-time sign-in link.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SigninLink {
    /// The link; it works once.
    pub url: String,
}

/// The process's own state.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Health {
    /// `ok` or `ready`.
    pub status: &'static str,
}

/// Everything about one model call.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CallReport {
    /// As the ledger has it.
    pub call: CallRecord,
    /// Why it went where it went; absent once that is forgotten.
    #[schemars(with = "Option<steward_inference::explain::Explanation>")]
    pub route: Option<Value>,
}

/// What can be asked as `model`, in the shape of OpenAI's list with Anthropic's fields beside it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ModelList {
    /// `list`.
    pub object: &'static str,
    /// Routes, agents and models.
    pub data: Vec<ModelId>,
    /// Always false: the list is whole.
    pub has_more: bool,
    /// The first name.
    pub first_id: Option<String>,
    /// The last name.
    pub last_id: Option<String>,
}

/// One name that can be asked as `model`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ModelId {
    /// The name.
    pub id: String,
    /// `model`.
    pub object: &'static str,
    /// `model`, for Anthropic's clients.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The name again, for Anthropic's clients.
    pub display_name: String,
    /// Always 0: nobody knows.
    pub created: u64,
    /// The same as a time.
    pub created_at: &'static str,
    /// `steward`.
    pub owned_by: &'static str,
}

/// What can be asked, in the shape of Gemini's list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct GeminiModelList {
    /// Routes, agents and models.
    pub models: Vec<GeminiModel>,
}

/// One name that can be asked in a Gemini path.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiModel {
    /// `models/` and the name.
    pub name: String,
    /// The name.
    pub display_name: String,
    /// Always `1`.
    pub version: &'static str,
    /// What can be asked of it.
    pub supported_generation_methods: [&'static str; 3],
}

/// An agent, as configured.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AgentLine {
    /// Its name.
    pub name: String,
    /// The route, or `provider/model`, that it thinks with.
    pub route: String,
    /// Its workspace folder.
    pub workspace: String,
    /// Groups or names of tools.
    pub tools: Vec<String>,
    /// Limits of one turn.
    pub limits: AgentLimits,
}

/// Limits of one turn of an agent.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AgentLimits {
    /// Model calls.
    pub steps: u32,
    /// US dollars for model calls.
    pub turn_usd: Usd,
    /// Seconds of wall time.
    pub turn_time_s: u64,
    /// Tokens in and out.
    pub tokens: u64,
}

/// A model with its price.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ModelLine {
    /// `provider/model`.
    pub model: String,
    /// The provider.
    pub provider: String,
    /// Tokens that a conversation may have.
    pub context_tokens: Option<u64>,
    /// `economy`, `mid` or `premium`.
    pub tier: Option<String>,
    /// US dollars a million input tokens; absent when nobody knows.
    pub input_usd_per_mtok: Option<Usd>,
    /// US dollars a million output tokens; absent when nobody knows.
    pub output_usd_per_mtok: Option<Usd>,
    /// It runs in this process.
    pub is_local: bool,
    /// `known`, `installed` or `can be pulled`.
    pub state: String,
}

/// A provider.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ProviderLine {
    /// Its name.
    pub name: String,
    /// Its wire format.
    pub dialect: Option<String>,
    /// Its address.
    pub base_url: Option<String>,
    /// A key is set.
    pub has_key: bool,
    /// It is in the shipped catalogue.
    pub known: bool,
    /// The environment variable in which its key is looked for.
    pub key_env: Option<String>,
}

/// A route.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RouteLine {
    /// Its name.
    pub name: String,
    /// How a target is picked.
    pub strategy: String,
    /// `provider/model`, first choice first.
    pub targets: Vec<String>,
}

/// What became of a word on an answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FeedbackTaken {
    /// The call.
    pub request: String,
    /// It was an answer of a rollout, which has learnt of it.
    pub taken: bool,
}

/// The state of the local models.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LocalModels {
    /// `installed` or `absent`.
    pub state: String,
    /// Those that are installed.
    pub installed: Vec<String>,
    /// The one that is used unless another is configured.
    pub default: String,
}

/// One list of prices, first the one that goes before the others.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CatalogueList {
    /// Where it is from.
    #[serde(flatten)]
    pub origin: Origin,
    /// How a row of the ledger names it.
    pub version: String,
    /// How many models it has.
    pub models: usize,
    /// `configuration`, `program`, or `operator` for a list that was put in place of the program's.
    pub from: String,
}

/// What another list of prices changes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RefreshedCatalogue {
    /// How a row of the ledger will name it.
    pub version: String,
    /// How many models it has.
    pub models: usize,
    /// What changes against the prices in force.
    pub difference: Difference,
    /// Has it taken effect?
    pub applied: bool,
}

/// A local model that was fetched.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PulledModel {
    /// `local/NAME`.
    pub model: String,
    /// Its size.
    pub bytes: u64,
    /// Its licence, where one is known.
    pub licence: Option<String>,
    /// `installed`.
    pub state: String,
}

/// A local model that was removed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RemovedModel {
    /// Its name.
    pub model: String,
    /// `removed`.
    pub state: String,
}

/// Is a text a valid configuration?
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ConfigCheck {
    /// It is.
    pub ok: bool,
    /// Where and what is wrong, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The configuration file.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ConfigFile {
    /// Its text.
    pub text: String,
    /// Its path.
    pub path: String,
    /// It is a valid configuration.
    pub valid: bool,
    /// Where and what is wrong, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One value of the configuration.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ConfigEntry {
    /// Dotted path, such as `agents.main.route`.
    pub key: String,
    /// The value.
    pub value: Value,
}

/// Checks of the installation.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DoctorReport {
    /// The checks.
    pub checks: Vec<DoctorCheck>,
}

/// One check of the installation.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DoctorCheck {
    /// What was looked at.
    pub name: String,
    /// How it stands.
    pub state: CheckState,
    /// What was found.
    pub detail: String,
    /// What to do about it; empty where nothing needs doing.
    pub fix: String,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// It works, with less.
    Warn,
    /// It does not work.
    Fail,
}

/// A backup that was made.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BackupMade {
    /// Its folder.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}
