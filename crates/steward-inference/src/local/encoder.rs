//! The bundled sentence encoder: short texts to unit vectors, the same vector for the same text always.
//!
//! Its weights come with the program; they are unpacked on first use and stay for the life of the process.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

/// Longer texts are cut; the encoder reads about this many letters anyway.
const TEXT_MAX: usize = 1_000;
/// How many vectors are kept.
const KEPT_MAX: usize = 1_024;

/// The vectors of texts, or why there are none.
pub(crate) fn embed(texts: &[&str]) -> Result<Vec<Vec<f32>>, String> {
    let encoder = pocket_encoder::Encoder::new().map_err(|problem| problem.to_string())?;
    texts.iter().map(|text| embed_one(&encoder, text)).collect()
}

fn embed_one(encoder: &pocket_encoder::Encoder, text: &str) -> Result<Vec<f32>, String> {
    let cut: String = text.trim().chars().take(TEXT_MAX).collect();
    if cut.is_empty() {
        return Ok(Vec::new());
    }
    if let Ok(kept) = kept().lock()
        && let Some(vector) = kept.get(&cut)
    {
        return Ok(vector.clone());
    }
    let mut vectors = encoder.embed(&[cut.as_str()]).map_err(|problem| problem.to_string())?;
    let vector = vectors.pop().unwrap_or_default();
    if let Ok(mut kept) = kept().lock() {
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(cut, vector.clone());
    }
    Ok(vector)
}

fn kept() -> &'static Mutex<HashMap<String, Vec<f32>>> {
    static KEPT: OnceLock<Mutex<HashMap<String, Vec<f32>>>> = OnceLock::new();
    KEPT.get_or_init(Mutex::default)
}

/// How near two unit vectors are, from -1 to 1; 0 when one is empty.
pub(crate) fn nearness(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
