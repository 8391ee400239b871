//! Golden files of our own making, for tests that go over all of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Dialect;

fn files(part: &str, dialect: Dialect, is_ingress: bool) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut found = Vec::new();
    for other in Dialect::ALL {
        let (ingress, egress) = if is_ingress { (dialect, other) } else { (other, dialect) };
        let folder = root.join(format!("{}-{}", ingress.name(), egress.name()));
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        found.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| path.to_string_lossy().ends_with(part)),
        );
    }
    found.sort();
    found
}

/// The provider's streams and our own in a dialect.
pub(crate) fn streams_of(dialect: Dialect) -> Vec<String> {
    let mut streams: Vec<String> = [files(".provider.sse", dialect, false), files(".client.sse", dialect, true)]
        .concat()
        .iter()
        .map(|path| fs::read_to_string(path).expect("a golden file is text"))
        .collect();
    streams.sort();
    streams.dedup();
    streams
}

/// Callers' requests in a dialect.
pub(crate) fn requests_of(dialect: Dialect) -> Vec<Vec<u8>> {
    let mut requests: Vec<Vec<u8>> = files(".request-in.json", dialect, true)
        .iter()
        .map(|path| fs::read(path).expect("a golden file is readable"))
        .collect();
    requests.sort();
    requests.dedup();
    requests
}
