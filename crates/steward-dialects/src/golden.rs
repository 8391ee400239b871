//! Golden files of our own making, for tests that go over all of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Dialect;

fn files(folder: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = fs::read_dir(root.join(folder)).expect("the folder of golden files").flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&is_wanted))
        .collect();
    found.sort();
    found
}

/// The providers' streams in a dialect, and our own to callers in it.
pub(crate) fn streams_of(dialect: Dialect) -> Vec<String> {
    let mut paths = files("providers", |name| name.starts_with(&format!("{}.", dialect.name())));
    for egress in Dialect::ALL {
        let folder = format!("{}-{}", dialect.name(), egress.name());
        paths.extend(files(&folder, |name| name.ends_with(".client.sse")));
    }
    paths
        .iter()
        .map(|path| fs::read_to_string(path).expect("a golden file is text"))
        .collect()
}

/// Callers' requests in a dialect.
pub(crate) fn requests_of(dialect: Dialect) -> Vec<Vec<u8>> {
    let paths = files("callers", |name| name.starts_with(&format!("{}.", dialect.name())));
    paths
        .iter()
        .map(|path| fs::read(path).expect("a golden file is readable"))
        .collect()
}
