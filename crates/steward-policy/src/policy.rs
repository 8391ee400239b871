//! The order of rules: always refused, deny, ask, allow, default, table.

use std::collections::HashMap;

use serde_json::Value;
use steward_domain::decision::{Decision, Effect, Gate, GateRequest, Ruling};

use crate::config::{Config, RuleConfig};
use crate::rule::{BadRule, Rule};
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
}

impl Policy {
    /// Checks the configuration. `groups` tells each tool's group, `allowed_hosts` is `[sandbox] network.allow`.
    ///
    /// # Errors
    /// A sentence naming the list, position and field of a rule that makes no sense.
    pub fn new(config: &Config, groups: HashMap<String, String>, allowed_hosts: Vec<String>) -> Result<Self, BadRule> {
        Ok(Policy {
            default: config.default,
            deny: rules("deny", &config.deny)?,
            ask: rules("ask", &config.ask)?,
            allow: rules("allow", &config.allow)?,
            groups,
            allowed_hosts: allowed_hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect(),
        })
    }

    fn by_list(&self, request: &GateRequest, group: &str) -> Option<Ruling> {
        let lists = [
            (Decision::Deny, "deny", &self.deny),
            (Decision::Ask, "ask", &self.ask),
            (Decision::Allow, "allow", &self.allow),
        ];
        for (decision, name, list) in lists {
            if let Some(position) = list.iter().position(|rule| rule.matches(request, group)) {
                let reason = format!("rule {position} of [policy] {name} matches");
                return Some(Ruling {
                    decision,
                    reason,
                    rule: format!("policy.{name}[{position}]"),
                });
            }
        }
        None
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
        let group = self.groups.get(&request.tool).map_or("", String::as_str);
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
}

fn rules(list: &str, configs: &[RuleConfig]) -> Result<Vec<Rule>, BadRule> {
    configs
        .iter()
        .enumerate()
        .map(|(position, config)| {
            Rule::new(config).map_err(|bad| BadRule {
                message: format!("[policy] {list}, rule {position}: {}", bad.message),
            })
        })
        .collect()
}

/// Key stores, browser profiles and Steward's own files, in whatever spelling a path argument uses.
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
    let path = request.arguments.get("path").and_then(Value::as_str)?;
    let is_inside_workspace = !path.starts_with('/') && !path.starts_with('~') && !path.split('/').any(|part| part == "..");
    if is_inside_workspace {
        return None;
    }
    let names_refused = path.split('/').any(|part| REFUSED.contains(&part));
    names_refused.then(|| format!("{path} holds keys or Steward's own files; no rule opens it"))
}

#[cfg(test)]
mod tests;
