use serde_json::json;
use steward_domain::decision::{Decision, Effect, Ruling};
use steward_domain::journal::CallIntent;
use steward_domain::tool::{Repeat, ToolOutcome};

use super::unshown;

fn did(tool: &str, effect: Effect, outcome: ToolOutcome) -> (CallIntent, ToolOutcome) {
    let ruling = Ruling {
        decision: Decision::Allow,
        reason: String::new(),
        rule: String::new(),
    };
    (
        CallIntent {
            touched: None,
            id: "c".into(),
            tool: tool.into(),
            arguments: json!({}),
            effect,
            repeat: Repeat::Safe,
            ruling,
        },
        outcome,
    )
}

fn check(reply: &str, finished: &[(CallIntent, ToolOutcome)], claim: Option<&str>) {
    assert_eq!(unshown(reply, finished), claim, "{reply}");
}

#[test]
fn a_deed_without_a_call_is_found() {
    check("I have sent the mail to Ana.", &[], Some("sent"));
    check("Done. The report has been saved to out.md.", &[], Some("saved"));
    check(
        "I've created the file.",
        &[did("write", Effect::Writes, ToolOutcome::failed("disk"))],
        Some("created"),
    );
}

#[test]
fn a_deed_with_its_call_is_fine() {
    check(
        "I've created the file.",
        &[did("write", Effect::Writes, ToolOutcome::done("ok"))],
        None,
    );
    check("I have sent it.", &[did("message", Effect::Sends, ToolOutcome::done("ok"))], None);
}

#[test]
fn what_is_no_claim_of_now_is_left_alone() {
    for reply in [
        "I could not save it.",
        "I have already sent it earlier.",
        "The file was created by Ana.",
        "Shall I send it?",
        "I read the file: it lists what was deleted.",
    ] {
        check(reply, &[], None);
    }
}
