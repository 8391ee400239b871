//! What one rule matches.

use serde_json::Value;
use steward_domain::decision::{Effect, GateRequest};
use steward_domain::files::{Place, Touched};

use crate::config::RuleConfig;
use crate::path::{PathGlob, names_of};

/// A checked rule.
#[derive(Clone, Debug)]
pub struct Rule {
    kind: Kind,
    tool: Option<String>,
    effect: Option<Effect>,
    path: Option<PathGlob>,
    command: Option<Vec<String>>,
    host: Option<String>,
    agent: Option<String>,
}

/// What a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Forbids or asks.
    Closes,
    /// Allows.
    Opens,
}

/// The names of each place of each file that a call touches.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    files: Vec<Vec<Vec<String>>>,
}

impl Files {
    pub(crate) fn of(touched: &Touched, home: Option<&str>) -> Files {
        let names = |place: &Place| names_of(place, &touched.roots, home);
        let files = touched.files.iter().map(|file| file.places.iter().map(names).collect());
        Files { files: files.collect() }
    }
}

/// Why a rule of the configuration makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRule {
    /// A sentence that names the field.
    pub message: String,
}

impl Rule {
    /// Checks a rule of the configuration; `home` is the owner's.
    ///
    /// # Errors
    /// When a glob does not parse or the rule names nothing at all.
    pub(crate) fn new(config: &RuleConfig, kind: Kind, home: Option<&str>) -> Result<Self, BadRule> {
        let names_nothing =
            config.tool.is_none() && config.effect.is_none() && config.path.is_none() && config.command.is_none() && config.host.is_none();
        if names_nothing {
            return Err(BadRule {
                message: "a policy rule must name a tool, effect, path, command or host".into(),
            });
        }
        let path = config.path.as_deref().map(|path| PathGlob::new(path, home)).transpose();
        let path = path.map_err(|message| BadRule { message })?;
        Ok(Rule {
            kind,
            tool: config.tool.clone(),
            effect: config.effect,
            path,
            command: config.command.clone(),
            host: config.host.as_ref().map(|host| host.to_ascii_lowercase()),
            agent: config.agent.clone(),
        })
    }

    /// Does every named field match? `files` are the names of what the call touches.
    pub(crate) fn matches(&self, request: &GateRequest, group: &str, files: &Files) -> bool {
        let is_effect = self.effect.is_none_or(|effect| effect == request.effect);
        is_effect && self.matches_all_but_effect_and_path(request, group) && self.matches_path(request, files)
    }

    pub(crate) fn matches_all_but_effect_and_path(&self, request: &GateRequest, group: &str) -> bool {
        let is_tool = self.tool.as_ref().is_none_or(|tool| *tool == request.tool || tool == group);
        let is_agent = self.agent.as_ref().is_none_or(|agent| agent == request.agent.as_str());
        is_tool && is_agent && self.matches_command(request) && self.matches_host(request)
    }

    pub(crate) fn path(&self) -> Option<&PathGlob> {
        self.path.as_ref()
    }

    pub(crate) fn effect(&self) -> Option<Effect> {
        self.effect
    }

    /// The file of the call that the path names, for the reason.
    pub(crate) fn matched_file<'a>(&self, files: &'a Files) -> Option<&'a str> {
        let glob = self.path.as_ref()?;
        let places = files.files.iter().flatten();
        let mut covered = places.filter(|names| glob.covers(names));
        covered.next().and_then(|names| names.last()).map(String::as_str)
    }

    /// To forbid or ask, one place of one file is enough; to allow, all must match, and nothing else may be within reach.
    fn matches_path(&self, request: &GateRequest, files: &Files) -> bool {
        let Some(glob) = &self.path else { return true };
        let mut places = files.files.iter().flatten();
        match self.kind {
            Kind::Closes => places.any(|names| glob.covers(names)),
            Kind::Opens => {
                let speaks_of_commands = self.tool.is_some() || self.command.is_some();
                let is_enough = request.touched.is_all || speaks_of_commands;
                is_enough && !files.files.is_empty() && places.all(|names| glob.matches(names))
            }
        }
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
