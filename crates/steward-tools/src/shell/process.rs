//! One process in the background: its output since the last look, its input, its end.
//!
//! Never outlives its handle: dropping it kills the command and all that it started.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use steward_sandbox::{Child, Exit, Input, Signal};
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::capture::{push_bounded, shorten};
use super::{describe_exit, read_some, with_sources};

/// Texts that wait to be read by the process.
const MAX_WAITING: usize = 16;
/// After new output a little more is waited for, so that a line comes whole.
const SETTLE: Duration = Duration::from_millis(80);
const DRAIN: Duration = Duration::from_millis(500);

/// A process in the background.
#[derive(Debug)]
pub(crate) struct Process {
    /// The command, for people.
    pub(crate) line: String,
    has_terminal: bool,
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    input: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
    pump: AbortHandle,
    began: Instant,
}

#[derive(Debug)]
struct Shared {
    output: Mutex<Output>,
    /// How many times something happened; the value itself means nothing.
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Output {
    kept: VecDeque<u8>,
    /// All bytes so far.
    total: u64,
    /// How far the model has read.
    seen: u64,
    end: Option<End>,
}

/// How it ended, in words.
#[derive(Clone, Debug)]
struct End(String);

#[derive(Debug)]
enum Order {
    Interrupt,
    Kill,
}

/// What a look shows.
pub(crate) struct Look {
    /// New output and the state.
    pub(crate) text: String,
    /// In words, for the receipt.
    pub(crate) state: String,
}

impl Process {
    pub(crate) fn start(mut child: Child, line: String, has_terminal: bool) -> Process {
        let (news, _) = watch::channel(0);
        let shared = Arc::new(Shared {
            output: Mutex::default(),
            news,
        });
        let (orders, to_do) = mpsc::channel(MAX_WAITING);
        let (input, texts) = mpsc::channel(MAX_WAITING);
        let stdin = child.take_stdin();
        let pump = tokio::spawn(pump(child, shared.clone(), to_do, feed(stdin, texts)));
        Process {
            line,
            has_terminal,
            shared,
            orders,
            input: Mutex::new(Some(input)),
            pump: pump.abort_handle(),
            began: Instant::now(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.shared.output().end.is_some()
    }

    /// New output since the last look. Waits up to `patience` for some, or for the end.
    pub(crate) async fn look(&self, patience: Duration) -> Look {
        let mut news = self.shared.news.subscribe();
        let has_news = |_: &u64| {
            let output = self.shared.output();
            output.end.is_some() || output.seen < output.total
        };
        // Both only bound the wait; what is there is shown in any case.
        let _ = tokio::time::timeout(patience, news.wait_for(has_news)).await;
        if !patience.is_zero() && !self.is_over() {
            let _ = tokio::time::timeout(SETTLE, news.wait_for(|_| self.is_over())).await;
        }
        let state = match &self.shared.output().end {
            Some(end) => end.0.clone(),
            None => format!("running for {} s", self.began.elapsed().as_secs()),
        };
        let mut text = self.shared.output().take_new();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!("[{state}]"));
        Look { text, state }
    }

    /// Gives it text to read.
    pub(crate) fn write(&self, bytes: Vec<u8>) -> Result<(), String> {
        if self.is_over() {
            return Err("the process is over".into());
        }
        let is_interrupt = !self.has_terminal && bytes == [3];
        if is_interrupt {
            return self
                .orders
                .try_send(Order::Interrupt)
                .map_err(|_| "the process does not take signals now".into());
        }
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let is_end_of_file = !self.has_terminal && bytes == [4];
        if is_end_of_file {
            // Without a terminal the end of input is a closed pipe.
            *input = None;
            return Ok(());
        }
        let Some(input) = &*input else {
            return Err("its input is closed".into());
        };
        input
            .try_send(bytes)
            .map_err(|_| "the process does not read its input; nothing was written".into())
    }

    /// Kills it and waits until it is gone, within `patience`.
    pub(crate) async fn kill(&self, patience: Duration) -> Look {
        let mut news = self.shared.news.subscribe();
        // Fails only when the process is over.
        let _ = self.orders.send(Order::Kill).await;
        let _ = tokio::time::timeout(patience, news.wait_for(|_| self.is_over())).await;
        self.look(Duration::ZERO).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl Shared {
    fn output(&self) -> std::sync::MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, bytes: &[u8]) {
        let mut output = self.output();
        output.total += bytes.len() as u64;
        push_bounded(&mut output.kept, bytes);
        drop(output);
        self.news.send_modify(|count| *count += 1);
    }

    fn finish(&self, end: End) {
        self.output().end = Some(end);
        self.news.send_modify(|count| *count += 1);
    }
}

impl Output {
    fn take_new(&mut self) -> String {
        let first_kept = self.total - self.kept.len() as u64;
        let lost = first_kept.saturating_sub(self.seen);
        let start = usize::try_from(self.seen.max(first_kept) - first_kept).unwrap_or(self.kept.len());
        let mut new: Vec<u8> = self.kept.range(start..).copied().collect();
        if self.end.is_none() {
            // The rest of a character that came in halves is shown next time.
            let whole = match std::str::from_utf8(&new) {
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                _ => new.len(),
            };
            new.truncate(whole);
        }
        self.seen = self.seen.max(first_kept) + new.len() as u64;
        let text = shorten(&String::from_utf8_lossy(&new), new.len() as u64);
        if lost > 0 {
            format!("[… {lost} bytes cut …]\n{text}")
        } else {
            text
        }
    }
}

/// Writes what comes to the process, in order. Ends when nobody can write any more, which closes the pipe.
async fn feed(stdin: Option<Input>, mut texts: mpsc::Receiver<Vec<u8>>) {
    let Some(mut stdin) = stdin else { return };
    while let Some(text) = texts.recv().await {
        if stdin.write_all(&text).await.is_err() {
            return;
        }
    }
}

/// Owns the process until it is over.
async fn pump(mut child: Child, shared: Arc<Shared>, mut orders: mpsc::Receiver<Order>, feeding: impl Future<Output = ()>) {
    let mut output = child.take_stdout();
    let mut buffer = vec![0; 32 * 1024];
    let mut feeding = std::pin::pin!(feeding);
    let (mut is_feeding, mut has_orders) = (true, true);
    let exit = loop {
        tokio::select! {
            biased;
            order = orders.recv(), if has_orders => match order {
                Some(Order::Kill) => child.kill(),
                Some(Order::Interrupt) => {
                    if let Err(error) = child.signal(Signal::Interrupt) {
                        tracing::debug!(%error, "a background process could not be interrupted");
                    }
                }
                None => has_orders = false,
            },
            more = read_some(&mut output, &mut buffer) => match more {
                Some(count) => shared.push(&buffer[..count]),
                None => output = None,
            },
            () = &mut feeding, if is_feeding => is_feeding = false,
            exit = child.wait() => break exit,
        }
    };
    if output.is_some() {
        let drain = async {
            while let Some(count) = read_some(&mut output, &mut buffer).await {
                shared.push(&buffer[..count]);
            }
        };
        // What outlives the process may keep the pipe open without writing; it is not waited for.
        let _ = tokio::time::timeout(DRAIN, drain).await;
    }
    shared.finish(End(in_words(&exit)));
}

fn in_words(exit: &Result<Exit, Arc<steward_sandbox::SandboxError>>) -> String {
    match exit {
        Ok(exit) => describe_exit(exit),
        Err(error) => with_sources(error.as_ref()),
    }
}
