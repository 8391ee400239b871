//! Models that run in this process: GGUF files of the Llama family on the CPU.
//!
//! A [`LocalModel`] costs nothing until it is asked: the thread starts with the first call, the weights are loaded when the model
//! has to write, and both go when it is left alone. It never reaches the network.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use steward_domain::model::{Caller, Model, ModelError, ModelErrorKind, ModelEvent, ModelRequest};
use tokio::sync::mpsc;

pub mod arguments;
pub mod constrain;
pub mod propose;

mod answer;
mod clause;
pub(crate) mod encoder;
mod engine;
mod llama;
mod packed;
mod prompt;
mod report;
mod sample;
mod tokens;
mod worker;

use worker::Job;

/// Events that may wait for a slow reader.
const EVENTS_WAITING_MAX: usize = 64;

/// How a local model runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalConfig {
    /// Threads for arithmetic.
    pub threads: usize,
    /// The longest sequence, prompt and answer, in tokens; the file may allow less.
    pub context_tokens: usize,
    /// The weights are let go after this long without a call.
    pub unload_after: Duration,
    /// Calls that may wait; more are refused as overload.
    pub waiting_max: usize,
    /// Propose the tool and copy its arguments, as small models need it.
    pub tool_help: bool,
    /// A conversation is cut to this many tokens, oldest messages first.
    pub prompt_tokens: usize,
    /// The rules are cut to this many letters.
    pub system_chars: usize,
    /// The most tokens of an answer when the caller sets no limit.
    pub answer_tokens: usize,
}

impl Default for LocalConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        LocalConfig {
            threads: cores.saturating_sub(1).max(1),
            context_tokens: 2_048,
            unload_after: Duration::from_secs(600),
            waiting_max: 16,
            tool_help: true,
            prompt_tokens: 700,
            system_chars: 1_200,
            answer_tokens: 256,
        }
    }
}

/// A model file and the thread that runs it. Its target is `local/NAME`, the name being that of the file.
pub struct LocalModel {
    path: PathBuf,
    config: LocalConfig,
    is_loaded: Arc<AtomicBool>,
    queue: Mutex<Option<SyncSender<Job>>>,
}

impl LocalModel {
    /// Takes a GGUF file. Looks only at its first bytes; what it cannot run shows with the first call.
    pub fn load(path: impl Into<PathBuf>, config: LocalConfig) -> Result<LocalModel, ModelError> {
        let path = path.into();
        let mut magic = [0; 4];
        let read = File::open(&path).and_then(|mut file| file.read_exact(&mut magic));
        if let Err(problem) = read {
            let message = format!("the model file {} cannot be read: {problem}", path.display());
            return Err(ModelError::new(ModelErrorKind::NotFound, message));
        }
        if &magic != b"GGUF" {
            let message = format!("{} is no GGUF file", path.display());
            return Err(ModelError::new(ModelErrorKind::Unsupported, message));
        }
        Ok(LocalModel {
            path,
            config,
            is_loaded: Arc::default(),
            queue: Mutex::default(),
        })
    }

    /// The name by which routes call it: `local/NAME`.
    pub fn target(&self) -> String {
        target_of(&self.path)
    }

    /// Are the weights in memory now?
    pub fn is_loaded(&self) -> bool {
        self.is_loaded.load(Ordering::Relaxed)
    }

    /// Puts a job into the queue, starting the thread if there is none.
    fn enqueue(&self, job: Job) -> Result<(), ModelError> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let job = match queue.as_ref() {
            None => job,
            Some(running) => match running.try_send(job) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(_)) => {
                    let message = format!("{} calls wait for the local model already", self.config.waiting_max);
                    return Err(ModelError::new(ModelErrorKind::Overloaded, message));
                }
                // The thread died of a defect; the next one starts afresh.
                Err(TrySendError::Disconnected(job)) => job,
            },
        };
        let started = self.start()?;
        let sent = started.try_send(job);
        *queue = Some(started);
        sent.map_err(|_| ModelError::new(ModelErrorKind::Server, "the local model's thread ended at once"))
    }

    fn start(&self) -> Result<SyncSender<Job>, ModelError> {
        let (sender, receiver) = sync_channel(self.config.waiting_max.max(1));
        let (path, config, is_loaded) = (self.path.clone(), self.config.clone(), Arc::clone(&self.is_loaded));
        let thread = std::thread::Builder::new().name("local-model".to_owned());
        let started = thread.spawn(move || worker::serve(&receiver, path, &config, &is_loaded));
        match started {
            Ok(_) => Ok(sender),
            Err(problem) => Err(ModelError::new(
                ModelErrorKind::Server,
                format!("no thread for the local model: {problem}"),
            )),
        }
    }
}

impl Model for LocalModel {
    fn stream(&self, request: ModelRequest, _caller: Caller) -> BoxStream<'static, ModelEvent> {
        let (sender, receiver) = mpsc::channel(EVENTS_WAITING_MAX);
        let stop = Arc::new(AtomicBool::new(false));
        let job = Job {
            request,
            events: sender,
            stop: Arc::clone(&stop),
        };
        if let Err(problem) = self.enqueue(job) {
            let problem = ModelError {
                target: self.target(),
                ..problem
            };
            return stream::once(std::future::ready(ModelEvent::Failed(problem))).boxed();
        }
        let listener = Listener {
            receiver,
            stop,
            target: self.target(),
            has_ended: false,
        };
        stream::unfold(listener, |mut listener| async move {
            let event = listener.next().await?;
            Some((event, listener))
        })
        .boxed()
    }
}

/// The reading end of one call; dropping it stops the call.
struct Listener {
    receiver: mpsc::Receiver<ModelEvent>,
    stop: Arc<AtomicBool>,
    target: String,
    has_ended: bool,
}

impl Listener {
    async fn next(&mut self) -> Option<ModelEvent> {
        if self.has_ended {
            return None;
        }
        let event = self.receiver.recv().await.unwrap_or_else(|| {
            ModelEvent::Failed(ModelError {
                target: self.target.clone(),
                ..ModelError::new(ModelErrorKind::Server, "the local model stopped in the middle of a call")
            })
        });
        self.has_ended = matches!(event, ModelEvent::Finished(_) | ModelEvent::Failed(_));
        Some(event)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn target_of(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    format!("local/{stem}")
}
