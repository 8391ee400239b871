//! Blobs: large contents outside the rows, the same content once.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use steward_domain::clock::Timestamp;
use steward_domain::id::BlobId;

use crate::error::StoreError;
use crate::tx::Tx;

/// A content to keep. Made outside the writer's thread, because hashing takes time.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBlob {
    sha256: String,
    media_type: String,
    data: Vec<u8>,
    created_at: Timestamp,
}

impl NewBlob {
    /// Hashes the content.
    pub fn new(data: Vec<u8>, media_type: &str, now: Timestamp) -> Self {
        NewBlob {
            sha256: sha256_hex(&data),
            media_type: media_type.to_owned(),
            data,
            created_at: now,
        }
    }

    /// SHA-256 of the content in lower-case hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

/// What is known of a blob without its content.
#[derive(Clone, Debug, PartialEq)]
pub struct BlobRow {
    /// Its id.
    pub id: BlobId,
    /// SHA-256 of the content in lower-case hex.
    pub sha256: String,
    /// The media type it was first stored with.
    pub media_type: String,
    /// Bytes of the content.
    pub size_bytes: u64,
    /// When it was first stored, to the millisecond.
    pub created_at: Timestamp,
}

/// SHA-256 in lower-case hex.
pub fn sha256_hex(data: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(data) {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
    }
    hex
}

/// Stores a content, or finds it, and gives its id.
pub fn insert(tx: &mut Tx<'_>, blob: &NewBlob) -> Result<BlobId, StoreError> {
    tx.execute(
        "INSERT INTO blobs (id, sha256, media_type, size_bytes, data, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (sha256) DO NOTHING",
        &[
            &BlobId::generate(),
            &blob.sha256,
            &blob.media_type,
            &blob.data.len(),
            &blob.data,
            &blob.created_at,
        ],
    )?;
    tx.query_one("SELECT id FROM blobs WHERE sha256 = ?1", &[&blob.sha256], |row| row.next())
}

/// What is known of a blob.
pub fn info(tx: &mut Tx<'_>, id: &BlobId) -> Result<Option<BlobRow>, StoreError> {
    tx.query_optional(
        "SELECT id, sha256, media_type, size_bytes, created_at FROM blobs WHERE id = ?1",
        &[id],
        |row| {
            Ok(BlobRow {
                id: row.next()?,
                sha256: row.next()?,
                media_type: row.next()?,
                size_bytes: row.next()?,
                created_at: row.next()?,
            })
        },
    )
}

/// At most `length_bytes` bytes of a content from `from_byte` on; empty past its end, `None` where there is no such blob.
pub fn get(tx: &mut Tx<'_>, id: &BlobId, from_byte: usize, length_bytes: usize) -> Result<Option<Vec<u8>>, StoreError> {
    // PostgreSQL counts in 31 bits here; a content cannot be larger than that on either database.
    let largest = i32::MAX as usize / 2;
    let first = from_byte.min(largest) + 1;
    tx.query_optional(
        "SELECT substr(data, CAST(?2 AS INTEGER), CAST(?3 AS INTEGER)) FROM blobs WHERE id = ?1",
        &[id, &first, &length_bytes.min(largest)],
        |row| row.next(),
    )
}
