//! Where a path leads: as it was written, by which links, and where it ends, so that rules judge every spelling alike.
//!
//! Opens names only, never a file's content. What cannot be followed to its end is an error.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use steward_domain::files::{FileLimit, FileRules, Place, Touched, TouchedFile};

use super::resolve::open_child;
use super::{FileError, InsidePath, SEEN_INSIDE, Workspace};

/// As many as the kernel follows.
const MAX_LINKS: usize = 40;

impl Workspace {
    /// The files that `texts` name, for the gate.
    ///
    /// # Errors
    /// When one of them is no path, or cannot be followed to its end.
    pub fn touched(&self, texts: &[&str]) -> Result<Touched, FileError> {
        let files: Result<Vec<TouchedFile>, FileError> = texts.iter().map(|text| self.touched_file(text)).collect();
        Ok(Touched {
            roots: self.root_names(),
            files: files?,
            is_all: true,
        })
    }

    fn touched_file(&self, text: &str) -> Result<TouchedFile, FileError> {
        let places = match self.locate(text) {
            Ok(path) => self.follow(&path)?,
            // No tool opens it; the rules may still have something to say about it.
            Err(FileError::Outside { .. }) => vec![self.outside(Path::new(text))],
            Err(error) => return Err(error),
        };
        Ok(TouchedFile { places })
    }

    /// The host's paths of the workspace; where the sandbox shows it is no place on the host.
    fn root_names(&self) -> Vec<String> {
        let roots = self.inner.roots.iter().filter(|root| root.as_path() != Path::new(SEEN_INSIDE));
        let mut names: Vec<String> = roots.map(|root| shown(&normal(root))).collect();
        names.dedup();
        names
    }

    /// Walks by handle, and follows links itself, so that each of them is seen.
    fn follow(&self, path: &InsidePath) -> Result<Vec<Place>, FileError> {
        let mut places = vec![inside(path.as_path())];
        let mut rest: VecDeque<OsString> = path.as_path().iter().map(OsStr::to_owned).collect();
        let mut here: Vec<(OsString, OwnedFd)> = Vec::new();
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                if here.pop().is_none() {
                    places.push(self.outside(&joined(&[], Some(&part), &rest)));
                    return Ok(places);
                }
                continue;
            }
            let folder = here.last().map_or(self.inner.root.as_fd(), |(_, handle)| handle.as_fd());
            let handle = match open_child(folder, &part, OFlags::PATH) {
                Ok(handle) => handle,
                Err(Errno::NOENT | Errno::NOTDIR) if !rest.iter().any(|part| part == "..") => {
                    add(&mut places, inside(&joined(&here, Some(&part), &rest)));
                    return Ok(places);
                }
                Err(errno) => return Err(FileError::opening(path, errno)),
            };
            let stat = rustix::fs::fstat(&handle).map_err(|errno| FileError::io("looking at", path, errno))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                here.push((part, handle));
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(FileError::opening(path, Errno::LOOP));
            }
            add(&mut places, inside(&joined(&here, Some(&part), &VecDeque::new())));
            let target = rustix::fs::readlinkat(&handle, "", Vec::new()).map_err(|errno| FileError::io("reading the link", path, errno))?;
            let target = Path::new(OsStr::from_bytes(target.as_bytes()));
            if target.is_absolute() {
                places.push(self.outside(&target.join(joined(&[], None, &rest))));
                return Ok(places);
            }
            for part in target.iter().rev().filter(|part| *part != ".") {
                rest.push_front(part.to_owned());
            }
        }
        add(&mut places, inside(&joined(&here, None, &rest)));
        Ok(places)
    }

    fn outside(&self, path: &Path) -> Place {
        let is_home = path.starts_with("~");
        let path = if is_home { path.to_owned() } else { self.inner.path.join(path) };
        Place::Outside {
            path: shown(&normal(&path)),
        }
    }

    /// The path of an open handle now, relative to the workspace, if the rules leave it to the call.
    ///
    /// # Errors
    /// When a rule hides it, or it is not in the workspace any more.
    pub(crate) fn admit(&self, handle: impl AsFd, path: &InsidePath, rules: &dyn FileRules) -> Result<PathBuf, FileError> {
        if !rules.may_limit_below("") {
            return Ok(path.as_path().to_owned());
        }
        let at = |handle: &dyn AsFd| {
            use std::os::fd::AsRawFd;
            std::fs::read_link(format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd()))
                .map_err(|error| FileError::io("looking at", path, error))
        };
        let (root, real) = (at(&self.inner.root)?, at(&handle)?);
        let real = real
            .strip_prefix(&root)
            .map_err(|_| FileError::Outside { path: path.to_string() })?;
        let limit = rules.limit(&shown(real));
        if let FileLimit::Hidden { rule } = limit {
            return Err(FileError::Barred {
                path: path.to_string(),
                rule,
            });
        }
        Ok(real.to_owned())
    }
}

fn add(places: &mut Vec<Place>, place: Place) {
    if !places.contains(&place) {
        places.push(place);
    }
}

fn inside(path: &Path) -> Place {
    Place::Inside { path: shown(path) }
}

/// Rules are text, so what is no UTF-8 is shown with marks.
pub(crate) fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Do the rules hide what is at `path`, relative to the workspace?
pub(crate) fn is_hidden(rules: &dyn FileRules, path: &Path) -> bool {
    matches!(rules.limit(&shown(path)), FileLimit::Hidden { .. })
}

/// What a result says about what it leaves out.
pub(crate) fn hidden_note(count: usize) -> String {
    match count {
        1 => "[1 entry is left out: a rule of the policy closes it]".to_owned(),
        _ => format!("[{count} entries are left out: rules of the policy close them]"),
    }
}

fn joined(here: &[(OsString, OwnedFd)], part: Option<&OsString>, rest: &VecDeque<OsString>) -> PathBuf {
    here.iter().map(|(name, _)| name).chain(part).chain(rest).collect()
}

/// Takes `.` and `..` out by the text.
fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir => {}
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => parts.push(component),
        }
    }
    parts
}

#[cfg(test)]
mod tests;
