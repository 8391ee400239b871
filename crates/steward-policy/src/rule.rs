//! What one rule matches.

use globset::{GlobBuilder, GlobMatcher};
use serde_json::Value;
use steward_domain::decision::{Effect, GateRequest};

use crate::config::RuleConfig;

/// A checked rule.
#[derive(Clone, Debug)]
pub struct Rule {
    tool: Option<String>,
    effect: Option<Effect>,
    path: Option<GlobMatcher>,
    command: Option<Vec<String>>,
    host: Option<String>,
    agent: Option<String>,
}

/// Why a rule of the configuration makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRule {
    /// A sentence that names the field.
    pub message: String,
}

impl Rule {
    /// Checks a rule of the configuration.
    ///
    /// # Errors
    /// When a glob does not parse or the rule names nothing at all.
    pub fn new(config: &RuleConfig) -> Result<Self, BadRule> {
        let names_nothing =
            config.tool.is_none() && config.effect.is_none() && config.path.is_none() && config.command.is_none() && config.host.is_none();
        if names_nothing {
            return Err(BadRule {
                message: "a policy rule must name a tool, effect, path, command or host".into(),
            });
        }
        let path = match &config.path {
            None => None,
            Some(glob) => {
                let built = GlobBuilder::new(glob).literal_separator(true).build();
                Some(
                    built
                        .map_err(|error| BadRule {
                            message: format!("path {glob:?} of a policy rule is no glob: {error}"),
                        })?
                        .compile_matcher(),
                )
            }
        };
        Ok(Rule {
            tool: config.tool.clone(),
            effect: config.effect,
            path,
            command: config.command.clone(),
            host: config.host.as_ref().map(|host| host.to_ascii_lowercase()),
            agent: config.agent.clone(),
        })
    }

    /// Does every named field match?
    pub fn matches(&self, request: &GateRequest, group: &str) -> bool {
        let is_tool = self.tool.as_ref().is_none_or(|tool| *tool == request.tool || tool == group);
        let is_effect = self.effect.is_none_or(|effect| effect == request.effect);
        let is_agent = self.agent.as_ref().is_none_or(|agent| agent == request.agent.as_str());
        is_tool && is_effect && is_agent && self.matches_path(request) && self.matches_command(request) && self.matches_host(request)
    }

    fn matches_path(&self, request: &GateRequest) -> bool {
        let Some(glob) = &self.path else { return true };
        let Some(path) = request.arguments.get("path").and_then(Value::as_str) else {
            return false;
        };
        let is_outside_form = path.starts_with('/') || path.starts_with('~');
        if is_outside_form {
            return glob.is_match(path);
        }
        glob.is_match(normal_workspace_path(path))
    }

    fn matches_command(&self, request: &GateRequest) -> bool {
        let Some(leading) = &self.command else { return true };
        let words = command_words(&request.arguments);
        words.is_some_and(|words| words.len() >= leading.len() && words.iter().zip(leading).all(|(word, wanted)| word == wanted))
    }

    fn matches_host(&self, request: &GateRequest) -> bool {
        let Some(wanted) = &self.host else { return true };
        host_of(&request.arguments).is_some_and(|host| is_host_below(&host, wanted))
    }
}

/// Is `host` the wanted one, or below `*.wanted`?
pub fn is_host_below(host: &str, wanted: &str) -> bool {
    match wanted.strip_prefix("*.") {
        Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')),
        None => host == wanted,
    }
}

/// The host of the `url` argument in lower case, with its port where one is written.
pub fn host_of(arguments: &Value) -> Option<String> {
    let url = arguments.get("url")?.as_str()?;
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    // Someone who writes user@host means to deceive; such an address matches no allow rule.
    if authority.contains('@') || authority.is_empty() {
        return None;
    }
    Some(authority.to_ascii_lowercase())
}

/// The words of a `shell` command, where it is simple enough to be sure of them.
///
/// A string with anything that a shell would interpret has no known words: no command rule matches it.
pub fn command_words(arguments: &Value) -> Option<Vec<String>> {
    match arguments.get("command")? {
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        Value::String(line) => {
            let is_plain = line.chars().all(|c| c.is_alphanumeric() || " -_./=:,+@%".contains(c));
            is_plain.then(|| line.split_whitespace().map(str::to_owned).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

fn normal_workspace_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                // Climbing out of the workspace matches no `workspace/…` rule.
                if parts.pop().is_none() {
                    return "..".into();
                }
            }
            name => parts.push(name),
        }
    }
    if parts.is_empty() {
        "workspace/.".into()
    } else {
        format!("workspace/{}", parts.join("/"))
    }
}
