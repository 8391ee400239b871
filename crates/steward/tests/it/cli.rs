//! The command line as scripts see it: JSON, exit codes, errors, help.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use steward_testkit::script::{Reply, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::house::House;

async fn house() -> House {
    House::start(Script::by_step([Reply::text("hello")])).await
}

#[tokio::test]
async fn every_listing_prints_one_json_document() {
    let house = house().await;
    house.steward(&["chat", "-m", "hello", "--session", "s", "--json"]).await.json();
    house.steward(&["keys", "create", "a-key", "--json"]).await.json();
    let listings: [&[&str]; 14] = [
        &["agents", "list"],
        &["agents", "show", "main"],
        &["sessions", "list"],
        &["sessions", "show", "s"],
        &["turns", "list"],
        &["approvals", "list"],
        &["approvals", "list", "--all"],
        &["models", "list"],
        &["providers", "list"],
        &["routes", "list"],
        &["spend", "report"],
        &["config", "get"],
        &["config", "schema"],
        &["keys", "list"],
    ];
    for listing in listings {
        let value = house.steward(&[listing, &["--json"]].concat()).await.json();
        assert!(value.is_array() || value.is_object(), "{listing:?}: {value}");
        assert!(!value.is_null(), "{listing:?}");
        let plain = house.steward(listing).await;
        assert_eq!(plain.code, 0, "{listing:?}: {plain:?}");
    }
    let report = house.steward(&["doctor", "--json"]).await;
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    for check in report["checks"].as_array().unwrap() {
        assert!(["ok", "warn", "fail"].contains(&check["state"].as_str().unwrap()), "{check}");
    }
}

#[tokio::test]
async fn listings_have_the_fields_that_scripts_rely_on() {
    let house = house().await;
    let said = house.steward(&["chat", "-m", "hello", "--session", "mine", "--json"]).await.json();
    for field in ["turn_id", "session", "status", "text", "steps", "cost_usd"] {
        assert!(!said[field].is_null(), "{field}: {said}");
    }
    let turns = house.steward(&["turns", "list", "--json"]).await.json();
    assert_eq!(turns[0]["id"], said["turn_id"]);
    assert_eq!(turns[0]["session"], "mine");
    for field in ["agent", "status", "started_at"] {
        assert!(turns[0][field].is_string(), "{field}: {turns}");
    }
    let report = house
        .steward(&["spend", "report", "--by", "agent", "--since", "1h", "--json"])
        .await
        .json();
    for field in ["total_usd", "calls", "input_tokens", "output_tokens", "estimated_calls", "rows"] {
        assert!(!report[field].is_null(), "{field}: {report}");
    }
    assert_eq!(report["rows"][0]["name"], "main");
    for by in ["team", "user", "agent", "key", "model", "route", "session", "day"] {
        assert_eq!(
            house.steward(&["spend", "report", "--by", by, "--json"]).await.json()["calls"],
            1,
            "{by}"
        );
    }
}

#[tokio::test]
async fn a_provider_is_tested_without_spending() {
    let mut house = House::prepare(Script::default()).await;
    // Nobody listens at the discard port.
    house.add_configuration("[providers.dead]\ndialect = \"openai-chat\"\nbase_url = \"http://127.0.0.1:9\"\napi_key = \"x\"\n");
    house.serve().await;
    let test = house.steward(&["providers", "test", "scripted", "--json"]).await;
    assert_eq!(test.json()["ok"], true, "{test:?}");
    let test = house.steward(&["providers", "test", "dead", "--json"]).await;
    assert_eq!(test.code, 1, "{test:?}");
    assert!(test.stdout.contains("could not be reached"), "{test:?}");
    assert_eq!(house.model.count(), 0, "its models are listed, none is asked");
}

#[tokio::test]
async fn done_and_waiting_are_0() {
    let house = house().await;
    assert_eq!(house.steward(&["chat", "-m", "hello"]).await.code, 0);
    house
        .model
        .set_script(Script::by_step([Reply::call("shell", json!({"command": "rm -rf x"}))]));
    let ran = house.steward(&["chat", "-m", "remove x", "--json"]).await;
    assert_eq!(ran.json()["status"], "waiting");
}

#[tokio::test]
async fn a_failure_is_1_with_one_sentence() {
    let house = house().await;
    house.model.set_script(Script::by_step([Reply::error(500)]));
    let ran = house.steward(&["chat", "-m", "hello"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.starts_with("steward: "), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
}

#[tokio::test]
async fn wrong_usage_is_2() {
    let house = House::prepare(Script::default()).await;
    for wrong in [
        &["turns", "explode"] as &[&str],
        &["chat", "--what"],
        &["approvals", "approve", "x", "--scope", "mine"],
    ] {
        let ran = house.steward(wrong).await;
        assert_eq!(ran.code, 2, "{ran:?}");
        let ran = house.steward(&[wrong, &["--json"]].concat()).await;
        assert_eq!(ran.code, 2, "{ran:?}");
        assert_eq!(ran.error()["code"], "usage", "{ran:?}");
    }
    assert_eq!(house.steward(&["serve", "--bind", "nowhere"]).await.code, 2);
}

#[tokio::test]
async fn what_is_refused_is_3() {
    let house = House::prepare(Script::default()).await;
    let ran = house.steward(&["serve", "--bind", "0.0.0.0:0", "--json"]).await;
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(ran.error()["code"], "no_authentication");
    assert!(!ran.error()["hint"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn what_does_not_exist_is_4() {
    let house = house().await;
    for missing in [
        &["turns", "show", "trn_nothing"] as &[&str],
        &["turns", "stop", "trn_nothing"],
        &["turns", "undo", "trn_nothing"],
        &["agents", "show", "nobody"],
        &["sessions", "show", "nowhere"],
        &["approvals", "approve", "apr_nothing"],
        &["routes", "explain", "req_nothing"],
        &["routes", "replay", "req_nothing"],
        &["routes", "show", "nothing"],
        &["keys", "revoke", "key_nothing"],
        &["models", "remove", "nothing"],
        &["chat", "--agent", "nobody", "-m", "hello"],
        &["config", "get", "no.such.key"],
        &["providers", "test", "nobody"],
    ] {
        let ran = house.steward(&[missing, &["--json"]].concat()).await;
        assert_eq!(ran.code, 4, "{missing:?}: {ran:?}");
        assert_eq!(ran.error()["code"], "not_found", "{missing:?}: {ran:?}");
        assert!(!ran.error()["message"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_5() {
    let house = House::prepare(Script::default()).await;
    // Alive at the first look, gone afterwards.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = [0; 4_096];
        let read = socket.read(&mut asked).await.unwrap();
        assert!(read > 0);
        let alive = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        socket.write_all(alive.as_bytes()).await.unwrap();
    });
    fs::write(
        house.home().join("run.json"),
        json!({"url": url, "token": "x", "pid": 1}).to_string(),
    )
    .unwrap();
    let ran = house.steward(&["turns", "list", "--json"]).await;
    assert_eq!(ran.code, 5, "{ran:?}");
    assert_eq!(ran.error()["code"], "not_reached");
    assert!(ran.error()["hint"].as_str().unwrap().contains("steward serve"));
}

#[tokio::test]
async fn a_second_server_on_the_same_home_is_refused() {
    let house = house().await;
    let ran = house.serve_in_vain().await;
    assert_ne!(ran.code, 0, "{ran:?}");
    assert_eq!(house.steward(&["chat", "-m", "hello", "--json"]).await.json()["status"], "done");
}

#[tokio::test]
async fn a_home_is_closed_to_other_users() {
    use std::os::unix::fs::PermissionsExt;
    let house = House::prepare(Script::default()).await;
    let fresh = house.home().join("fresh");
    let ran = crate::running::run(&fresh, &["turns", "list", "--json"]).await;
    assert_eq!(ran.json(), json!([]));
    let mode = fs::metadata(&fresh).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn onboarding_without_questions_writes_a_configuration_that_works() {
    let house = House::prepare(Script::by_step([Reply::text("hello")])).await;
    let url = house.model.base_url.clone();
    house.configure("# a comment that stays\n");
    let arguments = ["onboard", "--non-interactive", "--provider", "mine", "--dialect", "openai-chat"];
    let more = ["--base-url", &url, "--model", "m", "--key-env", "PATH", "--json"];
    house.steward(&[&arguments as &[&str], &more].concat()).await.json();
    let text = house.configuration_text();
    assert!(text.contains("# a comment that stays\n") && text.contains("${PATH}"), "{text}");
    let said = house.steward(&["chat", "-m", "hello", "--json"]).await.json();
    assert_eq!(said["text"], "hello");
}

/// Every command's help, in one text that is kept beside this file. `UPDATE_HELP=1` writes it anew.
#[tokio::test]
async fn help_says_what_it_said() {
    let house = House::prepare(Script::default()).await;
    let mut whole = String::new();
    let mut waiting = vec![Vec::<String>::new()];
    while let Some(path) = waiting.pop() {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = house.steward(&arguments).await;
        assert_eq!(help.code, 0, "{help:?}");
        writeln!(whole, "$ steward {}\n{}", arguments.join(" "), help.stdout.trim_end()).unwrap();
        whole.push('\n');
        let below = commands_in(&help.stdout);
        waiting.extend(below.into_iter().rev().map(|name| [path.clone(), vec![name]].concat()));
    }
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/help.txt");
    if std::env::var_os("UPDATE_HELP").is_some() {
        fs::write(&kept, &whole).unwrap();
    }
    let before = fs::read_to_string(&kept).unwrap_or_default();
    assert!(
        before == whole,
        "help has changed; look at it, then run this test with UPDATE_HELP=1\n{whole}"
    );
}

fn commands_in(help: &str) -> Vec<String> {
    let lines = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}
