//! Fetching and searching, against a small server on loopback.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use steward_domain::secret::Secret;
use steward_domain::tool::{EvidenceAction, ToolOutcome};
use steward_tools::config::{Config, Search};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::stage::{Stage, stage, stage_with, text_of};

/// A server that gives everyone the same answer.
pub(crate) struct Server {
    pub(crate) port: u16,
    requests: Arc<AtomicUsize>,
    seen: Arc<Mutex<String>>,
}

/// A whole answer with status 200.
pub(crate) fn answer(kind: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Serves until the runtime ends.
pub(crate) async fn serve(response: Vec<u8>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let (requests, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(String::new())));
    let (counter, log) = (requests.clone(), seen.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let count = stream.read(&mut request).await.unwrap_or(0);
            counter.fetch_add(1, Ordering::SeqCst);
            log.lock()
                .expect("the log")
                .push_str(&String::from_utf8_lossy(&request[..count]).to_ascii_lowercase());
            let _ = stream.write_all(&response).await;
            let _ = stream.shutdown().await;
        }
    });
    Server { port, requests, seen }
}

/// A configuration whose search provider is on loopback.
pub(crate) fn search_config(port: u16) -> Config {
    Config {
        search: Some(Search::Searxng {
            base_url: format!("http://127.0.0.1:{port}/"),
        }),
        ..Config::default()
    }
}

async fn stage_for(server: &Server) -> Stage {
    stage_with(Config::default(), &[format!("127.0.0.1:{}", server.port)]).await
}

#[tokio::test]
async fn a_page_is_fetched_once_and_read_as_markdown() {
    let paragraph = "The river carries the boats of the town down to the sea, and every evening they come back. ".repeat(8);
    let page = format!(
        "<html><head><title>Boats</title></head><body><article><h1>Boats</h1><p>{paragraph}</p><p>{paragraph}</p></article></body></html>"
    );
    let server = serve(answer("text/html", &page)).await;
    let stage = stage_for(&server).await;
    let url = format!("http://127.0.0.1:{}/boats", server.port);
    for fragment in ["", "#later"] {
        let output = stage.output("web_fetch", json!({ "url": format!("{url}{fragment}") })).await;
        let text = text_of(&output);
        assert!(text.starts_with(&format!("{url}\n\n# Boats")) && !text.contains("<p>"), "{text}");
        assert_eq!(
            (output.evidence[0].action, output.evidence[0].object.as_str()),
            (EvidenceAction::Fetched, url.as_str())
        );
    }
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);
    assert!(stage.tools["web_fetch"].spec().gives_outside);
}

#[tokio::test]
async fn a_long_page_is_cut_with_a_note() {
    let server = serve(answer("text/plain", &"wörd ".repeat(10_000))).await;
    let stage = stage_for(&server).await;
    let text = stage
        .text("web_fetch", json!({ "url": format!("http://127.0.0.1:{}/", server.port) }))
        .await;
    assert!(
        text.ends_with("characters]") && text.contains("[cut after 20000 of"),
        "{}",
        &text[text.len() - 60..]
    );
    assert!(text.chars().count() < 20_100);
}

#[tokio::test]
async fn what_is_no_text_or_no_success_is_failed() {
    let pdf = serve(answer("application/pdf", "%PDF-1.7")).await;
    let stage = stage_for(&pdf).await;
    let reason = stage
        .reason("web_fetch", json!({ "url": format!("http://127.0.0.1:{}/", pdf.port) }))
        .await;
    assert!(reason.contains("application/pdf"), "{reason}");
    let missing = serve(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec()).await;
    let stage = stage_for(&missing).await;
    for _ in 0..2 {
        let reason = stage
            .reason("web_fetch", json!({ "url": format!("http://127.0.0.1:{}/", missing.port) }))
            .await;
        assert!(reason.contains("status 404"), "{reason}");
    }
    assert_eq!(missing.requests.load(Ordering::SeqCst), 2, "a failure is not kept");
}

#[tokio::test]
async fn private_addresses_are_refused() {
    let server = serve(answer("text/plain", "secret")).await;
    let stage = stage().await;
    for url in [
        format!("http://127.0.0.1:{}/", server.port),
        format!("http://localhost:{}/", server.port),
        "http://169.254.169.254/latest".into(),
    ] {
        let outcome = stage.call("web_fetch", json!({ "url": url })).await;
        assert!(matches!(outcome, ToolOutcome::Refused { .. }), "{url}: {outcome:?}");
    }
    assert!(matches!(
        stage.call("web_fetch", json!({ "url": "file:///etc/passwd" })).await,
        ToolOutcome::Failed { .. }
    ));
    assert_eq!(server.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn searxng_is_asked() {
    let server = serve(answer(
        "application/json",
        r#"{"results":[{"title":"A","url":"http://a/","content":"one"},{"title":"B","url":"http://b/"}]}"#,
    ))
    .await;
    let stage = stage_with(search_config(server.port), &[]).await;
    let text = stage.text("web_search", json!({ "query": "boats & sea" })).await;
    assert_eq!(text, "1. A\nhttp://a/\none\n\n2. B\nhttp://b/\n");
    let seen = server.seen.lock().expect("the log").clone();
    assert!(seen.starts_with("get /search?q=boats+%26+sea&format=json http/1.1"), "{seen}");
}

#[tokio::test]
async fn brave_is_asked_with_its_key() {
    let server = serve(answer(
        "application/json",
        r#"{"web":{"results":[{"title":"A","url":"http://a/","description":"one"}]}}"#,
    ))
    .await;
    let search = Search::Brave {
        api_key: Secret::new("k3y".into()),
        base_url: Some(format!("http://127.0.0.1:{}", server.port)),
    };
    let stage = stage_with(
        Config {
            search: Some(search),
            ..Config::default()
        },
        &[],
    )
    .await;
    assert_eq!(stage.text("web_search", json!({ "query": "boats" })).await, "1. A\nhttp://a/\none");
    let seen = server.seen.lock().expect("the log").clone();
    assert!(
        seen.starts_with("get /res/v1/web/search?q=boats&count=10 ") && seen.contains("x-subscription-token: k3y"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_search_that_is_not_set_up_says_how() {
    let stage = stage().await;
    let reason = stage.reason("web_search", json!({ "query": "boats" })).await;
    assert!(reason.contains("[tools.search]") && reason.contains("steward.toml"), "{reason}");
}
