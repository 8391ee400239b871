//! Texts to vectors, for the semantic cache.

use crate::local::encoder;

/// Turns a text into a vector of length one; near texts have near vectors.
pub trait Embedder: Send + Sync {
    /// What it is, for reports.
    fn name(&self) -> &'static str;
    /// Texts of more characters are not read to their end.
    fn reads_chars(&self) -> usize;
    /// The vector; blocks while it is computed.
    ///
    /// # Errors
    /// Why there is none.
    fn embed(&self, text: &str) -> Result<Vec<f32>, String>;
}

/// The sentence encoder that comes with the program.
pub struct BundledEmbedder;

impl Embedder for BundledEmbedder {
    fn name(&self) -> &'static str {
        "paraphrase-MiniLM-L3-v2, 4 bit, bundled"
    }

    fn reads_chars(&self) -> usize {
        // It reads 128 tokens, of about four letters each; less, to be sure of the end.
        400
    }

    fn embed(&self, text: &str) -> Result<Vec<f32>, String> {
        Ok(encoder::embed(&[text])?.pop().unwrap_or_default())
    }
}

/// How near two vectors are, from -1 to 1; 0 when one is empty.
pub(crate) fn nearness(a: &[f32], b: &[f32]) -> f32 {
    encoder::nearness(a, b)
}
