//! Changes one file as a whole: compare, write beside it, sync, rename, sync the folder.
//!
//! A crash leaves the old content or the new, never a mixture. A file that is not as expected is left alone.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use super::resolve::{Links, open_child};
use super::{Current, FOLDER, FileError, InsidePath, MAX_CHANGE_BYTES, Workspace, changeable, current};

impl Workspace {
    /// Makes `path` hold `after` (`None`: removes it) if it holds `expected` now (`None`: does not exist). Missing folders are made, the mode is kept.
    ///
    /// # Errors
    /// When it is a control file, not as expected, or cannot be written. Nothing has changed then.
    pub fn replace(&self, path: &InsidePath, expected: Option<&[u8]>, after: Option<&[u8]>) -> Result<(), FileError> {
        let (parent, name) = changeable(path)?;
        if let Some(bytes) = after.filter(|bytes| bytes.len() > MAX_CHANGE_BYTES) {
            return Err(FileError::TooLarge {
                path: path.to_string(),
                size_bytes: bytes.len() as u64,
                limit_bytes: MAX_CHANGE_BYTES,
            });
        }
        let _in_order = self.inner.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = match after {
            Some(_) => self.make_folder(parent, path)?,
            None => self
                .open_beneath(parent, FOLDER, Links::Never)
                .map_err(|errno| FileError::opening(path, errno))?,
        };
        let now = current(folder.as_fd(), name, path)?;
        if now.as_ref().map(|now| now.bytes.as_slice()) != expected {
            return Err(FileError::Changed { path: path.to_string() });
        }
        match after {
            Some(bytes) => put(&folder, name, bytes, now.as_ref()).map_err(|error| FileError::io("writing", path, error))?,
            None => rustix::fs::unlinkat(&folder, name, AtFlags::empty()).map_err(|errno| FileError::io("removing", path, errno))?,
        }
        rustix::fs::fsync(&folder).map_err(|errno| FileError::io("syncing the folder of", path, errno))
    }

    /// Opens the folder `parent`, making what is missing, without following a symlink.
    fn make_folder(&self, parent: &Path, path: &InsidePath) -> Result<OwnedFd, FileError> {
        let failed = |errno| FileError::opening(path, errno);
        match self.open_beneath(parent, FOLDER, Links::Never) {
            Err(Errno::NOENT) => {}
            other => return other.map_err(failed),
        }
        let mut folder = self.open_beneath(Path::new(""), FOLDER, Links::Never).map_err(failed)?;
        for part in parent {
            folder = match open_child(folder.as_fd(), part, FOLDER) {
                Err(Errno::NOENT) => make_child(folder.as_fd(), part).map_err(failed)?,
                other => other.map_err(failed)?,
            };
        }
        Ok(folder)
    }
}

fn make_child(folder: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let made = open_child(folder, name, FOLDER)?;
    give(&made, &rustix::fs::fstat(folder)?)?;
    rustix::fs::fsync(folder)?;
    Ok(made)
}

/// Writes beside the file and renames over it.
fn put(folder: &OwnedFd, name: &OsStr, bytes: &[u8], before: Option<&Current>) -> std::io::Result<()> {
    let owner = match before {
        Some(before) => before.stat,
        None => rustix::fs::fstat(folder)?,
    };
    let (temporary, handle) = Temporary::make(folder.as_fd())?;
    give(&handle, &owner)?;
    if let Some(before) = before {
        rustix::fs::fchmod(&handle, Mode::from_raw_mode(before.stat.st_mode & 0o777))?;
    }
    let mut file = File::from(handle);
    file.write_all(bytes)?;
    file.sync_all()?;
    rustix::fs::renameat(folder, &temporary.name, folder, name)?;
    temporary.keep();
    Ok(())
}

/// When Steward is root, files belong to the owner of the workspace, not to root.
fn give(handle: &OwnedFd, like: &Stat) -> Result<(), Errno> {
    let is_ours = rustix::fs::fstat(handle)?.st_uid == like.st_uid;
    if is_ours || !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    rustix::fs::fchown(handle, Some(Uid::from_raw(like.st_uid)), Some(Gid::from_raw(like.st_gid)))
}

/// A file that is removed again unless it was renamed.
struct Temporary<'a> {
    folder: BorrowedFd<'a>,
    name: OsString,
    is_kept: bool,
}

impl<'a> Temporary<'a> {
    fn make(folder: BorrowedFd<'a>) -> Result<(Temporary<'a>, OwnedFd), Errno> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        const MAX_TRIES: usize = 16;
        for _ in 0..MAX_TRIES {
            let nanos = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos();
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = OsString::from(format!("{TEMPORARY}{}-{count}-{nanos}", std::process::id()));
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(folder, &name, flags, Mode::from_raw_mode(0o666)) {
                Ok(handle) => {
                    return Ok((
                        Temporary {
                            folder,
                            name,
                            is_kept: false,
                        },
                        handle,
                    ));
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::EXIST)
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

/// How names of half-written files begin. A crash may leave one; it is not listed and not searched.
pub(crate) const TEMPORARY: &str = ".steward-writing-";

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        if let Err(error) = rustix::fs::unlinkat(self.folder, &self.name, AtFlags::empty()) {
            tracing::warn!(%error, "a half-written file could not be removed");
        }
    }
}
