//! The order of rules: always refused, deny, ask, allow, default, table.

use std::collections::HashMap;
use std::sync::Arc;

use steward_domain::decision::{Decision, Effect, Gate, GateRequest, Ruling};
use steward_domain::files::{FileRules, Leave, Place};

use crate::config::{Config, RuleConfig};
use crate::file_rules::CallRules;
use crate::rule::{BadRule, Files, Kind, Rule};
use crate::table;

/// All that decides about calls, checked once when the configuration is read.
#[derive(Clone, Debug)]
pub struct Policy {
    default: Option<Decision>,
    deny: Vec<Rule>,
    ask: Vec<Rule>,
    allow: Vec<Rule>,
    groups: HashMap<String, String>,
    allowed_hosts: Vec<String>,
    owner_home: Option<String>,
}

impl Policy {
    /// Checks the configuration. `groups` tells each tool's group, `allowed_hosts` is `[sandbox] network.allow`,
    /// `owner_home` what `~` means in a path.
    ///
    /// # Errors
    /// A sentence naming the list, position and field of a rule that makes no sense.
    pub fn new(
        config: &Config,
        groups: HashMap<String, String>,
        allowed_hosts: Vec<String>,
        owner_home: Option<String>,
    ) -> Result<Self, BadRule> {
        let home = owner_home.map(|home| home.trim_end_matches('/').to_owned());
        let rules = |list, configs, kind| rules((list, configs), kind, home.as_deref());
        Ok(Policy {
            default: config.default,
            deny: rules("deny", &config.deny, Kind::Closes)?,
            ask: rules("ask", &config.ask, Kind::Closes)?,
            allow: rules("allow", &config.allow, Kind::Opens)?,
            groups,
            allowed_hosts: allowed_hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect(),
            owner_home: home,
        })
    }

    fn by_list(&self, request: &GateRequest, group: &str) -> Option<Ruling> {
        let lists = [
            (Decision::Deny, "deny", &self.deny),
            (Decision::Ask, "ask", &self.ask),
            (Decision::Allow, "allow", &self.allow),
        ];
        let files = Files::of(&request.touched, self.owner_home.as_deref());
        for (decision, name, list) in lists {
            if let Some(position) = list.iter().position(|rule| rule.matches(request, group, &files)) {
                let file = list[position]
                    .matched_file(&files)
                    .map(|file| format!(" {file}"))
                    .unwrap_or_default();
                let reason = format!("rule {position} of [policy] {name} matches{file}");
                return Some(Ruling {
                    decision,
                    reason,
                    rule: format!("policy.{name}[{position}]"),
                });
            }
        }
        None
    }

    fn group(&self, request: &GateRequest) -> &str {
        self.groups.get(&request.tool).map_or("", String::as_str)
    }
}

impl Gate for Policy {
    fn decide(&self, request: &GateRequest) -> Ruling {
        if let Some(reason) = always_refused(request) {
            return Ruling {
                decision: Decision::Deny,
                reason,
                rule: "always-refused".into(),
            };
        }
        let group = self.group(request);
        if let Some(ruling) = self.by_list(request, group) {
            return ruling;
        }
        let may_carry_out = group == "web" || matches!(request.effect, Effect::Sends | Effect::Spends | Effect::Destroys);
        if request.marks.has_outside && may_carry_out {
            let reason = "text from outside is in context and this call could carry data out or destroy".to_owned();
            return Ruling {
                decision: Decision::Ask,
                reason,
                rule: "marks.outside".into(),
            };
        }
        if let Some(decision) = self.default {
            return Ruling {
                decision,
                reason: "[policy] default says so".into(),
                rule: "policy.default".into(),
            };
        }
        table::decide(request, group, &self.allowed_hosts)
    }

    fn file_rules(&self, request: &GateRequest, leave: Leave) -> Arc<dyn FileRules> {
        Arc::new(CallRules::new(request, self.group(request), (&self.deny, &self.ask), leave))
    }
}

fn rules(what: (&str, &[RuleConfig]), kind: Kind, home: Option<&str>) -> Result<Vec<Rule>, BadRule> {
    let (list, configs) = what;
    configs
        .iter()
        .enumerate()
        .map(|(position, config)| {
            Rule::new(config, kind, home).map_err(|bad| BadRule {
                message: format!("[policy] {list}, rule {position}: {}", bad.message),
            })
        })
        .collect()
}

/// Key stores, browser profiles and Steward's own files, anywhere outside the workspace.
fn always_refused(request: &GateRequest) -> Option<String> {
    const REFUSED: [&str; 9] = [
        ".ssh",
        ".gnupg",
        ".aws",
        ".steward",
        "steward.toml",
        "steward.db",
        "vault.age",
        ".mozilla",
        ".kube",
    ];
    let places = request.touched.files.iter().flat_map(|file| &file.places);
    for place in places {
        let Place::Outside { path } = place else { continue };
        if path.split('/').any(|part| REFUSED.contains(&part)) {
            return Some(format!("{path} holds keys or Steward's own files; no rule opens it"));
        }
    }
    None
}

#[cfg(test)]
mod tests;
