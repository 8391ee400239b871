//! The choice among targets: a pure function of what was known, so that it can be recomputed.
//!
//! No clock, no random source, no state. The seed is an evenly spread point, which keeps the shares of equals even.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::spread::{mixed, point};
use crate::config::{Strategy, WeightsConfig, WhenFull};

/// Two times, prices or scores as close as this count as equal, and equals share evenly.
const LATENCY_TIE: f64 = 1.25;
const PRICE_TIE: f64 = 1.01;
const SCORE_TIE: f64 = 1.05;

/// How steeply the share falls with the distance beyond a tie. Tenfold slower leaves less than one in a thousand.
const LATENCY_STEEPNESS: i32 = 4;
const SCORE_STEEPNESS: i32 = 16;

/// Tokens of an answer, where nothing was measured.
const USUAL_OUTPUT_TOKENS: f64 = 256.0;

/// Failures make a target look so much slower at most.
const LEAST_SUCCESS: f64 = 0.05;

/// Everything a choice depends on, beside its seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// How to pick.
    pub strategy: Strategy,
    /// What `adaptive` weighs.
    pub weights: WeightsConfig,
    /// Whether a full window sends a request on.
    pub when_full: WhenFull,
    /// The share of answers within the objective that `cost` asks for; absent without an objective.
    pub objective_share: Option<f64>,
    /// Estimated tokens of the request.
    pub input_tokens: u64,
    /// The targets, in the order of the configuration.
    #[schemars(with = "Vec<Known>")]
    pub targets: SmallVec<[Known; 1]>,
}

/// What was known of one target.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Known {
    /// Its breaker.
    pub breaker: BreakerState,
    /// It has what the request needs, as far as is known.
    pub is_able: bool,
    /// Its weight.
    pub weight: f64,
    /// Average time to first content, in milliseconds; absent while nothing was measured.
    pub ttft_ms: Option<f64>,
    /// Average time per output token after the first, in milliseconds.
    pub tpot_ms: Option<f64>,
    /// Requests under way.
    pub in_flight: u32,
    /// Requests its congestion window allows at once.
    pub window: u32,
    /// Share of requests that failed lately.
    pub failing: f64,
    /// Share of answers within the route's objective; absent while nothing was measured.
    pub attained: Option<f64>,
    /// Pico-dollars an input token; absent when the price is not known.
    pub input_price: Option<f64>,
    /// Pico-dollars an input token that comes from the provider's cache.
    pub cached_price: Option<f64>,
    /// Pico-dollars an output token.
    pub output_price: Option<f64>,
    /// Share of input tokens that came from the cache lately.
    pub cache_hits: f64,
    /// Tokens of an answer lately; absent while nothing was measured.
    pub output_tokens: Option<f64>,
}

/// The state of a breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Calls go through.
    #[default]
    Closed,
    /// No call goes through.
    Open,
    /// One probe may go through, or is on its way.
    HalfOpen,
}

impl BreakerState {
    /// Its name, as shown.
    pub fn name(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half-open",
        }
    }
}

/// Targets by their position in the configuration, first choice first.
pub type Order = SmallVec<[u16; 4]>;

/// How well a target does before anything is weighed. Better ones come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    Fit,
    MissesObjective,
    Full,
    Broken,
    Unable,
}

/// Ranks the targets, first choice first. Every target is in the order, also those that cannot be asked now.
pub fn choose(inputs: &Inputs, seed: u64) -> Order {
    let count = inputs.targets.len();
    let mut order: Order = (0..u16::try_from(count).unwrap_or(u16::MAX)).collect();
    if count < 2 {
        return order;
    }
    let measures = Measures::of(inputs);
    match inputs.strategy {
        Strategy::Priority => {}
        Strategy::Weighted => draw_by_weight(&mut order, inputs, seed),
        Strategy::Latency | Strategy::Cost => by_measure(&mut order, &measures, |left, right| left.total_cmp(&right)),
        Strategy::Adaptive => by_measure(&mut order, &measures, |left, right| right.total_cmp(&left)),
    }
    // Stable: within a tier the order stays.
    order.sort_by_key(|&index| tier(inputs, &inputs.targets[usize::from(index)]));
    let first_tier = tier(inputs, &inputs.targets[usize::from(order[0])]);
    let peers = order
        .iter()
        .take_while(|&&index| tier(inputs, &inputs.targets[usize::from(index)]) == first_tier)
        .count();
    if let Some(first) = draw_first(&order[..peers], inputs.strategy, &measures, seed) {
        order[..=first].rotate_right(1);
    }
    order
}

/// What each target scored, in the order of the configuration: milliseconds for `latency`, pico-dollars for `cost`, points between 0
/// and 1 for `adaptive`. Strategies that go by order or weight have none.
pub fn scores(inputs: &Inputs) -> Vec<Option<f64>> {
    match inputs.strategy {
        Strategy::Priority | Strategy::Weighted => vec![None; inputs.targets.len()],
        Strategy::Latency | Strategy::Cost | Strategy::Adaptive => {
            let measures = Measures::of(inputs);
            let finite = |value: &f64| value.is_finite().then_some(*value);
            measures.0.iter().map(finite).collect()
        }
    }
}

fn tier(inputs: &Inputs, target: &Known) -> Tier {
    if !target.is_able {
        return Tier::Unable;
    }
    if target.breaker == BreakerState::Open {
        return Tier::Broken;
    }
    if inputs.when_full == WhenFull::Spill && target.in_flight >= target.window {
        return Tier::Full;
    }
    let misses = inputs
        .objective_share
        .zip(target.attained)
        .is_some_and(|(wanted, attained)| attained < wanted);
    if inputs.strategy == Strategy::Cost && misses {
        return Tier::MissesObjective;
    }
    Tier::Fit
}

/// One number for each target: what its strategy compares.
struct Measures(SmallVec<[f64; 8]>);

impl Measures {
    fn of(inputs: &Inputs) -> Self {
        let targets = &inputs.targets;
        match inputs.strategy {
            Strategy::Priority | Strategy::Weighted => Measures(SmallVec::new()),
            Strategy::Latency => {
                let best = best_answer_ms(inputs);
                Measures(targets.iter().map(|target| expected_ms(inputs, target, best)).collect())
            }
            Strategy::Cost => Measures(
                targets
                    .iter()
                    .map(|target| price(inputs, target).unwrap_or(f64::INFINITY))
                    .collect(),
            ),
            Strategy::Adaptive => Measures(adaptive(inputs)),
        }
    }

    fn at(&self, index: u16) -> f64 {
        self.0.get(usize::from(index)).copied().unwrap_or(f64::INFINITY)
    }
}

/// The time of a whole answer of usual length; `None` while nothing was measured.
fn answer_ms(inputs: &Inputs, target: &Known) -> Option<f64> {
    let tokens = usual_output(inputs);
    Some(target.ttft_ms?.max(0.01) + target.tpot_ms.unwrap_or(0.0) * tokens)
}

/// The same length for all, or whoever writes more would look slower.
fn usual_output(inputs: &Inputs) -> f64 {
    let (sum, count) = inputs
        .targets
        .iter()
        .filter_map(|target| target.output_tokens)
        .fold((0.0, 0.0), |(sum, count), tokens| (sum + tokens, count + 1.0));
    if count > 0.0 { sum / count } else { USUAL_OUTPUT_TOKENS }
}

fn best_answer_ms(inputs: &Inputs) -> f64 {
    let times = inputs
        .targets
        .iter()
        .filter(|target| target.is_able && target.breaker != BreakerState::Open)
        .filter_map(|target| answer_ms(inputs, target));
    times.min_by(f64::total_cmp).unwrap_or(1.0)
}

/// The time of an answer, times the requests under way with it, more the more it fails. Whoever was never measured counts as the best.
fn expected_ms(inputs: &Inputs, target: &Known, best_ms: f64) -> f64 {
    let success = (1.0 - target.failing).max(LEAST_SUCCESS);
    let time_ms = answer_ms(inputs, target).unwrap_or(best_ms);
    time_ms * f64::from(target.in_flight + 1) / (success * success)
}

/// What the request is expected to cost, in pico-dollars; `None` when the price is not known.
fn price(inputs: &Inputs, target: &Known) -> Option<f64> {
    let (input, output) = target.input_price.zip(target.output_price)?;
    let cached = target.cached_price.unwrap_or(input);
    let hits = target.cache_hits.clamp(0.0, 1.0);
    let each_input = cached * hits + input * (1.0 - hits);
    Some(each_input * inputs.input_tokens as f64 + output * usual_output(inputs))
}

/// Points between 0 and 1: each part is 1 for the best and falls with the ratio to it.
fn adaptive(inputs: &Inputs) -> SmallVec<[f64; 8]> {
    let weights = &inputs.weights;
    let sum = weights.latency + weights.cost + weights.health + weights.headroom;
    let best_ms = best_answer_ms(inputs);
    let prices = inputs.targets.iter().map(|target| price(inputs, target));
    let cheapest = prices.flatten().min_by(f64::total_cmp);
    let points = |target: &Known| {
        let latency = best_ms / answer_ms(inputs, target).unwrap_or(best_ms).max(best_ms);
        // An unknown price is no reason to prefer a target.
        let cost = match (price(inputs, target), cheapest) {
            (Some(price), Some(cheapest)) if price > 0.0 => cheapest / price,
            (Some(_), _) => 1.0,
            (None, Some(_)) => 0.0,
            (None, None) => 1.0,
        };
        let health = match target.breaker {
            BreakerState::Closed => 1.0 - target.failing,
            BreakerState::HalfOpen => 0.5,
            BreakerState::Open => 0.0,
        };
        let headroom = 1.0 - (f64::from(target.in_flight) / f64::from(target.window.max(1))).min(1.0);
        let weighed = weights.latency * latency + weights.cost * cost + weights.health * health + weights.headroom * headroom;
        if sum > 0.0 { weighed / sum } else { 0.0 }
    };
    inputs.targets.iter().map(points).collect()
}

fn by_measure(order: &mut Order, measures: &Measures, compare: impl Fn(f64, f64) -> std::cmp::Ordering) {
    order.sort_by(|&left, &right| compare(measures.at(left), measures.at(right)));
}

/// Which of the peers is asked first. `None` leaves them as they are.
fn draw_first(peers: &[u16], strategy: Strategy, measures: &Measures, seed: u64) -> Option<usize> {
    if peers.len() < 2 {
        return None;
    }
    let best = measures.at(peers[0]);
    match strategy {
        Strategy::Priority | Strategy::Weighted => None,
        Strategy::Latency => Some(quicker_of_two(peers, measures, seed)),
        Strategy::Cost => Some(draw(peers.len(), seed, |position| {
            let is_as_cheap = measures.at(peers[position]) <= best * PRICE_TIE;
            if is_as_cheap { 1.0 } else { 0.0 }
        })),
        Strategy::Adaptive => Some(draw(peers.len(), seed, |position| {
            let points = measures.at(peers[position]);
            preference(best, points, SCORE_TIE, SCORE_STEEPNESS)
        })),
    }
}

/// Two are looked at, and the quicker is taken; of two that are alike each gets its share.
fn quicker_of_two(peers: &[u16], measures: &Measures, seed: u64) -> usize {
    let count = peers.len() as u64;
    let (one, other) = if count == 2 {
        (0, 1)
    } else {
        let random = mixed(seed);
        let one = random % count;
        let other = (one + 1 + (random >> 32) % (count - 1)) % count;
        (one as usize, other as usize)
    };
    let (one_ms, other_ms) = (measures.at(peers[one]), measures.at(peers[other]));
    let quicker_ms = one_ms.min(other_ms);
    let share_of_one = preference(one_ms, quicker_ms, LATENCY_TIE, LATENCY_STEEPNESS);
    let share_of_other = preference(other_ms, quicker_ms, LATENCY_TIE, LATENCY_STEEPNESS);
    if point(seed) * (share_of_one + share_of_other) < share_of_one {
        one
    } else {
        other
    }
}

/// How much the worse counts beside the better: 1 within the tie, then steeply less. `larger` over `smaller` is the distance.
fn preference(larger: f64, smaller: f64, tie: f64, steepness: i32) -> f64 {
    if larger <= smaller * tie {
        return 1.0;
    }
    if smaller <= 0.0 || !larger.is_finite() {
        return 0.0;
    }
    (smaller * tie / larger).powi(steepness)
}

/// Orders by evenly spread draws without putting back: what a target leaves is shared by the others according to their weights.
fn draw_by_weight(order: &mut Order, inputs: &Inputs, seed: u64) {
    // Those that cannot be asked draw last, or their share would all go to one neighbour.
    order.sort_by_key(|&index| tier(inputs, &inputs.targets[usize::from(index)]));
    let mut seed = seed;
    for start in 0..order.len().saturating_sub(1) {
        let first_tier = tier(inputs, &inputs.targets[usize::from(order[start])]);
        let peers = order[start..]
            .iter()
            .take_while(|&&index| tier(inputs, &inputs.targets[usize::from(index)]) == first_tier)
            .count();
        let drawn = draw(peers, seed, |position| inputs.targets[usize::from(order[start + position])].weight);
        order[start..=start + drawn].rotate_right(1);
        seed = mixed(seed);
    }
}

/// The position whose interval holds the seed's point; the first when nothing weighs anything.
fn draw(count: usize, seed: u64, weight: impl Fn(usize) -> f64) -> usize {
    let total: f64 = (0..count).map(&weight).sum();
    if total <= 0.0 || !total.is_finite() {
        return 0;
    }
    let mut left = point(seed) * total;
    let mut last_with_weight = 0;
    for position in 0..count {
        let own = weight(position);
        if own <= 0.0 {
            continue;
        }
        if left < own {
            return position;
        }
        left -= own;
        last_with_weight = position;
    }
    last_with_weight
}

#[cfg(test)]
mod tests;
