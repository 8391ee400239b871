use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;
use steward_domain::decision::{Decision, Effect, Gate, GateRequest, Marks};
use steward_domain::files::{FileLimit, FileRules, Leave, Place, Touched, TouchedFile};
use steward_domain::principal::{Principal, Surface};

use crate::config::{Config, RuleConfig};
use crate::policy::Policy;

const ROOT: &str = "/people/a/.steward/workspaces/main";

fn rule(path: &str) -> RuleConfig {
    RuleConfig {
        path: Some(path.into()),
        ..RuleConfig::default()
    }
}

fn policy(config: Config) -> Policy {
    let groups = [("read", "files"), ("apply_patch", "files"), ("list", "files"), ("shell", "shell")];
    let groups = groups.map(|(tool, group)| (tool.to_owned(), group.to_owned()));
    Policy::new(&config, HashMap::from(groups), Vec::new(), Some("/people/a".into())).unwrap()
}

/// A call that touches files, each by the places that lead to it, written as paths below the workspace.
fn request(tool: &str, effect: Effect, files: &[&[&str]]) -> GateRequest {
    let inside = |path: &&str| Place::Inside { path: (*path).to_owned() };
    let file = |places: &&[&str]| TouchedFile {
        places: places.iter().map(inside).collect(),
    };
    GateRequest {
        principal: Principal::Agent("main".into()),
        agent: "main".into(),
        session: "ses_1".into(),
        tool: tool.into(),
        arguments: json!({}),
        touched: Touched {
            roots: vec![ROOT.into()],
            files: files.iter().map(file).collect(),
            is_all: tool != "shell",
        },
        effect,
        marks: Marks::default(),
        surface: Surface::Turn,
    }
}

/// The files of a call, and what the one rule about `private` must make of it as deny, ask and allow.
const CASES: [(&[&[&str]], [Decision; 3]); 8] = {
    use Decision::{Allow, Ask, Deny};
    [
        (&[&["private/x"]], [Deny, Ask, Allow]),
        (&[&["private"]], [Deny, Ask, Allow]),
        (&[&["private/deep/x"]], [Deny, Ask, Allow]),
        (&[&["public/x"]], [Allow, Allow, Deny]),
        // A link is judged by itself and by where it leads.
        (&[&["link", "private/x"]], [Deny, Ask, Deny]),
        (&[&["private/link", "public/x"]], [Deny, Ask, Deny]),
        // A patch is judged by every file of it.
        (&[&["public/x"], &["private/x"]], [Deny, Ask, Deny]),
        (&[&["private/x"], &["private/y"]], [Deny, Ask, Allow]),
    ]
};

#[test]
fn every_kind_of_rule_looks_at_every_place_of_every_file() {
    for spelling in [
        "workspace/private/**",
        "private/**",
        "/workspace/private/**",
        "~/.steward/workspaces/main/private/**",
    ] {
        let closing = |list: fn(RuleConfig) -> Config| {
            policy(Config {
                default: Some(Decision::Allow),
                ..list(rule(spelling))
            })
        };
        let deny = closing(|rule| Config {
            deny: vec![rule],
            ..Config::default()
        });
        let ask = closing(|rule| Config {
            ask: vec![rule],
            ..Config::default()
        });
        let allow = policy(Config {
            default: Some(Decision::Deny),
            allow: vec![rule(spelling)],
            ..Config::default()
        });
        for (files, wanted) in CASES {
            for (tool, effect) in [("read", Effect::Reads), ("list", Effect::Reads), ("apply_patch", Effect::Writes)] {
                let request = request(tool, effect, files);
                for (policy, wanted) in [&deny, &ask, &allow].into_iter().zip(wanted) {
                    let ruling = policy.decide(&request);
                    assert_eq!(ruling.decision, wanted, "{spelling} on {tool} {files:?}: {}", ruling.reason);
                }
            }
        }
    }
}

#[test]
fn the_reason_names_the_file_that_the_rule_closes() {
    let policy = policy(Config {
        deny: vec![rule("private/**")],
        ..Config::default()
    });
    let ruling = policy.decide(&request("read", Effect::Reads, &[&["link", "private/x"]]));
    assert_eq!(ruling.reason, "rule 0 of [policy] deny matches workspace/private/x");
    assert_eq!(ruling.rule, "policy.deny[0]");
}

#[test]
fn a_command_is_judged_by_its_folder_and_allowed_by_a_path_only_where_the_rule_speaks_of_commands() {
    let denying = policy(Config {
        deny: vec![rule("private/**")],
        ..Config::default()
    });
    let decide = |policy: &Policy, cwd: &str| policy.decide(&request("shell", Effect::Writes, &[&[cwd]])).decision;
    assert_eq!(decide(&denying, "private/deep"), Decision::Deny);
    assert_eq!(decide(&denying, ""), Decision::Allow);
    let allowing = |tool: Option<&str>| {
        let rule = RuleConfig {
            tool: tool.map(str::to_owned),
            ..rule("workspace/**")
        };
        policy(Config {
            default: Some(Decision::Deny),
            allow: vec![rule],
            ..Config::default()
        })
    };
    assert_eq!(decide(&allowing(None), ""), Decision::Deny);
    assert_eq!(decide(&allowing(Some("shell")), ""), Decision::Allow);
}

fn limits(config: Config, request: &GateRequest, leave: Leave) -> Arc<dyn FileRules> {
    policy(config).file_rules(request, leave)
}

fn hidden(rule: &str) -> FileLimit {
    FileLimit::Hidden { rule: rule.into() }
}

#[test]
fn what_a_call_meets_is_closed_by_deny_and_by_ask_until_a_person_allowed_the_call() {
    let config = || Config {
        deny: vec![rule("private/**")],
        ask: vec![rule("contracts/**")],
        ..Config::default()
    };
    for request in [request("list", Effect::Reads, &[&[""]]), request("shell", Effect::Writes, &[&[""]])] {
        let unasked = limits(config(), &request, Leave::NotGiven);
        assert_eq!(unasked.limit("private"), hidden("policy.deny[0]"));
        assert_eq!(unasked.limit("contracts/x"), hidden("policy.ask[0]"));
        assert_eq!(unasked.limit("notes"), FileLimit::Free);
        assert!(unasked.may_limit_below("") && !unasked.may_limit_below("notes"));
        let allowed = limits(config(), &request, Leave::Given);
        assert_eq!(allowed.limit("private/x"), hidden("policy.deny[0]"));
        assert_eq!(allowed.limit("contracts/x"), FileLimit::Free);
    }
}

#[test]
fn a_command_may_look_at_what_it_may_not_change() {
    let with = |effect| RuleConfig {
        effect: Some(effect),
        ..rule("docs/**")
    };
    let limit = |rule: RuleConfig, request: &GateRequest| {
        let config = Config {
            deny: vec![rule],
            ..Config::default()
        };
        limits(config, request, Leave::NotGiven).limit("docs/x")
    };
    let command = request("shell", Effect::Writes, &[&[""]]);
    let read_only = FileLimit::ReadOnly {
        rule: "policy.deny[0]".into(),
    };
    assert_eq!(limit(with(Effect::Writes), &command), read_only);
    assert_eq!(limit(with(Effect::Destroys), &command), read_only);
    assert_eq!(limit(with(Effect::Reads), &command), hidden("policy.deny[0]"));
    let listing = request("list", Effect::Reads, &[&[""]]);
    assert_eq!(limit(with(Effect::Writes), &listing), FileLimit::Free);
    assert_eq!(limit(with(Effect::Reads), &listing), hidden("policy.deny[0]"));
}

#[test]
fn rules_for_other_tools_and_agents_close_nothing() {
    for other in [
        RuleConfig {
            tool: Some("read".into()),
            ..rule("private/**")
        },
        RuleConfig {
            agent: Some("other".into()),
            ..rule("private/**")
        },
    ] {
        let config = Config {
            deny: vec![other],
            ..Config::default()
        };
        let limits = limits(config, &request("list", Effect::Reads, &[&[""]]), Leave::NotGiven);
        assert_eq!(limits.limit("private/x"), FileLimit::Free);
        assert!(!limits.may_limit_below(""));
    }
}
