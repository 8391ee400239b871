//! `[policy]` of the configuration file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use steward_domain::decision::{Decision, Effect};

/// Rules that come before the shipped table.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "PolicyConfig")]
pub struct Config {
    /// What holds for effects that no rule speaks of; absent, the shipped table decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Decision>,
    /// Calls that may run.
    pub allow: Vec<RuleConfig>,
    /// Calls that a person decides.
    pub ask: Vec<RuleConfig>,
    /// Calls that must not run.
    pub deny: Vec<RuleConfig>,
}

/// One rule: it matches when every field it names matches.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RuleConfig {
    /// A tool's name, or a group such as `files`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What the call does: reads, writes, sends, spends, destroys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// A glob over the files of the call, links followed: `workspace/**` is the workspace, `~/` the owner's home, `/` any place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Leading words of the command that `shell` would run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// The host of the call's address; `*.example.com` takes any name below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Only for this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}
