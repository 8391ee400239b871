//! The home folder: where it is, what lies in it, and how a command finds the server that runs on it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::whole_file;

/// The home of one Steward.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    root: PathBuf,
}

/// What a running server leaves for commands on the same machine. The file has mode 0600.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Where it listens.
    pub(crate) url: String,
    /// The token that stands for the owner of the home, new at each start.
    pub(crate) token: String,
    /// Its process.
    pub(crate) pid: u32,
}

impl Home {
    /// The home named by the option, else by `STEWARD_HOME`, else `~/.steward`.
    pub(crate) fn find(named: Option<PathBuf>) -> Result<Self> {
        let root = match named {
            Some(path) => path,
            None => {
                let user_home = std::env::var_os("HOME").context("neither --home nor STEWARD_HOME nor HOME is set; pass --home DIR")?;
                PathBuf::from(user_home).join(".steward")
            }
        };
        Ok(Home {
            root: std::path::absolute(&root).with_context(|| format!("{} is no usable path", root.display()))?,
        })
    }

    /// The folder that `~` means in the configuration, where the environment tells it.
    pub(crate) fn of_owner() -> Option<String> {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
        Some(home.to_string_lossy().into_owned())
    }

    /// Makes the folders, closed to other users.
    pub(crate) fn create(&self) -> Result<()> {
        for folder in [
            self.root.clone(),
            self.models(),
            self.backups(),
            self.root.join("workspaces"),
            self.root.join("logs"),
            self.root.join("blobs"),
        ] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        }
        Ok(())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.root.join("steward.toml")
    }

    pub(crate) fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    pub(crate) fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }

    /// The list of prices that the operator put in place of the program's; usually absent.
    pub(crate) fn prices_file(&self) -> PathBuf {
        self.root.join("prices.tsv")
    }

    fn running_file(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// What the last server left; it may be gone.
    pub(crate) fn running(&self) -> Option<Running> {
        serde_json::from_slice(&fs::read(self.running_file()).ok()?).ok()
    }

    /// Leaves word of a running server.
    pub(crate) fn announce(&self, running: &Running) -> Result<()> {
        let file = self.running_file();
        whole_file::write(&file, &serde_json::to_vec(running)?).with_context(|| format!("{} cannot be written", file.display()))
    }

    /// Takes the word back, if it is still this server's.
    pub(crate) fn withdraw(&self, pid: u32) {
        if self.running().is_some_and(|running| running.pid == pid) {
            // A file left behind is harmless: nobody answers at its address.
            let _ = fs::remove_file(self.running_file());
        }
    }

    /// A path of the configuration, relative to the home.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}
