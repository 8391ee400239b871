//! The agent's folder, held by handle: every file is opened beneath it and judged by its own handle.
//!
//! Never looks a path up twice in one operation, never writes through a symlink, never blocks on a FIFO or a device.

pub(crate) mod closed;
mod control;
mod error;
mod path;
pub(crate) mod places;
pub(crate) mod replace;
pub(crate) mod resolve;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

pub use error::FileError;
pub use path::InsidePath;
use resolve::{Links, Resolver, open_child};

/// A file larger than this is not changed: its content before is kept as a checkpoint.
pub const MAX_CHANGE_BYTES: usize = 16 * 1024 * 1024;
/// Where a command in the sandbox sees the workspace, so where a model may believe that it is.
const SEEN_INSIDE: &str = "/workspace";
/// Opening never waits for the other end of a FIFO and never takes a terminal.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// An agent's folder. Cheap to clone; clones share the lock that puts changes in order.
#[derive(Clone, Debug)]
pub struct Workspace {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: OwnedFd,
    path: PathBuf,
    /// Prefixes of absolute paths that mean this workspace.
    roots: Vec<PathBuf>,
    resolver: Resolver,
    changes: Mutex<()>,
}

/// A regular file, open for reading.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) file: File,
    pub(crate) size: u64,
}

impl Workspace {
    /// Opens the folder at `path`, which must exist. A symlink at this one place is the owner's choice and is followed.
    ///
    /// # Errors
    /// When it is no folder or cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Workspace, FileError> {
        Self::open_with(path.as_ref(), Resolver::probe)
    }

    fn open_with(given: &Path, probe: impl FnOnce(BorrowedFd<'_>) -> Resolver) -> Result<Workspace, FileError> {
        let failed = |source: std::io::Error| FileError::Io {
            doing: "opening the workspace",
            path: given.display().to_string(),
            source,
        };
        let path = std::fs::canonicalize(given).map_err(failed)?;
        let root = rustix::fs::open(&path, FOLDER | OFlags::CLOEXEC, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        let resolver = probe(root.as_fd());
        let mut roots = vec![path.clone()];
        if given.is_absolute() {
            roots.push(given.to_owned());
        }
        roots.push(PathBuf::from(SEEN_INSIDE));
        Ok(Workspace {
            inner: Arc::new(Inner {
                root,
                path,
                roots,
                resolver,
                changes: Mutex::default(),
            }),
        })
    }

    /// The folder's path on the host, for the sandbox.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Reads a path as a model writes it. Absolute paths are taken when they lie in the workspace, also as `/workspace/…`.
    ///
    /// # Errors
    /// A sentence when it leaves the workspace or is no path.
    pub fn locate(&self, text: &str) -> Result<InsidePath, FileError> {
        InsidePath::parse(text, &self.inner.roots)
    }

    /// Opens a regular file for reading; symlinks that stay inside are followed.
    pub(crate) fn open_file(&self, path: &InsidePath) -> Result<OpenFile, FileError> {
        let handle = self
            .open_beneath(path.as_path(), READ, Links::Inside)
            .map_err(|errno| FileError::opening(path, errno))?;
        regular(handle, path)
    }

    /// Opens a folder for listing; symlinks that stay inside are followed.
    pub(crate) fn open_folder(&self, path: &InsidePath) -> Result<OwnedFd, FileError> {
        self.open_beneath(path.as_path(), FOLDER, Links::Inside)
            .map_err(|errno| FileError::opening(path, errno))
    }

    /// The content of a file that is to be changed; `None` when there is none. Symlinks are not followed.
    ///
    /// # Errors
    /// When it is a control file, no regular file, read-only, larger than [`MAX_CHANGE_BYTES`], or cannot be read.
    pub fn read_for_change(&self, path: &InsidePath) -> Result<Option<Vec<u8>>, FileError> {
        let (parent, name) = changeable(path)?;
        let folder = match self.open_beneath(parent, FOLDER, Links::Never) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.map_err(|errno| FileError::opening(path, errno))?,
        };
        Ok(current(folder.as_fd(), name, path)?.map(|current| current.bytes))
    }

    fn open_beneath(&self, path: &Path, flags: OFlags, links: Links) -> Result<OwnedFd, Errno> {
        self.inner.resolver.open(self.inner.root.as_fd(), path, flags, links)
    }
}

/// What a file holds now.
struct Current {
    bytes: Vec<u8>,
    stat: rustix::fs::Stat,
}

/// Splits a path that may be written.
fn changeable(path: &InsidePath) -> Result<(&Path, &std::ffi::OsStr), FileError> {
    let Some(parts) = path.split() else {
        return Err(FileError::NotAFile {
            path: path.to_string(),
            kind: "the workspace itself",
        });
    };
    if control::is_control_file(path.as_path()) {
        return Err(FileError::Control { path: path.to_string() });
    }
    Ok(parts)
}

fn current(folder: BorrowedFd<'_>, name: &std::ffi::OsStr, path: &InsidePath) -> Result<Option<Current>, FileError> {
    let handle = match open_child(folder, name, READ) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.map_err(|errno| FileError::opening(path, errno))?,
    };
    let stat = rustix::fs::fstat(&handle).map_err(|errno| FileError::io("looking at", path, errno))?;
    let open = regular(handle, path)?;
    let is_read_only = stat.st_mode & 0o222 == 0;
    if is_read_only {
        return Err(FileError::ReadOnly { path: path.to_string() });
    }
    let mut bytes = Vec::new();
    // One byte more than the limit tells a file that grew meanwhile.
    open.file
        .take(MAX_CHANGE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| FileError::io("reading", path, error))?;
    if bytes.len() > MAX_CHANGE_BYTES {
        return Err(FileError::TooLarge {
            path: path.to_string(),
            size_bytes: open.size,
            limit_bytes: MAX_CHANGE_BYTES,
        });
    }
    Ok(Some(Current { bytes, stat }))
}

/// Takes an open handle only when it is a regular file.
pub(crate) fn regular(handle: OwnedFd, path: &InsidePath) -> Result<OpenFile, FileError> {
    let stat = rustix::fs::fstat(&handle).map_err(|errno| FileError::io("looking at", path, errno))?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let size = u64::try_from(stat.st_size).unwrap_or(0);
            return Ok(OpenFile {
                file: File::from(handle),
                size,
            });
        }
        FileType::Directory => "a folder",
        FileType::Symlink => "a symlink",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "something unknown",
    };
    Err(FileError::NotAFile {
        path: path.to_string(),
        kind,
    })
}

#[cfg(test)]
mod tests;
