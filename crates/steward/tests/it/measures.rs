//! What is measured can be read as text, as JSON and at the terminal, goes to a collector, and alerts reach a webhook once.

use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use steward_testkit::script::{Reply, Script};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::house::{House, answer, until};

/// What a sink was sent: path, `idempotency-key`, body.
type Sent = (String, String, Value);

/// Takes what is posted to it on loopback; its first answers are these statuses, then 200.
struct Sink {
    url: String,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Sink {
    async fn start(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sent: Arc<Mutex<Vec<Sent>>> = Arc::default();
        let taken = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).await.unwrap();
                    if line.trim().is_empty() {
                        break;
                    }
                    lines.push(line.trim().to_owned());
                }
                let header = |name: &str| {
                    let found = lines.iter().find_map(|line| line.strip_prefix(name));
                    found
                        .map(|value| value.trim_start_matches(':').trim().to_owned())
                        .unwrap_or_default()
                };
                let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
                stream.read_exact(&mut body).await.unwrap();
                let path = lines[0].split(' ').nth(1).unwrap().to_owned();
                let count = {
                    let mut taken = taken.lock().unwrap();
                    taken.push((path, header("idempotency-key"), serde_json::from_slice(&body).unwrap()));
                    taken.len()
                };
                let status = statuses.get(count - 1).unwrap_or(&200);
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Sink { url, sent }
    }

    fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }
}

async fn house(more: &str) -> House {
    let mut house = House::prepare(Script::by_step([Reply::text("a few words of an answer")])).await;
    house.add_configuration(more);
    house.serve().await;
    house
}

async fn ask(house: &House, is_stream: bool) {
    let body = json!({"model": "default", "stream": is_stream, "messages": [{"role": "user", "content": "hi"}]});
    let request = house.request_as(&house.token(), Method::POST, "/v1/chat/completions");
    let response = request.json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap();
}

async fn metrics(house: &House) -> String {
    let response = house.request_as(&house.token(), Method::GET, "/metrics").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    response.text().await.unwrap()
}

/// The sum of all samples that begin so.
fn total(text: &str, name: &str) -> f64 {
    let samples = text.lines().filter(|line| line.starts_with(name));
    samples.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

#[tokio::test]
async fn calls_are_measured_as_text_as_json_and_at_the_terminal() {
    let house = house("[routes.quick]\ntargets = [ { model = \"scripted/m\" } ]\nobjective = { ttft = \"1m\", tpot = \"1m\" }\n").await;
    ask(&house, true).await;
    ask(&house, false).await;
    let said = house.say("terminal", "hello").await;
    assert_eq!(said["status"], "done", "{said}");
    until("all three calls are measured to their end", async || {
        total(&metrics(&house).await, "gen_ai_server_request_duration_seconds_count") == 3.0
    })
    .await;
    let text = metrics(&house).await;
    assert_eq!(total(&text, "steward_requests_total{"), 3.0);
    assert_eq!(total(&text, "gen_ai_server_time_to_first_token_seconds_count"), 3.0);
    assert_eq!(total(&text, "steward_overhead_seconds_count"), 3.0);
    assert_eq!(total(&text, "steward_target_state{target=\"scripted/m\"}"), 0.0);
    assert!(
        total(&text, "steward_goodput_requests_per_second{route=\"default\"}") > 0.0,
        "{text}"
    );
    assert!(text.contains(",agent=\"main\"} "), "{text}");
    let ledger = house.get("/api/spend?by=model").await;
    let booked: f64 = ledger["total_usd"].as_str().unwrap().parse().unwrap();
    assert!((total(&text, "steward_cost_usd_total{") - booked).abs() < 1e-12, "{ledger}");

    let performance = house.get("/api/performance?by=route&window=5m").await;
    let row = &performance["rows"][0];
    assert_eq!(
        (&row["name"], &row["requests"], &row["answered"]),
        (&json!("default"), &json!(3), &json!(3))
    );
    for field in ["ttft_ms", "total_ms", "overhead_ms"] {
        assert!(row[field]["p99"].as_f64().unwrap() > 0.0, "{row}");
    }
    let top = house.steward(&["top", "--by", "agent", "--json"]).await.json();
    assert_eq!(
        (&top["rows"][0]["name"], &top["rows"][0]["requests"]),
        (&json!("main"), &json!(1)),
        "{top}"
    );
    let table = house.steward(&["top"]).await;
    assert!(table.stdout.lines().any(|line| line.starts_with("default  3")), "{table:?}");
    let (status, refused) = house_get(&house, "/api/performance?window=1h").await;
    assert_eq!(status, 400, "{refused}");
}

#[tokio::test]
async fn a_call_with_the_key_of_a_team_is_measured_and_booked_for_the_team() {
    let house = house("").await;
    let made = house.steward(&["keys", "create", "of-red", "--team", "red", "--json"]).await.json();
    let body = json!({"model": "default", "messages": [{"role": "user", "content": "hi"}]});
    let request = house.request_as(made["key"].as_str().unwrap(), Method::POST, "/v1/chat/completions");
    let (status, answered) = answer(request.json(&body)).await;
    assert_eq!(status, 200, "{answered}");
    until("the call is booked", async || house.get("/api/spend?by=team").await["calls"] == 1).await;
    let row = house.get("/api/spend?by=team").await["rows"][0].clone();
    assert_eq!((&row["name"], &row["calls"]), (&json!("red"), &json!(1)), "{row}");
    let performance = house.get("/api/performance?by=team&window=5m").await;
    assert_eq!(performance["rows"][0]["name"], "red", "{performance}");
}

async fn house_get(house: &House, path: &str) -> (u16, Value) {
    let (status, value) = crate::house::answer(house.request_as(&house.token(), Method::GET, path)).await;
    (status.as_u16(), value)
}

#[tokio::test]
async fn the_text_is_for_viewers_unless_it_is_opened() {
    let house = house("").await;
    let status = async |role: &str| {
        let made = house.steward(&["keys", "create", role, "--role", role, "--json"]).await.json();
        let key = made["key"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        house
            .request_as(&key, Method::GET, "/metrics")
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    let without = async || house.request(Method::GET, "/metrics").send().await.unwrap().status();
    assert_eq!((status("viewer").await, status("member").await), (200, 403));
    assert_eq!(without().await, 401);
    house.configure(&format!("[server]\nmetrics = \"open\"\n\n{}", house.configuration_text()));
    until("anyone may read the text", async || without().await == 200).await;
    let performance = house.request(Method::GET, "/api/performance").send().await.unwrap();
    assert_eq!(performance.status(), 401);
}

#[tokio::test]
async fn a_collector_gets_histograms_and_spans() {
    let sink = Sink::start(&[]).await;
    let house = house(&format!("[telemetry]\notlp = \"{}\"\nevery = \"1s\"\n", sink.url)).await;
    let is_told = |path: &str, wanted: &dyn Fn(&Value) -> bool| sink.sent().iter().any(|(at, _, body)| at == path && wanted(body));
    until("the collector is told", async || !sink.sent().is_empty()).await;
    ask(&house, true).await;
    until("a span came", async || {
        is_told("/v1/traces", &|body| body["resourceSpans"][0]["scopeSpans"][0]["spans"].is_array())
    })
    .await;
    let has_ttft = |body: &Value| {
        let metrics = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap();
        metrics.iter().any(|metric| {
            let is_ttft = metric["name"] == "gen_ai.server.time_to_first_token";
            is_ttft && metric["exponentialHistogram"]["dataPoints"][0]["count"] == "1"
        })
    };
    until("the histogram came", async || is_told("/v1/metrics", &has_ttft)).await;
    if let Ok(folder) = std::env::var("STEWARD_KEEP_OTLP") {
        let text = sink
            .sent()
            .iter()
            .map(|(path, _, body)| format!("{path} {body}\n"))
            .collect::<String>();
        std::fs::write(std::path::Path::new(&folder).join("otlp.txt"), text).unwrap();
        std::fs::write(std::path::Path::new(&folder).join("metrics.txt"), metrics(&house).await).unwrap();
    }
}

#[tokio::test]
async fn an_alert_reaches_a_webhook_once_although_its_first_try_fails() {
    let sink = Sink::start(&[503]).await;
    let more = format!(
        "[routes.watched]\ntargets = [ {{ model = \"scripted/m\" }} ]\n\
         alerts = [ {{ on = \"ttft_p95\", above = \"1ms\", for = \"0s\", min_requests = 1 }} ]\n\n[telemetry]\nwebhooks = [\"{}/hook\"]\n",
        sink.url
    );
    let mut script = Script::by_step([Reply {
        delay_first_ms: 20,
        ..Reply::text("late")
    }]);
    script.models.clear();
    let mut house = House::prepare(script).await;
    house.add_configuration(&more);
    house.serve().await;
    let body = json!({"model": "watched", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(house.post("/v1/chat/completions", body).await.0, 200);
    until("the webhook was tried twice", async || sink.sent().len() >= 2).await;
    let sent = sink.sent();
    assert_eq!(sent[0], sent[1]);
    assert_eq!(
        (sent[0].0.as_str(), &sent[0].2["state"], &sent[0].2["route"]),
        ("/hook", &json!("firing"), &json!("watched"))
    );
    assert!(sent[0].1.ends_with(":firing"), "{sent:?}");
    let alerts = house.get("/api/alerts").await;
    assert_eq!(alerts["firing"][0]["id"], sent[0].2["id"], "{alerts}");
    // Another round of judging tells nothing more.
    tokio::time::sleep(std::time::Duration::from_secs(11)).await;
    assert_eq!(sink.sent().len(), 2);
}

#[tokio::test]
async fn a_rule_or_an_address_that_cannot_work_is_refused_with_its_place() {
    for (more, place) in [
        (
            "[routes.r]\ntargets = [ { model = \"scripted/m\" } ]\nalerts = [ { on = \"goodput\", above = \"1s\" } ]\n",
            "routes.r.alerts[0]",
        ),
        ("[telemetry]\notlp = \"collector:4318\"\n", "telemetry.otlp"),
        ("[telemetry]\ntraces = 2.0\n", "telemetry.traces"),
    ] {
        let house = House::prepare(Script::by_step([Reply::text("hello")])).await;
        house.add_configuration(more);
        let ran = house.serve_in_vain().await;
        assert!(ran.stderr.contains(place), "{ran:?}");
    }
}
