use std::collections::HashMap;

use serde_json::{Value, json};
use steward_domain::decision::{Decision, Effect, Gate, GateRequest, Marks};
use steward_domain::files::{Place, Touched, TouchedFile};
use steward_domain::principal::{Principal, Surface};

use super::Policy;
use crate::config::{Config, RuleConfig};

const HOME: &str = "/people/a";

fn policy(config: Config) -> Policy {
    let groups = [
        ("read", "files"),
        ("write", "files"),
        ("shell", "shell"),
        ("web_fetch", "web"),
        ("message", "sessions"),
    ];
    let groups: HashMap<String, String> = groups.iter().map(|(tool, group)| (tool.to_string(), group.to_string())).collect();
    Policy::new(
        &config,
        groups,
        vec!["api.github.com".into(), "*.example.com".into()],
        Some(HOME.into()),
    )
    .unwrap()
}

/// As a tool without links would say it.
fn touched(arguments: &Value) -> Touched {
    let Some(path) = arguments.get("path").and_then(Value::as_str) else {
        return Touched::nothing();
    };
    let place = if path.starts_with(['/', '~']) || path.starts_with("..") {
        Place::Outside { path: path.into() }
    } else {
        Place::Inside { path: path.into() }
    };
    Touched {
        files: vec![TouchedFile { places: vec![place] }],
        ..Touched::nothing()
    }
}

fn request(tool: &str, effect: Effect, arguments: Value) -> GateRequest {
    GateRequest {
        principal: Principal::Agent("main".into()),
        agent: "main".into(),
        session: "ses_1".into(),
        tool: tool.into(),
        touched: touched(&arguments),
        arguments,
        effect,
        marks: Marks::default(),
        surface: Surface::Turn,
    }
}

fn check(policy: &Policy, request: &GateRequest, wanted: Decision) {
    let ruling = policy.decide(request);
    assert_eq!(
        ruling.decision, wanted,
        "{} {} decided by {}",
        request.tool, request.arguments, ruling.rule
    );
}

#[test]
fn without_configuration_the_workspace_is_open_and_the_rest_asks() {
    let policy = policy(Config::default());
    check(&policy, &request("read", Effect::Reads, json!({"path": "a.md"})), Decision::Allow);
    check(&policy, &request("write", Effect::Writes, json!({"path": "a.md"})), Decision::Allow);
    check(
        &policy,
        &request("shell", Effect::Writes, json!({"command": "make"})),
        Decision::Allow,
    );
    check(
        &policy,
        &request("shell", Effect::Destroys, json!({"command": "rm -r x"})),
        Decision::Ask,
    );
    check(&policy, &request("message", Effect::Sends, json!({"to": "x"})), Decision::Ask);
    check(
        &policy,
        &request("web_fetch", Effect::Reads, json!({"url": "https://evil.test/"})),
        Decision::Ask,
    );
    check(
        &policy,
        &request("web_fetch", Effect::Reads, json!({"url": "https://api.github.com/x"})),
        Decision::Allow,
    );
    check(
        &policy,
        &request("web_fetch", Effect::Reads, json!({"url": "https://a.example.com/x"})),
        Decision::Allow,
    );
}

#[test]
fn a_listed_host_is_not_reached_by_a_deceiving_address() {
    let policy = policy(Config::default());
    for url in [
        "https://api.github.com@evil.test/",
        "https://evil.test/?api.github.com",
        "https://api.github.com.evil.test/",
        "https://xexample.com/",
    ] {
        check(&policy, &request("web_fetch", Effect::Reads, json!({"url": url})), Decision::Ask);
    }
}

#[test]
fn deny_comes_before_ask_before_allow_before_default() {
    let rule = |tool: &str| RuleConfig {
        tool: Some(tool.into()),
        ..RuleConfig::default()
    };
    let config = Config {
        default: Some(Decision::Allow),
        allow: vec![rule("shell"), rule("read"), rule("write")],
        ask: vec![rule("shell"), rule("read")],
        deny: vec![rule("shell")],
    };
    let policy = policy(config);
    check(&policy, &request("shell", Effect::Reads, json!({"command": "ls"})), Decision::Deny);
    check(&policy, &request("read", Effect::Reads, json!({"path": "a"})), Decision::Ask);
    check(&policy, &request("write", Effect::Writes, json!({"path": "a"})), Decision::Allow);
    check(&policy, &request("message", Effect::Sends, json!({})), Decision::Allow);
}

#[test]
fn a_command_rule_matches_by_leading_words_and_never_a_line_a_shell_would_interpret() {
    let allow = vec![RuleConfig {
        tool: Some("shell".into()),
        command: Some(vec!["git".into(), "status".into()]),
        ..RuleConfig::default()
    }];
    let policy = policy(Config {
        default: Some(Decision::Deny),
        allow,
        ..Config::default()
    });
    let shell = |command: Value| request("shell", Effect::Reads, json!({"command": command}));
    check(&policy, &shell(json!("git status -s")), Decision::Allow);
    check(&policy, &shell(json!(["git", "status"])), Decision::Allow);
    for line in [
        "git status; rm x",
        "git status && x",
        "git status `x`",
        "git status $(x)",
        "git status > x",
        "git push",
        "git",
        "git statusx",
    ] {
        check(&policy, &shell(json!(line)), Decision::Deny);
    }
}

#[test]
fn a_path_rule_does_not_follow_dots_out_of_the_workspace() {
    let allow = vec![RuleConfig {
        tool: Some("files".into()),
        path: Some("workspace/**".into()),
        ..RuleConfig::default()
    }];
    let policy = policy(Config {
        default: Some(Decision::Deny),
        allow,
        ..Config::default()
    });
    let read = |path: &str| request("read", Effect::Reads, json!({"path": path}));
    check(&policy, &read("notes/a.md"), Decision::Allow);
    check(&policy, &read("../a.md"), Decision::Deny);
    check(&policy, &read("/etc/passwd"), Decision::Deny);
}

#[test]
fn key_stores_and_stewards_home_are_refused_whatever_the_rules_say() {
    let policy = policy(Config {
        default: Some(Decision::Allow),
        ..Config::default()
    });
    for path in ["~/.ssh/id_rsa", "/people/a/.gnupg/x", "../../vault.age", "/x/.steward/steward.db"] {
        check(&policy, &request("read", Effect::Reads, json!({"path": path})), Decision::Deny);
    }
}

#[test]
fn outside_text_in_context_makes_calls_that_carry_data_out_ask() {
    let policy = policy(Config {
        default: Some(Decision::Allow),
        ..Config::default()
    });
    let mut marked = request("message", Effect::Sends, json!({"to": "x"}));
    marked.marks.has_outside = true;
    check(&policy, &marked, Decision::Ask);
    let mut reading = request("read", Effect::Reads, json!({"path": "a"}));
    reading.marks.has_outside = true;
    check(&policy, &reading, Decision::Allow);
}

#[test]
fn a_rule_that_names_nothing_is_an_error_with_its_place() {
    let config = Config {
        deny: vec![RuleConfig::default()],
        ..Config::default()
    };
    let bad = Policy::new(&config, HashMap::new(), Vec::new(), None).unwrap_err();
    assert!(bad.message.contains("deny, rule 0"), "{}", bad.message);
}
