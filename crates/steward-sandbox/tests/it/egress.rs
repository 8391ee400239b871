//! The guarded client reaches what it may, and connects to nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Method, Url};
use steward_sandbox::egress::{Egress, EgressError, FetchLimits, ServiceRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server on loopback that gives the same answer to all and counts connections.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    seen: Arc<std::sync::Mutex<String>>,
}

async fn serve(answer: impl Into<Vec<u8>>) -> Server {
    let answer: Vec<u8> = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::new(std::sync::Mutex::new(String::new()));
    let (count, log) = (connections.clone(), seen.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let (answer, log) = (answer.clone(), log.clone());
            tokio::spawn(async move {
                let mut buffer = vec![0; 16 * 1024];
                let count = stream.read(&mut buffer).await.unwrap_or(0);
                log.lock().expect("the log").push_str(&String::from_utf8_lossy(&buffer[..count]));
                // The client may have gone away already.
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    Server { port, connections, seen }
}

fn answer(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn redirect(status: u16, to: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

fn allowing(entries: &[String]) -> Egress {
    Egress::new(Some(entries))
}

#[tokio::test]
async fn no_spelling_of_loopback_is_reached() {
    let server = serve(answer("secret")).await;
    let port = server.port;
    let egress = Egress::new(None);
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "017700000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[0:0:0:0:0:0:0:1]",
        "127.0.0.1.",
        "１２７.０.０.１",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "user@127.0.0.1",
        "user:pw@127.0.0.1",
        "example.com@127.0.0.1",
        "127.0.0.1%00.example.com",
        "%31%32%37.0.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[ff02::1]",
        "localhost%2e",
        "ⓛocalhost",
        "[::1%25lo]",
    ];
    for host in hosts {
        for url in [format!("http://{host}:{port}/"), format!("http://{host}:{port}/?x=#@example.com")] {
            let limits = FetchLimits {
                time: Duration::from_secs(5),
                ..FetchLimits::default()
            };
            let result = egress.get(&url, limits).await;
            assert!(result.is_err(), "{url} was fetched");
        }
    }
    for url in [
        format!("http:\\\\127.0.0.1:{port}\\"),
        format!("http:/127.0.0.1:{port}/"),
        format!("http:127.0.0.1:{port}"),
        format!("ht\ttp://127.0.0.1:{port}/"),
        "file:///etc/passwd".into(),
        "gopher://127.0.0.1/".into(),
        "ftp://127.0.0.1/".into(),
        "data:text/plain,x".into(),
        "javascript:1".into(),
        "http://".into(),
        String::new(),
    ] {
        assert!(egress.get(&url, FetchLimits::default()).await.is_err(), "{url} was fetched");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_address_that_the_list_names_is_reached_also_by_name() {
    let server = serve(answer("hello")).await;
    let egress = allowing(&[format!("127.0.0.1:{}", server.port)]);
    for host in ["127.0.0.1", "localhost"] {
        let fetched = egress
            .get(&format!("http://{host}:{}/a?b=c", server.port), FetchLimits::default())
            .await
            .expect(host);
        assert_eq!(
            (fetched.status, &fetched.body[..], fetched.content_type.as_str()),
            (200, &b"hello"[..], "text/plain")
        );
    }
    let other = serve(answer("secret")).await;
    let refused = egress
        .get(&format!("http://127.0.0.1:{}/", other.port), FetchLimits::default())
        .await;
    assert!(matches!(refused, Err(EgressError::NotAllowed { .. })), "{refused:?}");
    assert_eq!(other.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_redirect_to_loopback_is_refused() {
    let inner = serve(answer("secret")).await;
    for status in [301, 302, 303, 307, 308] {
        for target in [
            format!("http://127.0.0.1:{}/", inner.port),
            format!("http://localhost:{}/", inner.port),
            "file:///etc/passwd".into(),
        ] {
            let outer = serve(redirect(status, &target)).await;
            let egress = allowing(&[format!("127.0.0.1:{}", outer.port)]);
            let result = egress
                .get(&format!("http://127.0.0.1:{}/", outer.port), FetchLimits::default())
                .await;
            assert!(result.is_err(), "{status} to {target} was followed");
            assert_eq!(outer.connections.load(Ordering::SeqCst), 1);
        }
    }
    assert_eq!(inner.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn redirects_are_followed_three_times_at_most() {
    let server = serve(redirect(302, "/again")).await;
    let egress = allowing(&[format!("127.0.0.1:{}", server.port)]);
    let result = egress
        .get(&format!("http://127.0.0.1:{}/", server.port), FetchLimits::default())
        .await;
    assert!(matches!(result, Err(EgressError::TooManyRedirects { limit: 3 })), "{result:?}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_body_is_cut_at_its_limit_and_silence_ends_in_time() {
    let server = serve(answer(&"x".repeat(100_000))).await;
    let egress = allowing(&[format!("127.0.0.1:{}", server.port)]);
    let limits = FetchLimits {
        body_bytes: 1000,
        ..FetchLimits::default()
    };
    let fetched = egress
        .get(&format!("http://127.0.0.1:{}/", server.port), limits)
        .await
        .expect("fetched");
    assert_eq!((fetched.body.len(), fetched.is_cut), (1000, true));

    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("its address").port();
    let limits = FetchLimits {
        time: Duration::from_millis(200),
        ..FetchLimits::default()
    };
    let result = allowing(&[format!("127.0.0.1:{port}")])
        .get(&format!("http://127.0.0.1:{port}/"), limits)
        .await;
    assert!(matches!(result, Err(EgressError::TimedOut { .. })), "{result:?}");
}

#[tokio::test]
async fn a_compressed_body_is_limited_after_decompression() {
    // A gzip stream of one million zero bytes, made by hand of stored and repeated blocks would be long; the tool of the system makes it.
    let output = std::process::Command::new("sh")
        .args(["-c", "head -c 1000000 /dev/zero | gzip -9"])
        .output()
        .expect("gzip runs");
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        output.stdout.len()
    )
    .into_bytes();
    bytes.extend(output.stdout);
    let server = serve(bytes).await;
    let limits = FetchLimits {
        body_bytes: 50_000,
        ..FetchLimits::default()
    };
    let fetched = allowing(&[format!("127.0.0.1:{}", server.port)])
        .get(&format!("http://127.0.0.1:{}/", server.port), limits)
        .await
        .expect("fetched");
    assert_eq!((fetched.body.len(), fetched.is_cut), (50_000, true));
}

#[tokio::test]
async fn a_configured_service_may_be_private_but_not_what_it_redirects_to() {
    let service = serve(answer("{}")).await;
    let base = Url::parse(&format!("http://127.0.0.1:{}/search", service.port)).expect("an address");
    let request = |base: &Url, url: &str| ServiceRequest {
        method: Method::GET,
        url: Url::parse(url).expect("an address"),
        base: base.clone(),
        headers: vec![("x-key".parse().expect("a name"), "secret".parse().expect("a value"))],
        body: None,
    };
    let egress = Egress::new(None);
    let fetched = egress
        .request(request(&base, &format!("{base}?q=x")), FetchLimits::default())
        .await
        .expect("fetched");
    assert_eq!(&fetched.body[..], b"{}");
    assert!(service.seen.lock().expect("the log").contains("x-key: secret"));
    let elsewhere = egress.request(request(&base, "http://127.0.0.1:1/"), FetchLimits::default()).await;
    assert!(matches!(elsewhere, Err(EgressError::BadUrl { .. })), "{elsewhere:?}");

    let inner = serve(answer("secret")).await;
    let outer = serve(redirect(307, &format!("http://127.0.0.1:{}/", inner.port))).await;
    let base = Url::parse(&format!("http://127.0.0.1:{}/", outer.port)).expect("an address");
    assert!(egress.request(request(&base, base.as_str()), FetchLimits::default()).await.is_err());
    assert_eq!(inner.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn headers_do_not_cross_origins() {
    let other = serve(answer("ok")).await;
    let service = serve(redirect(307, &format!("http://127.0.0.1:{}/", other.port))).await;
    let base = Url::parse(&format!("http://127.0.0.1:{}/", service.port)).expect("an address");
    let egress = allowing(&[format!("127.0.0.1:{}", other.port)]);
    let headers = vec![("authorization".parse().expect("a name"), "secret".parse().expect("a value"))];
    let request = ServiceRequest {
        method: Method::POST,
        url: base.clone(),
        base,
        headers,
        body: Some("secret".into()),
    };
    let fetched = egress.request(request, FetchLimits::default()).await.expect("fetched");
    assert_eq!(&fetched.body[..], b"ok");
    assert!(!other.seen.lock().expect("the log").contains("secret"));
}
