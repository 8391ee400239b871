//! What two messages must have in common, however near they are: numbers, negations, names and what is in quotes.
//!
//! Encoders hardly see these: "in 2023" and "in 2024", "with" and "without" are near to them. A false refusal costs a call, no more.

/// Words that turn a sentence round.
const NEGATIONS: [&str; 16] = [
    "not", "no", "never", "without", "none", "cannot", "neither", "nor", "except", "nicht", "kein", "keine", "ohne", "pas", "sans", "sin",
];

/// Opposites that ask for other answers.
const SIDES: [&str; 24] = [
    "first", "last", "min", "max", "minimum", "maximum", "before", "after", "increase", "decrease", "start", "stop", "enable", "disable",
    "open", "close", "highest", "lowest", "largest", "smallest", "buy", "sell", "to", "from",
];

/// What must be equal, in its order: from Rome to Oslo is not from Oslo to Rome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guard {
    numbers: Vec<String>,
    negations: usize,
    sides: Vec<String>,
    names: Vec<String>,
    quotes: Vec<String>,
}

impl Guard {
    pub(crate) fn of(text: &str) -> Self {
        let mut guard = Guard::default();
        let mut is_sentence_start = true;
        for token in text.split_whitespace() {
            let word = token.trim_matches(|letter: char| !letter.is_alphanumeric() && letter != '-' && letter != '+');
            let lower = word.to_lowercase();
            if word.chars().any(char::is_numeric) {
                guard.numbers.push(lower.clone());
            }
            if NEGATIONS.contains(&lower.as_str()) || lower.ends_with("n't") || lower.ends_with("n’t") {
                guard.negations += 1;
            }
            if SIDES.contains(&lower.as_str()) {
                guard.sides.push(lower.clone());
            }
            let is_pronoun = lower == "i" || lower.starts_with("i'") || lower.starts_with("i’");
            // The first word of a sentence is no name for being written large.
            if !is_sentence_start && !is_pronoun && word.chars().next().is_some_and(char::is_uppercase) {
                guard.names.push(lower);
            }
            is_sentence_start = token.ends_with(['.', '!', '?', ':']);
        }
        guard.quotes = text.split(['"', '`', '“', '”']).skip(1).step_by(2).map(str::to_owned).collect();
        guard
    }
}
