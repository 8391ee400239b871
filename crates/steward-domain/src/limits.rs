//! What a turn may use before it must end.

use std::time::Duration;

use crate::money::Usd;

/// Limits of one turn. All are on by default.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnLimits {
    /// Model calls.
    pub steps: u32,
    /// Input and output tokens together.
    pub tokens: u64,
    /// Money for model calls.
    pub turn_usd: Usd,
    /// Wall time, waiting for a person not counted.
    pub turn_time: Duration,
    /// Characters of one tool result that the model sees; the rest is kept as a blob.
    pub tool_output_chars: usize,
    /// The same call with the same result this many times ends the turn.
    pub repeats: u32,
    /// Characters of one workspace file in context.
    pub file_chars: usize,
    /// Characters of all workspace files in context.
    pub files_chars: usize,
}

impl Default for TurnLimits {
    fn default() -> Self {
        TurnLimits {
            steps: 20,
            tokens: 2_000_000,
            turn_usd: Usd::from_pico(500_000_000_000),
            turn_time: Duration::from_secs(30 * 60),
            tool_output_chars: 16_000,
            repeats: 3,
            file_chars: 20_000,
            files_chars: 60_000,
        }
    }
}
