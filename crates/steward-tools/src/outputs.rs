//! Whole outputs of commands: kept piece by piece while a command runs, so that the model can read on in what it is not shown.
//!
//! Where they are kept is the caller's business; this only says what is promised.

use futures_util::future::BoxFuture;

/// Keeps outputs.
pub trait Outputs: Send + Sync {
    /// Keeps a piece, which ends where a row ends (see `steward_domain::rows`); durable when it returns. The error is a sentence.
    fn keep(&self, piece: Vec<u8>) -> BoxFuture<'_, Result<Piece, String>>;

    /// Makes one output of pieces in order. Gives the path that `read` takes for it.
    fn join(&self, pieces: Vec<Piece>) -> BoxFuture<'_, Result<String, String>>;
}

/// A piece of an output that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its name where it is kept.
    pub name: String,
    /// Its rows.
    pub rows: usize,
}
