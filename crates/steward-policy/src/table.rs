//! The shipped table: what holds where the configuration says nothing.
//!
//! Inside the workspace and the sandbox an agent may read and write; whatever leaves them, costs money or cannot be
//! undone asks a person.

use steward_domain::decision::{Decision, Effect, GateRequest, Ruling};

use crate::rule::{host_of, is_host_below};

fn ruling(decision: Decision, rule: &str, reason: &str) -> Ruling {
    Ruling {
        decision,
        reason: reason.to_owned(),
        rule: format!("table.{rule}"),
    }
}

/// The table's word on a request. `allowed_hosts` is `[sandbox] network.allow`.
pub(crate) fn decide(request: &GateRequest, group: &str, allowed_hosts: &[String]) -> Ruling {
    if group == "web" {
        let is_listed = host_of(&request.arguments).is_some_and(|host| allowed_hosts.iter().any(|wanted| is_host_below(&host, wanted)));
        if is_listed {
            return ruling(Decision::Allow, "listed-host", "the host is on the list of [sandbox] network.allow");
        }
        return ruling(Decision::Ask, "network", "it reaches the network");
    }
    match request.effect {
        Effect::Reads => ruling(Decision::Allow, "reads", "reading in the workspace is allowed"),
        Effect::Writes if group == "shell" => ruling(Decision::Allow, "sandboxed", "the command runs in the sandbox without network"),
        Effect::Writes => ruling(Decision::Allow, "writes", "writing in the workspace is allowed, with a checkpoint"),
        Effect::Sends => ruling(Decision::Ask, "sends", "it reaches people or machines outside this session"),
        Effect::Spends => ruling(Decision::Ask, "spends", "it spends money"),
        Effect::Destroys => ruling(Decision::Ask, "destroys", "it cannot be undone"),
    }
}
