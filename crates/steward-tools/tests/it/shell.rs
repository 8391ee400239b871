//! Commands in the real sandbox.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::tool::{EvidenceAction, ToolOutcome};

use crate::stage::{Stage, context, stage, text_of, until};

#[tokio::test]
async fn output_and_exit_code_are_told() {
    let stage = stage().await;
    let output = stage.output("shell", json!({ "command": "echo out; echo err >&2; exit 3" })).await;
    assert_eq!(text_of(&output), "out\nerr\n[exit code 3]");
    assert_eq!(
        (output.evidence[0].action, output.evidence[0].detail.as_str()),
        (EvidenceAction::Ran, "exit code 3")
    );
    assert_eq!(stage.text("shell", json!({ "command": "true" })).await, "[exit code 0]");
    assert_eq!(
        stage.text("shell", json!({ "command": ["echo", "a b", "$HOME"] })).await,
        "a b $HOME\n[exit code 0]"
    );
    assert!(
        stage
            .reason("shell", json!({ "command": ["no-such-program"] }))
            .await
            .contains("not found")
    );
    assert!(stage.reason("shell", json!({ "command": " " })).await.contains("empty"));
}

#[tokio::test]
async fn it_works_in_the_workspace() {
    let stage = stage().await;
    stage.put("sub/file", "x");
    assert_eq!(
        stage.text("shell", json!({ "command": "ls", "cwd": "sub" })).await,
        "file\n[exit code 0]"
    );
    assert_eq!(
        stage.text("shell", json!({ "command": "ls", "cwd": "/workspace/sub" })).await,
        "file\n[exit code 0]"
    );
    stage.output("shell", json!({ "command": "echo new > made" })).await;
    assert_eq!(stage.get("made"), "new\n");
    assert!(
        stage
            .reason("shell", json!({ "command": "ls", "cwd": ".." }))
            .await
            .contains("outside")
    );
    // What the sandbox made, the file tools can change, and the other way round.
    stage.output("write", json!({ "path": "made", "content": "tool\n" })).await;
    assert_eq!(
        stage.text("shell", json!({ "command": "echo more >> made; cat made" })).await,
        "tool\nmore\n[exit code 0]"
    );
}

#[tokio::test]
async fn a_command_judged_to_read_cannot_write() {
    let stage = stage().await;
    stage.put("sub/file", "x");
    let tool = &stage.tools["shell"];
    let reads = json!({ "command": ["sort", "--", "sub/file"] });
    assert_eq!(tool.effect_of(&reads), Effect::Reads.max(tool.effect_of(&reads)));
    assert_eq!(tool.effect_of(&json!({ "command": "uniq sub/file made" })), Effect::Reads);
    // `uniq` writes to its second argument: the judgement was wrong, and harmless.
    let text = stage.text("shell", json!({ "command": "uniq sub/file made" })).await;
    assert!(text.contains("Read-only"), "{text}");
    assert!(!stage.host("made").exists());
    assert_eq!(tool.effect_of(&json!({ "command": "rm -rf sub" })), Effect::Destroys);
    assert_eq!(tool.effect_of(&json!({ "command": 7 })), Effect::Writes);
}

#[tokio::test]
async fn long_output_is_cut_in_the_middle() {
    let stage = stage().await;
    let text = stage
        .text("shell", json!({ "command": "echo begin; seq 1 500000; echo end" }))
        .await;
    assert!(text.starts_with("begin\n1\n") && text.ends_with("500000\nend\n[exit code 0]"));
    assert!(
        text.contains("bytes cut") && text.chars().count() < 16_200,
        "{} characters",
        text.chars().count()
    );
}

#[tokio::test]
async fn its_time_is_limited() {
    let stage = stage().await;
    let began = Instant::now();
    let reason = stage
        .reason("shell", json!({ "command": "echo before; sleep 60", "timeout_s": 1 }))
        .await;
    assert!(reason.contains("before") && reason.contains("its time was over"), "{reason}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

/// A command that writes its beat to a file for as long as it lives.
const BEATING: &str = "(while true; do date +%N > beat; sleep 0.02; done) & (while true; do date +%N > beat; sleep 0.02; done); wait";

async fn is_beating(stage: &Stage) -> bool {
    let last = stage.get("beat");
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(500) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if stage.get("beat") != last {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn dropping_the_call_kills_all_that_it_started() {
    let stage = stage().await;
    let mut call = stage.tools["shell"].call(json!({ "command": BEATING }), context(false));
    let beat = stage.host("beat");
    tokio::select! {
        outcome = &mut call => panic!("it ended with {outcome:?}"),
        () = until("a beat", || beat.exists()) => {}
    }
    drop(call);
    let began = Instant::now();
    while is_beating(&stage).await {
        assert!(began.elapsed() < Duration::from_secs(2), "it still lives");
    }
}

async fn start(stage: &Stage, arguments: Value) -> String {
    let text = stage.text("shell", arguments).await;
    text.split([' ', ';']).nth(1).expect("an id").to_owned()
}

/// Polls until the text of all polls together holds `wanted`.
async fn poll_until(stage: &Stage, id: &str, wanted: &str) -> String {
    let mut all = String::new();
    let began = Instant::now();
    while !all.contains(wanted) {
        assert!(began.elapsed() < Duration::from_secs(20), "{wanted:?} did not come: {all:?}");
        all.push_str(&stage.text("shell_poll", json!({ "id": id, "wait_s": 1 })).await);
    }
    all
}

#[tokio::test]
async fn a_background_process_is_read_written_and_killed() {
    let stage = stage().await;
    let id = start(
        &stage,
        json!({ "command": "echo ready; while read line; do echo got $line; done; echo bye", "background": true }),
    )
    .await;
    assert_eq!(id, "p1");
    poll_until(&stage, &id, "ready").await;
    stage.output("shell_write", json!({ "id": id, "text": "one\n" })).await;
    let text = poll_until(&stage, &id, "got one").await;
    assert!(!text.contains("ready"), "what was shown is not shown again: {text}");
    stage.output("shell_write", json!({ "id": id, "keys": "ctrl-d" })).await;
    poll_until(&stage, &id, "exit code 0").await;
    assert!(stage.reason("shell_write", json!({ "id": id, "text": "x" })).await.contains("over"));

    let id = start(&stage, json!({ "command": BEATING, "background": true })).await;
    let beat = stage.host("beat");
    until("a beat", || beat.exists()).await;
    assert!(stage.text("shell_kill", json!({ "id": id })).await.contains("killed"));
    assert!(!is_beating(&stage).await);
    assert!(
        stage.text("shell_kill", json!({ "id": id })).await.contains("killed"),
        "killing twice is no failure"
    );
    assert!(stage.reason("shell_poll", json!({ "id": "p9" })).await.contains("there are p1, p2"));
}

#[tokio::test]
async fn a_background_process_can_have_a_terminal() {
    let stage = stage().await;
    let id = start(
        &stage,
        json!({ "command": "test -t 0 && echo terminal; cat", "background": true, "pty": true }),
    )
    .await;
    poll_until(&stage, &id, "terminal").await;
    stage.output("shell_write", json!({ "id": id, "text": "hello" })).await;
    stage.output("shell_write", json!({ "id": id, "keys": "enter" })).await;
    poll_until(&stage, &id, "hello").await;
    stage.output("shell_write", json!({ "id": id, "keys": "ctrl-c" })).await;
    poll_until(&stage, &id, "exit code 130").await;
}

#[tokio::test]
async fn an_interrupt_reaches_a_process_without_terminal() {
    let stage = stage().await;
    let id = start(
        &stage,
        json!({ "command": "trap 'echo caught; exit 7' INT; echo ready; while true; do sleep 0.05; done", "background": true }),
    )
    .await;
    poll_until(&stage, &id, "ready").await;
    stage.output("shell_write", json!({ "id": id, "keys": "ctrl-c" })).await;
    let text = poll_until(&stage, &id, "exit code").await;
    assert!(text.contains("caught") && text.contains("exit code 7"), "{text}");
}

#[tokio::test]
async fn much_output_in_the_background_stays_bounded() {
    let stage = stage().await;
    let id = start(&stage, json!({ "command": "seq 1 500000; echo the end", "background": true })).await;
    until_over(&stage, &id).await;
    let text = poll_until(&stage, &id, "the end").await;
    assert!(
        text.contains("bytes cut") && text.chars().count() < 17_000,
        "{}",
        text.chars().count()
    );
}

async fn until_over(stage: &Stage, id: &str) {
    // Input is refused once it is over; nothing is polled away.
    let began = Instant::now();
    loop {
        let outcome = stage.call("shell_write", json!({ "id": id, "text": "x" })).await;
        if matches!(&outcome, ToolOutcome::Failed { reason } if reason.contains("is over")) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it did not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn background_processes_are_counted_and_belong_to_their_agent() {
    let stage = stage().await;
    for _ in 0..16 {
        start(&stage, json!({ "command": "sleep 60", "background": true })).await;
    }
    assert!(
        stage
            .reason("shell", json!({ "command": "sleep 60", "background": true }))
            .await
            .contains("16 background processes")
    );
    stage.output("shell_kill", json!({ "id": "p3" })).await;
    assert_eq!(start(&stage, json!({ "command": "sleep 60", "background": true })).await, "p17");
    let mut other = context(false);
    other.agent = "other".into();
    let outcome = stage.tools["shell_poll"].call(json!({ "id": "p1" }), other).await;
    assert!(
        matches!(&outcome, ToolOutcome::Failed { reason } if reason.contains("there is none")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn dropping_the_tools_kills_background_processes() {
    let mut stage = stage().await;
    start(&stage, json!({ "command": BEATING, "background": true })).await;
    let beat = stage.host("beat");
    until("a beat", || beat.exists()).await;
    stage.tools.clear();
    let began = Instant::now();
    while is_beating(&stage).await {
        assert!(began.elapsed() < Duration::from_secs(2), "it still lives");
    }
}

#[tokio::test]
async fn text_for_a_process_is_judged_like_a_command() {
    let stage = stage().await;
    let tool = &stage.tools["shell_write"];
    assert_eq!(tool.effect_of(&json!({ "id": "p1", "text": "ls\n" })), Effect::Writes);
    assert_eq!(tool.effect_of(&json!({ "id": "p1", "text": "rm -rf x\n" })), Effect::Destroys);
}
