//! Keeps whole outputs of which the model sees a part, and reads on in them.
//!
//! A large output is kept in pieces and a list of them, so that neither writing nor reading holds all of it in memory.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use steward_domain::clock::Clock;
use steward_domain::rows::rows;
use steward_store::blobs::NewBlob;
use steward_store::{Store, blobs};

/// Bytes read of a content that is in one piece.
const BLOB_BYTES: usize = 8 * 1024 * 1024;
/// The media type of a list of pieces.
const PIECES: &str = "application/vnd.steward.pieces+json";
/// Characters for the note at the end of an excerpt.
const NOTE_CHARS: usize = 120;

/// Outputs in the store.
#[derive(Clone)]
pub struct OutputStore {
    store: Store,
    clock: Arc<dyn Clock>,
}

/// A piece of an output that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPiece {
    /// The blob.
    pub blob: String,
    /// Its rows.
    pub rows: usize,
}

/// Which rows are wanted, both ends included, counted from 1; and at most how many characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The first row.
    pub from: usize,
    /// The last row.
    pub to: usize,
    /// Characters of the answer, its note included.
    pub max_chars: usize,
}

impl OutputStore {
    /// Outputs in a store.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        OutputStore { store, clock }
    }

    /// Keeps a piece. Durable when it returns.
    ///
    /// # Errors
    /// A sentence, such as that the disk is full.
    pub async fn keep(&self, piece: Vec<u8>) -> Result<KeptPiece, String> {
        let rows = rows(&piece).count();
        let blob = self.insert(piece, "text/plain").await?;
        Ok(KeptPiece { blob, rows })
    }

    /// Makes one output of pieces that end where rows end, and gives its blob.
    ///
    /// # Errors
    /// As for [`OutputStore::keep`].
    pub async fn join(&self, pieces: Vec<KeptPiece>) -> Result<String, String> {
        if let [only] = &pieces[..] {
            return Ok(only.blob.clone());
        }
        let list = serde_json::to_vec(&pieces).map_err(|error| error.to_string())?;
        self.insert(list, PIECES).await
    }

    /// Rows of an output, with a note when not all that was wanted fits.
    ///
    /// # Errors
    /// A sentence: there is no such blob, it has fewer rows, or the store cannot be read.
    pub async fn read(&self, blob: &str, wanted: Wanted) -> Result<String, String> {
        let mut excerpt = Excerpt::new(wanted);
        for piece in self.pieces(blob).await? {
            let is_before = piece.rows != 0 && excerpt.row + piece.rows < wanted.from;
            if is_before {
                excerpt.row += piece.rows;
                continue;
            }
            let data = self.data(&piece.blob).await?.ok_or("a piece of the output is gone")?;
            if !excerpt.take(&data) {
                break;
            }
        }
        excerpt.text()
    }

    async fn pieces(&self, blob: &str) -> Result<Vec<KeptPiece>, String> {
        let id = blob.into();
        let info = self.store.read(move |tx| blobs::info(tx, &id)).await.map_err(unreadable)?;
        let info = info.ok_or("there is no such blob")?;
        if info.media_type != PIECES {
            // How many rows it has shows when it is read.
            let whole = KeptPiece {
                blob: blob.to_owned(),
                rows: 0,
            };
            return Ok(vec![whole]);
        }
        let list = self.data(blob).await?.unwrap_or_default();
        serde_json::from_slice(&list).map_err(|error| format!("the list of its pieces is damaged: {error}"))
    }

    async fn data(&self, blob: &str) -> Result<Option<Vec<u8>>, String> {
        let id = blob.into();
        self.store
            .read(move |tx| blobs::get(tx, &id, 0, BLOB_BYTES))
            .await
            .map_err(unreadable)
    }

    async fn insert(&self, data: Vec<u8>, media_type: &'static str) -> Result<String, String> {
        let now = self.clock.now();
        let made = tokio::task::spawn_blocking(move || NewBlob::new(data, media_type, now)).await;
        let blob = made.map_err(|error| error.to_string())?;
        let kept = self.store.write(move |tx| blobs::insert(tx, &blob)).await;
        kept.map(|id| id.as_str().to_owned())
            .map_err(|error| format!("the output cannot be kept: {error}"))
    }
}

fn unreadable(error: steward_store::StoreError) -> String {
    format!("the output cannot be read: {error}")
}

/// Rows that were wanted, as far as they fit.
struct Excerpt {
    wanted: Wanted,
    text: String,
    chars: usize,
    /// Rows gone by, shown or not.
    row: usize,
    /// The last row shown.
    shown_to: usize,
    is_cut: bool,
}

impl Excerpt {
    fn new(wanted: Wanted) -> Self {
        Excerpt {
            wanted,
            text: String::new(),
            chars: 0,
            row: 0,
            shown_to: 0,
            is_cut: false,
        }
    }

    /// Takes the next piece. False when no more is wanted.
    fn take(&mut self, piece: &[u8]) -> bool {
        let room = self.wanted.max_chars.saturating_sub(NOTE_CHARS);
        for row in rows(piece) {
            self.row += 1;
            if self.row > self.wanted.to {
                return false;
            }
            if self.row < self.wanted.from {
                continue;
            }
            let row = String::from_utf8_lossy(row);
            let chars = row.chars().count();
            // One row is always shown, so that reading on gets on.
            let is_over = self.chars + chars > room && self.shown_to > 0;
            if is_over {
                self.is_cut = true;
                return false;
            }
            self.text.push_str(&row);
            self.chars += chars;
            self.shown_to = self.row;
        }
        true
    }

    fn text(mut self) -> Result<String, String> {
        if self.shown_to == 0 {
            return Err(format!("it has only {} lines", self.row));
        }
        if self.is_cut {
            let gap = if self.text.ends_with('\n') { "" } else { "\n" };
            let (from, to) = (self.wanted.from, self.shown_to);
            self.text
                .push_str(&format!("{gap}[lines {from}-{to}; read on with from={}]", to + 1));
        } else if self.text.ends_with('\n') {
            self.text.pop();
        }
        Ok(self.text)
    }
}

#[cfg(test)]
mod tests;
