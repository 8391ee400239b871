//! Picks the next token from the logits: the likeliest one, or by chance at a temperature, among those that are allowed.

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Tokens this far back are made less likely, so that a small model does not go round in circles.
const REPEAT_WINDOW: usize = 64;
/// By what a repeated token's logit is divided.
const REPEAT_PENALTY: f32 = 1.1;
/// By chance only these many best are considered.
const CHOICE_MAX: usize = 64;

/// How to write.
#[derive(Clone, Debug)]
pub(crate) struct Sampling {
    /// 0 takes the likeliest token.
    pub(crate) temperature: f64,
    /// Share of the probability that is considered.
    pub(crate) top_p: f64,
    /// The most tokens to write.
    pub(crate) tokens_max: usize,
    /// Texts that end the answer.
    pub(crate) stop: Vec<String>,
}

/// The state of picking during one answer.
pub(crate) struct Sampler {
    temperature: f64,
    top_p: f64,
    recent: Vec<u32>,
    chance: StdRng,
}

impl Sampler {
    pub(crate) fn new(sampling: &Sampling) -> Sampler {
        Sampler {
            temperature: sampling.temperature.max(0.0),
            top_p: sampling.top_p,
            recent: Vec::new(),
            chance: StdRng::from_rng(&mut rand::rng()),
        }
    }

    /// The next token. With nothing allowed it is the likeliest of all.
    pub(crate) fn pick(&mut self, logits: &mut [f32], is_allowed: impl Fn(u32) -> bool) -> u32 {
        let begin = self.recent.len().saturating_sub(REPEAT_WINDOW);
        let mut seen: Vec<u32> = self.recent[begin..].to_vec();
        seen.sort_unstable();
        seen.dedup();
        for id in seen {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = if *logit > 0.0 {
                    *logit / REPEAT_PENALTY
                } else {
                    *logit * REPEAT_PENALTY
                };
            }
        }
        let wanted = if self.temperature == 0.0 { 1 } else { CHOICE_MAX };
        let best = best_allowed(logits, wanted, is_allowed);
        let picked = if self.temperature == 0.0 {
            best.first().copied()
        } else {
            self.by_chance(&best, logits)
        };
        let picked = picked.unwrap_or(0);
        self.recent.push(picked);
        picked
    }

    fn by_chance(&mut self, best: &[u32], logits: &[f32]) -> Option<u32> {
        let highest = logits[*best.first()? as usize];
        let weight = |id: &u32| (f64::from(logits[*id as usize] - highest) / self.temperature).exp();
        let weights: Vec<f64> = best.iter().map(weight).collect();
        let total: f64 = weights.iter().sum();
        let mut kept = 0.0;
        let nucleus = weights.iter().take_while(|weight| {
            let is_inside = kept < self.top_p * total;
            kept += **weight;
            is_inside
        });
        let count = nucleus.count().max(1);
        let mut at = self.chance.random::<f64>() * weights[..count].iter().sum::<f64>();
        for (id, weight) in best.iter().zip(&weights).take(count) {
            at -= weight;
            if at <= 0.0 {
                return Some(*id);
            }
        }
        best.first().copied()
    }
}

/// The `wanted` likeliest tokens that are allowed. Asks about few tokens, since the likely ones mostly are.
fn best_allowed(logits: &[f32], wanted: usize, is_allowed: impl Fn(u32) -> bool) -> Vec<u32> {
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    let order = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]);
    let mut best = Vec::new();
    let (mut from, mut size) = (0, wanted.max(32));
    while from < ids.len() && best.len() < wanted {
        let end = (from + size).min(ids.len());
        if end < ids.len() {
            ids[from..].select_nth_unstable_by(end - from, order);
        }
        ids[from..end].sort_unstable_by(order);
        best.extend(ids[from..end].iter().filter(|id| is_allowed(**id)).take(wanted - best.len()));
        from = end;
        size *= 8;
    }
    best
}

#[cfg(test)]
mod tests;
