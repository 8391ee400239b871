//! Makes one table of the built console's files, so that the binary holds them compressed as they were built.
//!
//! The files are copied first: a console that is built anew meanwhile does not pull them away. Node is never run here.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let dist = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../web/dist");
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets it"));
    let copies = out.join("console");
    println!("cargo:rerun-if-changed={}", dist.display());
    println!("cargo:rerun-if-changed=build.rs");
    // Nothing may be left of an earlier build; that there was none is no fault.
    let _ = fs::remove_dir_all(&copies);
    let mut files = Vec::new();
    collect(&dist, &dist, &copies, &mut files);
    files.sort();
    let mut table = String::from("pub(crate) static ASSETS: &[Asset] = &[\n");
    for name in files.iter().filter(|name| !is_packed(name)) {
        let plain = format!("{}{name}", copies.display());
        let variant = |suffix: &str| {
            let packed = format!("{plain}{suffix}");
            if Path::new(&packed).is_file() {
                format!("Some(include_bytes!({packed:?}))")
            } else {
                "None".into()
            }
        };
        let (brotli, gzip) = (variant(".br"), variant(".gz"));
        let _ = writeln!(
            table,
            "    Asset {{ path: {name:?}, plain: include_bytes!({plain:?}), brotli: {brotli}, gzip: {gzip} }},"
        );
    }
    table.push_str("];\n");
    fs::write(out.join("assets.rs"), table).expect("the build directory can be written");
}

fn is_packed(name: &str) -> bool {
    name.ends_with(".br") || name.ends_with(".gz")
}

fn collect(root: &Path, folder: &Path, copies: &Path, files: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, copies, files);
            continue;
        }
        let Ok(relative) = path.strip_prefix(root) else { continue };
        let target = copies.join(relative);
        let is_copied = target.parent().is_some_and(|parent| fs::create_dir_all(parent).is_ok()) && fs::copy(&path, &target).is_ok();
        if is_copied {
            files.push(format!("/{}", relative.display()));
        }
    }
}
