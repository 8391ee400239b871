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
    assert_eq!(unshown(reply, finished).as_deref(), claim, "{reply}");
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

#[test]
fn what_is_only_quoted_or_reported_is_no_claim() {
    for reply in [
        "The note ends with \"I have sent the mail to Ana.\" and a date.",
        "The note ends with “I've saved it. I have sent it.” and a date.",
        "Its last line is 'I've deleted the file'.",
        "Its last line is ‘I’ve deleted the file’.",
        "Sie schrieb „I have sent it”, er «I have saved it».",
        "The commit is called `I have added tests`.",
        "The file holds:\n\n```\nI have created the table.\nI have sent it.\n```\n\nThat is all.",
        "The file holds:\n\n~~~text\nI have created the table.\n```\nI have sent it.\n~~~\n",
        "Ana answered:\n\n> I have booked the room.\n> It has been paid.\n",
        "The log says that I have deleted the folder.",
        "The log reads: I have deleted the folder.",
    ] {
        check(reply, &[], None);
    }
}

#[test]
fn a_claim_beside_a_quotation_is_still_found() {
    check("I have saved \"report.md\" for you.", &[], Some("saved"));
    check("You asked \"send it\", so I have sent it.", &[], Some("sent"));
    check("The file held `x`, and I've deleted it.", &[], Some("deleted"));
    check("```\nx\n```\nI have created the table.", &[], Some("created"));
    check("> book it\n\nI have booked the room.", &[], Some("booked"));
    check("A 5\" disk is enough, and I have ordered it.", &[], Some("ordered"));
    check("It's the users' wish. I've sent it, and that's that.", &[], Some("sent"));
    check("An unclosed \"mark.\n\nI have sent it. A second \" here.", &[], Some("sent"));
    check("I said that I have sent it.", &[], Some("sent"));
}
