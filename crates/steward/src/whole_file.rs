//! Writes a file whole or not at all: also when the power goes in the middle, or the disk is full.
//!
//! The new text stands on the disk before it takes the old one's place. A link is followed, and a file keeps its mode.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Who may read a new file: its owner.
const OWN: u32 = 0o600;

/// Puts `bytes` in the place of what `path` holds.
///
/// # Errors
/// The file cannot be written; then what it held is still there, and nothing else is left.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode = fs::metadata(&path).map_or(OWN, |known| known.permissions().mode() & 0o777);
    let new = beside(&path);
    let placed = fill(&new, bytes, mode).and_then(|()| fs::rename(&new, &path));
    if placed.is_err() {
        // What is there is of no use, and perhaps there is nothing.
        let _ = fs::remove_file(&new);
    }
    placed?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    PathBuf::from(name)
}

fn fill(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
