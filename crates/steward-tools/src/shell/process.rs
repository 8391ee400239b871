//! One process in the background: its output since the last look, its input, its end.
//!
//! Never outlives its handle: dropping it kills the command and all that it started.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use steward_domain::tool::LeftBy;
use steward_sandbox::{Child, Exit, Input, Signal};
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::capture::{Capture, Shown};
use super::{describe_exit, read_some, with_sources};

/// Texts that wait to be read by the process.
const MAX_WAITING: usize = 16;
/// After new output a little more is waited for, so that a line comes whole.
const SETTLE: Duration = Duration::from_millis(80);
const DRAIN: Duration = Duration::from_millis(500);

/// A process in the background.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) begun: Begun,
    progress: watch::Receiver<Progress>,
    orders: mpsc::Sender<Order>,
    input: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
    pump: AbortHandle,
    began: Instant,
}

/// How it was begun.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    /// The command, for people.
    pub(crate) line: String,
    pub(crate) has_terminal: bool,
    /// The turn and the session of the call.
    pub(crate) by: [LeftBy; 2],
}

/// How far it is. The bytes themselves belong to the task that reads them.
#[derive(Debug, Default)]
struct Progress {
    has_news: bool,
    /// How it ended, in words.
    end: Option<String>,
}

#[derive(Debug)]
enum Order {
    Interrupt,
    Kill,
    /// Tell what came since the last look.
    Look(oneshot::Sender<String>),
}

/// What a look shows.
pub(crate) struct Look {
    /// New output and the state.
    pub(crate) text: String,
    /// In words, for the receipt.
    pub(crate) state: String,
}

impl Process {
    pub(crate) fn start(mut child: Child, begun: Begun, shown: Shown) -> Process {
        let (telling, progress) = watch::channel(Progress::default());
        let (orders, to_do) = mpsc::channel(MAX_WAITING);
        let (input, texts) = mpsc::channel(MAX_WAITING);
        let stdin = child.take_stdin();
        let pump = Pump {
            capture: Capture::new(shown),
            telling,
        };
        let pump = tokio::spawn(pump.run(child, to_do, feed(stdin, texts)));
        Process {
            begun,
            progress,
            orders,
            input: Mutex::new(Some(input)),
            pump: pump.abort_handle(),
            began: Instant::now(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.progress.borrow().end.is_some()
    }

    /// New output since the last look. Waits up to `patience` for some, or for the end.
    pub(crate) async fn look(&self, patience: Duration) -> Look {
        let mut progress = self.progress.clone();
        // Both only bound the wait; what is there is shown in any case.
        let _ = tokio::time::timeout(patience, progress.wait_for(|now| now.has_news || now.end.is_some())).await;
        if !patience.is_zero() && !self.is_over() {
            let _ = tokio::time::timeout(SETTLE, progress.wait_for(|now| now.end.is_some())).await;
        }
        let state = match &progress.borrow().end {
            Some(end) => end.clone(),
            None => format!("running for {} s", self.began.elapsed().as_secs()),
        };
        let (answer, answered) = oneshot::channel();
        // The task ends only with this handle; without an answer there is nothing new to show.
        let _ = self.orders.send(Order::Look(answer)).await;
        let mut text = answered.await.unwrap_or_default();
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
        let is_interrupt = !self.begun.has_terminal && bytes == [3];
        if is_interrupt {
            return self
                .orders
                .try_send(Order::Interrupt)
                .map_err(|_| "the process does not take signals now".into());
        }
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let is_end_of_file = !self.begun.has_terminal && bytes == [4];
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
        self.end(patience).await;
        self.look(Duration::ZERO).await
    }

    /// The same, and leaves its output for the next look. Gives how it ended, in words.
    pub(crate) async fn end(&self, patience: Duration) -> String {
        let mut progress = self.progress.clone();
        let ending = async {
            // Fails only when the task is gone, and the process with it.
            let _ = self.orders.send(Order::Kill).await;
            let end = progress.wait_for(|now| now.end.is_some()).await;
            end.ok().and_then(|now| now.end.clone())
        };
        let ended = tokio::time::timeout(patience, ending).await;
        ended.ok().flatten().unwrap_or_else(|| "killed, but not gone yet".to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.pump.abort();
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

/// The task that owns the process and its output.
struct Pump {
    capture: Capture,
    telling: watch::Sender<Progress>,
}

impl Pump {
    /// Serves the process until it is over, and then those who look.
    async fn run(mut self, mut child: Child, mut orders: mpsc::Receiver<Order>, feeding: impl Future<Output = ()>) {
        let mut output = child.take_stdout();
        let mut buffer = vec![0; 32 * 1024];
        let mut feeding = std::pin::pin!(feeding);
        let (mut is_feeding, mut has_orders) = (true, true);
        let exit = loop {
            tokio::select! {
                biased;
                order = orders.recv(), if has_orders => match order {
                    Some(order) => self.obey(order, Some(&child)).await,
                    None => has_orders = false,
                },
                more = read_some(&mut output, &mut buffer) => match more {
                    Some(count) => self.take(&buffer[..count]).await,
                    None => output = None,
                },
                () = &mut feeding, if is_feeding => is_feeding = false,
                exit = child.wait() => break exit,
            }
        };
        if output.is_some() {
            let drain = async {
                while let Some(count) = read_some(&mut output, &mut buffer).await {
                    self.take(&buffer[..count]).await;
                }
            };
            // What outlives the process may keep the pipe open without writing; it is not waited for.
            let _ = tokio::time::timeout(DRAIN, drain).await;
        }
        self.telling.send_modify(|progress| progress.end = Some(in_words(&exit)));
        drop(child);
        while let Some(order) = orders.recv().await {
            self.obey(order, None).await;
        }
    }

    async fn take(&mut self, bytes: &[u8]) {
        self.capture.push(bytes).await;
        self.telling.send_modify(|progress| progress.has_news = true);
    }

    /// `child` is absent when it is over.
    async fn obey(&mut self, order: Order, child: Option<&Child>) {
        match (order, child) {
            (Order::Look(answer), running) => {
                self.telling.send_modify(|progress| progress.has_news = false);
                let last = Capture::new(self.capture.shown().clone());
                let text = match running {
                    Some(_) => self.capture.take_new().await,
                    None => std::mem::replace(&mut self.capture, last).finish().await,
                };
                // Who asked may have been stopped meanwhile; it is shown to nobody then.
                let _ = answer.send(text);
            }
            (Order::Kill, Some(child)) => child.kill(),
            (Order::Interrupt, Some(child)) => {
                if let Err(error) = child.signal(Signal::Interrupt) {
                    tracing::debug!(%error, "a background process could not be interrupted");
                }
            }
            (Order::Kill | Order::Interrupt, None) => {}
        }
    }
}

fn in_words(exit: &Result<Exit, Arc<steward_sandbox::SandboxError>>) -> String {
    match exit {
        Ok(exit) => describe_exit(exit),
        Err(error) => with_sources(error.as_ref()),
    }
}
