//! Files that make other programs run something: git hooks and configuration, `.envrc`, `.mcp.json`, shell start-up files.
//!
//! Before a command runs, those that exist are found, so that the backend can keep them from being changed. After it, new ones are made
//! inert: renamed with `.refused` at the end, never deleted. Walks by handle and never follows a symlink.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

/// Names that are control files in any folder.
const NAMES: &[&str] = &[
    ".bash_login",
    ".bash_logout",
    ".bash_profile",
    ".bashrc",
    ".envrc",
    ".gitconfig",
    ".kshrc",
    ".mcp.json",
    ".profile",
    ".zlogin",
    ".zprofile",
    ".zshenv",
    ".zshrc",
];
/// Folders deeper than this, and entries beyond this many, are not looked at.
const MAX_DEPTH: usize = 24;
const MAX_ENTRIES: usize = 200_000;
/// As many are guarded by a mount of their own; a git folder takes up to four.
const MAX_GUARDED: usize = 256;

/// What is there to be guarded while the command runs.
#[derive(Debug)]
pub(crate) struct Guarded {
    pub(crate) path: PathBuf,
    pub(crate) kind: GuardedKind,
    /// The file or folder itself, opened without following symlinks.
    pub(crate) handle: OwnedFd,
}

/// How something is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GuardedKind {
    /// A git folder: stays as the workspace is, but cannot be moved away.
    GitFolder,
    /// Its hooks: seen empty and read-only.
    Hooks,
    /// A file that is seen read-only.
    File,
    /// A folder that stays as the workspace is, but cannot be moved away.
    Fixed,
    /// A folder that is seen read-only.
    ReadOnlyFolder,
    /// A folder that is seen empty and cannot be entered.
    HiddenFolder,
    /// A file that is seen empty and cannot be read.
    HiddenFile,
}

/// What was there before, so that what is new afterwards can be told.
#[derive(Debug)]
pub(crate) struct Guard {
    root: OwnedFd,
    before: BTreeMap<PathBuf, Print>,
}

/// Changes whenever the file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    inode: u64,
    size: i64,
    changed_at: (i64, i64),
}

struct Found {
    path: PathBuf,
    role: Role,
    print: Print,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Startup,
    GitFolder,
    GitHooks,
    GitHook,
    GitConfig,
}

/// Looks through a workspace. `root` must be open for reading.
pub(crate) fn guard(root: OwnedFd) -> std::io::Result<(Guard, Vec<Guarded>)> {
    let found = walk(&root);
    let mut before = BTreeMap::new();
    let mut guarded = Vec::new();
    for item in found {
        let kind = match item.role {
            Role::Startup | Role::GitConfig => Some(GuardedKind::File),
            Role::GitFolder => Some(GuardedKind::GitFolder),
            Role::GitHooks => Some(GuardedKind::Hooks),
            Role::GitHook => None,
        };
        if let Some(kind) = kind.filter(|_| guarded.len() < MAX_GUARDED) {
            let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            if let Ok(handle) = open_below(&root, &item.path, flags) {
                guarded.push(Guarded {
                    path: item.path.clone(),
                    kind,
                    handle,
                });
            }
        }
        before.insert(item.path, item.print);
    }
    Ok((Guard { root, before }, guarded))
}

impl Guard {
    /// Makes control files inert that were not there before or have changed. Returns their paths.
    pub(crate) fn sweep(self) -> Vec<PathBuf> {
        let mut refused = Vec::new();
        for item in walk(&self.root) {
            let is_old = match item.role {
                Role::GitFolder | Role::GitHooks => true,
                Role::Startup | Role::GitHook | Role::GitConfig => self.is_known(&item),
            };
            if is_old {
                continue;
            }
            let done = match item.role {
                Role::GitConfig => tame_git_config(&self.root, &item.path),
                _ => set_aside(&self.root, &item.path).map(|()| true),
            };
            match done {
                Ok(true) => refused.push(item.path),
                Ok(false) => {}
                Err(error) => tracing::warn!(path = %item.path.display(), %error, "a control file could not be made inert"),
            }
        }
        if !refused.is_empty() {
            tracing::warn!(
                count = refused.len(),
                "a command made control files in its workspace; they were made inert"
            );
        }
        refused
    }

    fn is_known(&self, item: &Found) -> bool {
        // A folder that was renamed takes its files along: the same file in another place is no new one.
        self.before.get(&item.path) == Some(&item.print) || self.before.values().any(|print| *print == item.print)
    }
}

fn walk(root: &OwnedFd) -> Vec<Found> {
    let mut found = Vec::new();
    let mut left = MAX_ENTRIES;
    let mut waiting: Vec<(PathBuf, usize)> = vec![(PathBuf::new(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let Ok(handle) = open_below(root, &folder, flags) else { continue };
        let Ok(entries) = rustix::fs::Dir::read_from(&handle) else {
            continue;
        };
        let mut names: Vec<(Vec<u8>, FileType)> = Vec::new();
        for entry in entries.flatten() {
            if entry.file_name() == c"." || entry.file_name() == c".." {
                continue;
            }
            if left == 0 {
                tracing::warn!("the workspace is too large to be searched for control files as a whole");
                return found;
            }
            left -= 1;
            names.push((entry.file_name().to_bytes().to_vec(), entry.file_type()));
        }
        let has = |name: &str| names.iter().any(|(other, _)| other == name.as_bytes());
        // A git folder is known by what it holds: a bare one may have any name.
        let is_git = has("HEAD") && (has("objects") || has("commondir"));
        if is_git {
            found.extend(look_at(&handle, c".", &folder, Role::GitFolder));
        }
        let parent_is_git = || {
            found
                .iter()
                .any(|item: &Found| item.role == Role::GitFolder && Some(item.path.as_path()) == folder.parent())
        };
        let is_hooks = folder.file_name() == Some(OsStr::new("hooks")) && parent_is_git();
        for (name, kind) in names {
            let path = folder.join(OsStr::from_bytes(&name));
            if let Some(role) = role_of(&name, kind, is_git, is_hooks) {
                let name = std::ffi::CString::new(name.clone()).expect("a name from the system has no zero byte");
                found.extend(look_at(&handle, &name, &path, role));
            }
            let is_bulk = is_git && matches!(name.as_slice(), b"objects" | b"refs" | b"logs");
            if kind == FileType::Directory && depth < MAX_DEPTH && !is_bulk {
                waiting.push((path, depth + 1));
            }
        }
    }
    found
}

fn role_of(name: &[u8], kind: FileType, is_git: bool, is_hooks: bool) -> Option<Role> {
    let text = std::str::from_utf8(name).unwrap_or("");
    let is_folder = kind == FileType::Directory;
    if is_hooks && !is_folder && !text.ends_with(".sample") && !text.ends_with(".refused") {
        return Some(Role::GitHook);
    }
    if is_git && text == "hooks" {
        // A symlink in place of the folder is itself the thing to set aside.
        return Some(if is_folder { Role::GitHooks } else { Role::GitHook });
    }
    if is_git && !is_folder && matches!(text, "config" | "config.worktree") {
        return Some(Role::GitConfig);
    }
    // macOS and Windows fold case; so does this.
    let folded = text.to_ascii_lowercase();
    (!is_folder && NAMES.contains(&folded.as_str())).then_some(Role::Startup)
}

fn look_at(folder: &OwnedFd, name: &CStr, path: &Path, role: Role) -> Option<Found> {
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let print = Print {
        inode: stat.st_ino,
        size: stat.st_size,
        changed_at: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
    };
    Some(Found {
        path: path.to_owned(),
        role,
        print,
    })
}

/// Opens a path below `root` without following a symlink anywhere.
fn open_below(root: &OwnedFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let name = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let resolve = rustix::fs::ResolveFlags::BENEATH | rustix::fs::ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(root, name, flags, Mode::empty(), resolve)
}

fn parent_of(root: &OwnedFd, path: &Path) -> std::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY;
    Ok(open_below(root, path.parent().unwrap_or(Path::new("")), flags)?)
}

fn refused_name(path: &Path) -> std::ffi::OsString {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".refused");
    name
}

fn set_aside(root: &OwnedFd, path: &Path) -> std::io::Result<()> {
    let parent = parent_of(root, path)?;
    rustix::fs::renameat(&parent, path.file_name().unwrap_or_default(), &parent, refused_name(path))?;
    Ok(())
}

/// Keeps the lines of a git configuration that cannot run anything. Returns whether something was taken out.
fn tame_git_config(root: &OwnedFd, path: &Path) -> std::io::Result<bool> {
    const MAX_BYTES: u64 = 256 * 1024;
    let parent = parent_of(root, path)?;
    let name = path.file_name().unwrap_or_default();
    let opened = rustix::fs::openat(
        &parent,
        name,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK,
        Mode::empty(),
    );
    let mut text = String::new();
    let is_read = match opened {
        Ok(file) => {
            let file = std::fs::File::from(file);
            let is_plain = file.metadata()?.is_file();
            is_plain && std::io::Read::read_to_string(&mut std::io::Read::take(file, MAX_BYTES), &mut text).is_ok()
        }
        Err(_) => false,
    };
    let (kept, is_same) = harmless_lines(&text);
    if is_read && is_same {
        return Ok(false);
    }
    let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    rustix::fs::renameat(&parent, name, &parent, refused_name(path))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644))?;
    if crate::syscalls::is_root() {
        rustix::fs::fchown(
            &file,
            Some(rustix::fs::Uid::from_raw(stat.st_uid)),
            Some(rustix::fs::Gid::from_raw(stat.st_gid)),
        )?;
    }
    std::io::Write::write_all(&mut std::fs::File::from(file), kept.as_bytes())?;
    Ok(true)
}

/// The lines of a git configuration that are known to be harmless, and whether that is all of them.
pub(crate) fn harmless_lines(text: &str) -> (String, bool) {
    let mut kept = String::new();
    let mut is_same = true;
    let mut section = String::new();
    for line in text.lines() {
        let trimmed = line.trim();
        let is_blank = trimmed.is_empty() || trimmed.starts_with('#') || trimmed.starts_with(';');
        let is_harmless = if is_blank {
            !trimmed.ends_with('\\')
        } else if let Some(inner) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = inner.split([' ', '\t', '"']).next().unwrap_or("").to_ascii_lowercase();
            SETTINGS.iter().any(|(name, _)| *name == section)
        } else {
            is_harmless_setting(&section, trimmed)
        };
        if is_harmless {
            kept.push_str(line);
            kept.push('\n');
        } else {
            is_same = false;
        }
    }
    (kept, is_same)
}

fn is_harmless_setting(section: &str, line: &str) -> bool {
    let (key, value) = line.split_once('=').unwrap_or((line, ""));
    let key = key.trim().to_ascii_lowercase();
    let value = value.trim();
    // A helper transport such as `ext::` runs a command; a backslash may continue or hide the line.
    let is_plain = !value.contains("::") && !value.contains('\\') && !value.trim_start_matches('"').starts_with('-');
    let is_known = SETTINGS.iter().any(|(name, keys)| *name == section && keys.contains(&key.as_str()));
    is_known && is_plain
}

/// Sections and keys of git that hold data only.
const SETTINGS: &[(&str, &[&str])] = &[
    (
        "core",
        &[
            "repositoryformatversion",
            "filemode",
            "bare",
            "logallrefupdates",
            "ignorecase",
            "precomposeunicode",
            "symlinks",
            "autocrlf",
            "eol",
            "safecrlf",
            "quotepath",
            "abbrev",
        ],
    ),
    ("user", &["name", "email"]),
    ("author", &["name", "email"]),
    ("committer", &["name", "email"]),
    ("remote", &["url", "pushurl", "fetch", "push", "tagopt", "prune"]),
    ("branch", &["remote", "merge", "rebase", "description"]),
    ("init", &["defaultbranch"]),
    ("extensions", &["objectformat", "refstorage"]),
    ("submodule", &["active", "url"]),
    ("pull", &["rebase", "ff"]),
    ("push", &["default", "autosetupremote"]),
    ("merge", &["ff", "conflictstyle"]),
    ("color", &["ui"]),
    ("commit", &["verbose"]),
];

#[cfg(test)]
mod tests;
