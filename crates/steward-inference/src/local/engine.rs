//! One loaded model: takes a prompt, writes text or JSON token by token, compares candidate continuations.
//!
//! Keeps the tokens of the last sequence, so that a prompt with the same beginning is not computed again. Knows no conversation.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Tensor;
use candle_core::quantized::gguf_file::Content;
use serde_json::Value;

use super::constrain::Acceptor;
use super::llama::Llama;
use super::sample::{Sampler, Sampling};
use super::tokens::{TextStream, Tokens};

/// A prompt is computed in pieces of this many tokens, so that it can be stopped in between.
const PIECE_TOKENS: usize = 128;

/// Why a generation stopped early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// Whoever asked went away.
    #[error("stopped")]
    Stopped,
    /// Prompt and room for an answer do not fit.
    #[error("the prompt has {tokens} tokens and the model reads {context}")]
    TooLong { tokens: usize, context: usize },
    /// The arithmetic or the file failed.
    #[error(transparent)]
    Failed(#[from] candle_core::Error),
}

/// What was computed for a call so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    /// Prompt tokens computed.
    pub(crate) prompt: u64,
    /// Prompt tokens found in the cache.
    pub(crate) cached: u64,
    /// Tokens written, forced ones included.
    pub(crate) written: u64,
}

/// Why writing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The model was done.
    Done,
    /// It ran into its limit.
    Limit,
}

/// A model in memory.
pub(crate) struct Engine {
    network: Llama,
    /// Its vocabulary.
    pub(crate) tokens: Tokens,
    sequence: Vec<u32>,
    threads: rayon::ThreadPool,
    /// What the current call cost; the caller resets it.
    pub(crate) work: Work,
}

impl Engine {
    /// Reads the file. Takes about half a second for 100 MB.
    pub(crate) fn read(path: &Path, context_tokens: usize, threads: usize) -> candle_core::Result<Engine> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|index| format!("local-model-{index}"));
        let threads = threads.build().map_err(candle_core::Error::wrap)?;
        let (tokens, network) = threads.install(|| {
            let content = Content::read(&mut BufReader::new(File::open(path)?))?;
            candle_core::Result::Ok((Tokens::read(&content)?, Llama::read(path, &content, context_tokens)?))
        })?;
        Ok(Engine {
            network,
            tokens,
            sequence: Vec::new(),
            threads,
            work: Work::default(),
        })
    }

    /// The longest sequence, in tokens.
    pub(crate) fn context_tokens(&self) -> usize {
        self.network.shape.context_tokens
    }

    /// Writes text after a prompt until the model is done, a stop text comes, or `sampling.tokens_max` is reached.
    pub(crate) fn write_text(
        &mut self,
        prompt: &[u32],
        sampling: &Sampling,
        stop: &AtomicBool,
        mut each: impl FnMut(&str) -> bool,
    ) -> Result<End, EngineError> {
        let mut logits = self.take_prompt(prompt, stop)?;
        let mut sampler = Sampler::new(sampling);
        let mut text = TextStream::new(&sampling.stop);
        let mut give = |piece: String| piece.is_empty() || each(&piece);
        for _ in 0..sampling.tokens_max {
            let next = sampler.pick(&mut logits, |id| !self.tokens.is_control(id) || self.tokens.is_stop(id));
            if self.tokens.is_stop(next) {
                give(text.finish());
                return Ok(End::Done);
            }
            self.work.written += 1;
            if !give(text.push(self.tokens.bytes_of(next))) {
                return Err(EngineError::Stopped);
            }
            if text.is_ended() {
                return Ok(End::Done);
            }
            if self.sequence.len() >= self.context_tokens() {
                break;
            }
            logits = self.append(&[next], stop)?;
        }
        give(text.finish());
        Ok(End::Limit)
    }

    /// Writes JSON of a schema after a prompt. What the schema leaves no choice in costs no sampling; at the limit the value is closed.
    pub(crate) fn write_json(
        &mut self,
        prompt: &[u32],
        schema: &Value,
        sampling: &Sampling,
        stop: &AtomicBool,
    ) -> Result<String, EngineError> {
        let mut acceptor = Acceptor::new(schema);
        let mut sampler = Sampler::new(sampling);
        let mut written: Vec<u8> = Vec::new();
        let mut logits = None;
        let mut sequence = prompt.to_vec();
        let room = self.context_tokens().saturating_sub(prompt.len() + 1);
        for _ in 0..sampling.tokens_max.min(room) {
            let forced = acceptor.forced();
            if !forced.is_empty() {
                acceptor.push(&forced);
                written.extend_from_slice(&forced);
                let ids = self.tokens.encode(&String::from_utf8_lossy(&forced))?;
                self.work.written += ids.len() as u64;
                sequence.extend_from_slice(&ids);
                logits = None;
            }
            if acceptor.is_finished() || sequence.len() >= self.context_tokens() {
                break;
            }
            let mut row = match logits.take() {
                Some(row) => row,
                None => self.take_prompt(&sequence, stop)?,
            };
            let can_end = acceptor.is_complete();
            let next = sampler.pick(&mut row, |id| {
                (can_end && self.tokens.is_stop(id)) || (!self.tokens.is_control(id) && acceptor.accepts(self.tokens.bytes_of(id)))
            });
            let bytes = self.tokens.bytes_of(next).to_vec();
            if self.tokens.is_stop(next) || !acceptor.push(&bytes) {
                break;
            }
            self.work.written += 1;
            written.extend_from_slice(&bytes);
            sequence.push(next);
            logits = Some(self.append(&[next], stop)?);
        }
        if !acceptor.is_complete() {
            written.extend(acceptor.closing());
        }
        Ok(String::from_utf8_lossy(&written).into_owned())
    }

    /// Which continuation the model finds likeliest, by mean log-likelihood a token.
    pub(crate) fn choose(&mut self, prompt: &[u32], continuations: &[String], stop: &AtomicBool) -> Result<usize, EngineError> {
        let mut best = (0, f32::NEG_INFINITY);
        for (index, continuation) in continuations.iter().enumerate() {
            let ids = self.tokens.encode(continuation)?;
            let Some((first, rest)) = ids.split_first() else { continue };
            let opening = self.take_prompt(prompt, stop)?;
            let mut sum = log_likelihood(&opening, *first);
            if !rest.is_empty() && prompt.len() + ids.len() <= self.context_tokens() {
                let rows = self.append_rows(&ids[..ids.len() - 1], ids.len() - 1, stop)?;
                for (row, id) in rows.iter().zip(rest) {
                    sum += log_likelihood(row, *id);
                }
            }
            let mean = sum / ids.len() as f32;
            if mean > best.1 {
                best = (index, mean);
            }
        }
        Ok(best.0)
    }

    /// Makes the sequence equal to the prompt, computing only what differs from the last one. Gives the logits after it.
    fn take_prompt(&mut self, prompt: &[u32], stop: &AtomicBool) -> Result<Vec<f32>, EngineError> {
        let context = self.context_tokens();
        if prompt.is_empty() || prompt.len() >= context {
            return Err(EngineError::TooLong {
                tokens: prompt.len(),
                context,
            });
        }
        let shared = self.sequence.iter().zip(prompt).take_while(|(old, new)| old == new).count();
        // The last token is always computed again: its logits are what is wanted.
        let kept = shared.min(prompt.len() - 1).min(self.network.len());
        self.sequence.truncate(kept);
        self.network.truncate(kept);
        self.work.cached = self.work.cached.max(kept as u64);
        self.work.prompt += (prompt.len() - kept) as u64;
        let mut logits = Vec::new();
        for piece in prompt[kept..].chunks(PIECE_TOKENS) {
            logits = self.append(piece, stop)?;
        }
        Ok(logits)
    }

    fn append(&mut self, ids: &[u32], stop: &AtomicBool) -> Result<Vec<f32>, EngineError> {
        let mut rows = self.append_rows(ids, 1, stop)?;
        Ok(rows.pop().unwrap_or_default())
    }

    fn append_rows(&mut self, ids: &[u32], wanted: usize, stop: &AtomicBool) -> Result<Vec<Vec<f32>>, EngineError> {
        if stop.load(Ordering::Relaxed) {
            return Err(EngineError::Stopped);
        }
        let network = &mut self.network;
        let rows: Tensor = self.threads.install(|| network.forward(ids, wanted))?;
        self.sequence.extend_from_slice(ids);
        Ok(rows.to_vec2::<f32>()?)
    }
}

fn log_likelihood(logits: &[f32], id: u32) -> f32 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - highest).exp()).sum();
    logits
        .get(id as usize)
        .map_or(f32::NEG_INFINITY, |logit| logit - highest - sum.ln())
}
