//! The thread that owns a model: takes one request at a time from a short queue, loads the weights when they are first needed and
//! lets them go when nobody has asked for a while.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use steward_domain::model::{Answerer, Finish, ModelError, ModelErrorKind, ModelEvent, ModelRequest};
use steward_domain::money::Usd;
use steward_domain::usage::{Usage, UsageSource};
use tokio::sync::mpsc::Sender;

use super::LocalConfig;
use super::answer::{Answering, Weights};
use super::engine::{Engine, Work};

/// One request and where its events go.
pub(crate) struct Job {
    pub(crate) request: ModelRequest,
    pub(crate) events: Sender<ModelEvent>,
    /// Set when whoever asked went away.
    pub(crate) stop: Arc<AtomicBool>,
}

/// Serves jobs until the queue is closed.
pub(crate) fn serve(jobs: &Receiver<Job>, path: PathBuf, config: &LocalConfig, is_loaded: &AtomicBool) {
    let name = super::target_of(&path);
    let mut shelf = Shelf {
        path,
        config: config.clone(),
        engine: None,
    };
    loop {
        match jobs.recv_timeout(config.unload_after) {
            Ok(job) => {
                shelf.serve(&job, &name);
                is_loaded.store(shelf.engine.is_some(), Ordering::Relaxed);
            }
            Err(RecvTimeoutError::Timeout) => {
                shelf.unload();
                is_loaded.store(false, Ordering::Relaxed);
                // Nothing to let go any more: wait without waking.
                match jobs.recv() {
                    Ok(job) => {
                        shelf.serve(&job, &name);
                        is_loaded.store(shelf.engine.is_some(), Ordering::Relaxed);
                    }
                    Err(_) => return,
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                shelf.unload();
                return;
            }
        }
    }
}

/// The weights, or where they lie.
struct Shelf {
    path: PathBuf,
    config: LocalConfig,
    engine: Option<Engine>,
}

impl Weights for Shelf {
    fn engine(&mut self) -> Result<&mut Engine, ModelError> {
        if self.engine.is_none() {
            let begun = Instant::now();
            let engine = Engine::read(&self.path, self.config.context_tokens, self.config.threads).map_err(|problem| {
                let kind = if self.path.is_file() {
                    ModelErrorKind::Unsupported
                } else {
                    ModelErrorKind::NotFound
                };
                // Below its first line a problem may carry where in the program it came up.
                let problem = problem.to_string();
                let said = problem.lines().next().unwrap_or_default();
                ModelError::new(kind, format!("{} cannot be loaded: {said}", self.path.display()))
            })?;
            give_back_memory();
            tracing::info!(path = %self.path.display(), ms = begun.elapsed().as_millis() as u64, "the local model is loaded");
            self.engine = Some(engine);
        }
        self.engine
            .as_mut()
            .ok_or_else(|| ModelError::new(ModelErrorKind::Server, "the local model is not there"))
    }
}

impl Shelf {
    fn serve(&mut self, job: &Job, target: &str) {
        if job.stop.load(Ordering::Relaxed) {
            return;
        }
        if let Some(engine) = &mut self.engine {
            engine.work = Work::default();
        }
        let mut has_started = false;
        let mut emit = |event: ModelEvent| {
            if !has_started {
                has_started = true;
                let answerer = Answerer {
                    target: target.to_owned(),
                    attempts: 1,
                    ..Answerer::default()
                };
                if job.events.blocking_send(ModelEvent::Started(answerer)).is_err() {
                    return false;
                }
            }
            job.events.blocking_send(event).is_ok()
        };
        let config = self.config.clone();
        let mut answering = Answering {
            request: &job.request,
            config: &config,
            stop: &job.stop,
            emit: &mut emit,
        };
        let last = match answering.run(self) {
            Ok(reason) => ModelEvent::Finished(Box::new(Finish {
                reason,
                usage: self.usage(),
                usage_source: UsageSource::Reported,
                cost: Usd::ZERO,
            })),
            Err(problem) => ModelEvent::Failed(ModelError {
                target: target.to_owned(),
                ..problem
            }),
        };
        if matches!(last, ModelEvent::Finished(_)) {
            emit(last);
        } else if job.events.blocking_send(last).is_err() {
            tracing::debug!("whoever asked the local model went away");
        }
    }

    fn usage(&self) -> Usage {
        let work = self.engine.as_ref().map(|engine| engine.work).unwrap_or_default();
        Usage {
            input: work.prompt,
            cached_input: work.cached,
            output: work.written,
            ..Usage::default()
        }
    }

    fn unload(&mut self) {
        if self.engine.take().is_some() {
            give_back_memory();
            tracing::info!(path = %self.path.display(), "the local model is unloaded");
        }
    }
}

/// Hands freed memory back to the system; the allocator would keep it for later.
fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    // SAFETY: malloc_trim takes no pointer, may be called from any thread, and touches only memory that is already free.
    unsafe {
        libc::malloc_trim(0);
    }
}
