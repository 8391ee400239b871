//! Backups: the store's copy, the configuration and the workspaces in one folder with a list of hashes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use steward_gateway::shapes::BackupMade;

use crate::home::Home;
use crate::wiring::House;

const MANIFEST: &str = "manifest.json";

/// Makes a backup of a running house.
pub(crate) async fn create(house: &House) -> Result<BackupMade> {
    let name = house.runtime.now().strftime("%Y%m%dT%H%M%S%3fZ").to_string();
    let target = house.home.backups().join(name);
    let unfinished = target.with_extension("unfinished");
    fs::create_dir_all(&unfinished)?;
    house.store.backup_to(&unfinished.join("steward.db")).await?;
    let config = house.home.config_file();
    if config.exists() {
        fs::copy(&config, unfinished.join("steward.toml"))?;
    }
    copy_tree(&house.home.root().join("workspaces"), &unfinished.join("workspaces"))?;
    let files = hashes(&unfinished)?;
    let bytes: u64 = files.values().filter_map(|file| file["bytes"].as_u64()).sum();
    fs::write(unfinished.join(MANIFEST), serde_json::to_vec_pretty(&json!({"files": files}))?)?;
    fs::rename(&unfinished, &target)?;
    Ok(BackupMade {
        path: target.display().to_string(),
        bytes,
    })
}

/// Compares every file with the list; gives how many there are.
pub(crate) fn verify(folder: &Path) -> Result<usize> {
    let manifest = fs::read(folder.join(MANIFEST)).with_context(|| format!("{} is no backup: it has no {MANIFEST}", folder.display()))?;
    let manifest: Value = serde_json::from_slice(&manifest)?;
    let listed = manifest["files"].as_object().cloned().unwrap_or_default();
    let found = hashes(folder)?;
    for (name, entry) in &listed {
        match found.get(name) {
            None => bail!("the backup lacks {name}"),
            Some(file) if file["sha256"] != entry["sha256"] => bail!("{name} is not what was backed up"),
            Some(_) => {}
        }
    }
    Ok(listed.len())
}

/// Puts a backup into a home that has no store yet.
pub(crate) fn restore(home: &Home, folder: &Path) -> Result<usize> {
    let count = verify(folder)?;
    home.create()?;
    let database = home.root().join("steward.db");
    if database.exists() {
        bail!(
            "{} has a store already; restore into an empty home: --home DIR",
            home.root().display()
        );
    }
    copy_tree(&folder.join("workspaces"), &home.root().join("workspaces"))?;
    let config = folder.join("steward.toml");
    if config.exists() {
        fs::copy(config, home.config_file())?;
    }
    // The store last: with it the home counts as restored.
    fs::copy(folder.join("steward.db"), database)?;
    Ok(count)
}

/// Ordinary files and folders; links and special files of a workspace are left out, they may lead anywhere.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    fs::create_dir_all(to)?;
    for entry in entries {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn hashes(folder: &Path) -> Result<Map<String, Value>> {
    let mut files = Map::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(relative) = folders.pop() {
        for entry in fs::read_dir(folder.join(&relative))? {
            let entry = entry?;
            let name = relative.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(name);
            } else if name != Path::new(MANIFEST) {
                let bytes = fs::read(entry.path())?;
                let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                files.insert(name.display().to_string(), json!({"sha256": digest, "bytes": bytes.len()}));
            }
        }
    }
    Ok(files)
}
