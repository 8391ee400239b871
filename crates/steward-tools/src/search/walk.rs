//! The walk of a search: folder by folder, by handle, within limits.
//!
//! Each file is opened in its folder's handle, so a folder or file swapped for a symlink is not entered.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use grep_regex::RegexMatcher;
use grep_searcher::sinks::Lossy;
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{Dir, FileType, OFlags};
use steward_domain::files::FileRules;

use crate::workspace::places::is_hidden;
use crate::workspace::replace::TEMPORARY;
use crate::workspace::resolve::open_child;
use crate::workspace::{FileError, InsidePath, OpenFile, Workspace};

const MAX_MATCHES: usize = 200;
const MAX_LINE_CHARS: usize = 300;
const MAX_FILES: usize = 100_000;
const MAX_DEPTH: usize = 64;
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
const MAX_IGNORE_BYTES: u64 = 256 * 1024;
const MAX_TIME: Duration = Duration::from_secs(30);

/// What a search found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// `path:line: text`.
    pub(super) lines: Vec<String>,
    /// How many files were searched.
    pub(super) files: usize,
    /// What was left out.
    pub(super) notes: Vec<String>,
}

pub(super) struct Walk {
    matcher: RegexMatcher,
    searcher: Searcher,
    stop: Arc<AtomicBool>,
    rules: Arc<dyn FileRules>,
    began: Instant,
    skipped_large: usize,
    hidden: usize,
    found: Found,
}

impl Walk {
    pub(super) fn new(matcher: RegexMatcher, stop: Arc<AtomicBool>, rules: Arc<dyn FileRules>) -> Self {
        let searcher = SearcherBuilder::new()
            .line_number(true)
            .binary_detection(BinaryDetection::quit(0))
            .heap_limit(Some(16 * 1024 * 1024))
            .build();
        Walk {
            matcher,
            searcher,
            stop,
            rules,
            began: Instant::now(),
            skipped_large: 0,
            hidden: 0,
            found: Found::default(),
        }
    }

    pub(super) fn run(mut self, workspace: &Workspace, path: &InsidePath) -> Result<Found, FileError> {
        match workspace.open_folder(path) {
            Ok(folder) => {
                let real = workspace.admit(&folder, path, self.rules.as_ref())?;
                let place = At {
                    shown: path.as_path().to_owned(),
                    real,
                };
                self.folder(folder, place, &mut Vec::new());
            }
            Err(FileError::Unfit { .. }) => {
                let open = workspace.open_file(path)?;
                workspace.admit(&open.file, path, self.rules.as_ref())?;
                self.file(open, path.as_path());
            }
            Err(error) => return Err(error),
        }
        if self.skipped_large > 0 {
            self.found
                .notes
                .push(format!("{} files over {MAX_FILE_BYTES} bytes were left out", self.skipped_large));
        }
        if self.hidden > 0 {
            self.found
                .notes
                .push(format!("{} entries are left out: rules of the policy close them", self.hidden));
        }
        if let Some(note) = self.over() {
            self.found.notes.push(note);
        }
        Ok(self.found)
    }

    /// Why the walk must end.
    fn over(&self) -> Option<String> {
        if self.found.lines.len() >= MAX_MATCHES {
            return Some(format!("stopped at {MAX_MATCHES} matches; narrow the pattern or the path"));
        }
        if self.found.files >= MAX_FILES {
            return Some(format!("stopped after {MAX_FILES} files; narrow the path"));
        }
        if self.began.elapsed() > MAX_TIME {
            return Some(format!("stopped after {} s; narrow the path", MAX_TIME.as_secs()));
        }
        self.stop.load(Ordering::Relaxed).then(|| "stopped".to_owned())
    }

    fn folder(&mut self, folder: OwnedFd, at: At, ignores: &mut Vec<Gitignore>) {
        let Some(entries) = entries(&folder) else { return };
        let has_ignores = read_ignores(&folder, &at.shown).map(|rules| ignores.push(rules)).is_some();
        for (name, is_folder) in entries {
            if self.over().is_some() {
                break;
            }
            let name = OsStr::from_bytes(&name);
            let inner = at.join(name);
            let is_left_out =
                name == ".git" || name.as_bytes().starts_with(TEMPORARY.as_bytes()) || is_ignored(ignores, &inner.shown, is_folder);
            if is_left_out {
                continue;
            }
            let is_closed = is_hidden(self.rules.as_ref(), &inner.shown) || is_hidden(self.rules.as_ref(), &inner.real);
            if is_closed {
                self.hidden += 1;
                continue;
            }
            if is_folder {
                if ignores.len() + inner.shown.iter().count() < MAX_DEPTH
                    && let Ok(handle) = open_child(folder.as_fd(), name, OFlags::RDONLY | OFlags::DIRECTORY)
                {
                    self.folder(handle, inner, ignores);
                }
            } else if let Some(open) = open_in(&folder, name) {
                self.file(open, &inner.shown);
            }
        }
        if has_ignores {
            ignores.pop();
        }
    }

    fn file(&mut self, open: OpenFile, path: &Path) {
        if open.size > MAX_FILE_BYTES {
            self.skipped_large += 1;
            return;
        }
        self.found.files += 1;
        let lines = &mut self.found.lines;
        let shown = path.display();
        let sink = Lossy(|number, line| {
            let line = line.trim_end();
            let mut text: String = line.chars().take(MAX_LINE_CHARS).collect();
            if text.len() < line.len() {
                text.push('…');
            }
            lines.push(format!("{shown}:{number}: {text}"));
            Ok(lines.len() < MAX_MATCHES)
        });
        if let Err(error) = self.searcher.search_file(&self.matcher, &open.file, sink) {
            tracing::debug!(%error, "a file could not be searched to its end");
        }
    }
}

/// Where the walk is: as the call named it, and where that leads.
struct At {
    shown: PathBuf,
    real: PathBuf,
}

impl At {
    fn join(&self, name: &OsStr) -> At {
        At {
            shown: self.shown.join(name),
            real: self.real.join(name),
        }
    }
}

/// Names and whether each is a folder, sorted. Symlinks and special files are left out.
fn entries(folder: &OwnedFd) -> Option<Vec<(Vec<u8>, bool)>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder).ok()?.flatten().take(MAX_FILES) {
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => kind_of(folder, entry.file_name()),
            kind => kind,
        };
        match kind {
            FileType::Directory => found.push((name.to_vec(), true)),
            FileType::RegularFile => found.push((name.to_vec(), false)),
            FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => {}
        }
    }
    found.sort();
    Some(found)
}

/// Some file systems do not tell the kind while listing.
fn kind_of(folder: &OwnedFd, name: &std::ffi::CStr) -> FileType {
    match rustix::fs::statat(folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode),
        Err(_) => FileType::Unknown,
    }
}

fn open_in(folder: &OwnedFd, name: &OsStr) -> Option<OpenFile> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let handle = open_child(folder.as_fd(), name, flags).ok()?;
    let stat = rustix::fs::fstat(&handle).ok()?;
    let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    is_regular.then(|| OpenFile {
        file: File::from(handle),
        size: u64::try_from(stat.st_size).unwrap_or(0),
    })
}

fn read_ignores(folder: &OwnedFd, path: &Path) -> Option<Gitignore> {
    let open = open_in(folder, OsStr::new(".gitignore"))?;
    let mut bytes = Vec::new();
    open.file.take(MAX_IGNORE_BYTES).read_to_end(&mut bytes).ok()?;
    let mut rules = GitignoreBuilder::new(path);
    for line in String::from_utf8_lossy(&bytes).lines() {
        // A line that is no glob is left out, as git does.
        let _ = rules.add_line(None, line);
    }
    rules.build().ok()
}

/// The innermost rule that says anything decides.
fn is_ignored(ignores: &[Gitignore], path: &Path, is_folder: bool) -> bool {
    for rules in ignores.iter().rev() {
        let matched = rules.matched(path, is_folder);
        if !matched.is_none() {
            return matched.is_ignore();
        }
    }
    false
}
