//! A server on loopback that records each request as it came and gives the answers it was told, one after the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

/// What is answered: status, media type, body.
pub(super) type Answer = (u16, &'static str, Vec<u8>);

pub(super) struct Loopback {
    pub(super) base_url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    serving: JoinHandle<()>,
}

impl Loopback {
    /// Answers each request by what `answer` makes of it.
    pub(super) async fn start(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, record) = (Arc::new(answer), Arc::clone(&seen));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, record) = (Arc::clone(&answer), Arc::clone(&record));
                tokio::spawn(async move {
                    let _ = serve(stream, &*answer, &record).await;
                });
            }
        });
        Loopback { base_url, seen, serving }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut stream: TcpStream, answer: &(dyn Fn(&Seen) -> Answer + Send + Sync), record: &Mutex<Vec<Seen>>) -> std::io::Result<()> {
    let mut held = Vec::new();
    let mut buffer = [0; 8192];
    let head_end = loop {
        if let Some(at) = held.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        held.extend_from_slice(&buffer[..count]);
    };
    let mut seen = head(&String::from_utf8_lossy(&held[..head_end]));
    let length: usize = seen.headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    while held.len() < head_end + length {
        let count = stream.read(&mut buffer).await?;
        held.extend_from_slice(&buffer[..count]);
    }
    seen.body = String::from_utf8_lossy(&held[head_end..]).into_owned();
    let (status, media_type, body) = answer(&seen);
    record.lock().unwrap().push(seen);
    let head = format!(
        "HTTP/1.1 {status} said\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}

fn head(text: &str) -> Seen {
    let mut lines = text.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers = lines.filter_map(|line| line.split_once(": "));
    Seen {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
        body: String::new(),
    }
}
