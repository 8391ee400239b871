//! File systems of a test's own: one whose power can be cut, and any of them small enough to be filled.
//!
//! They need root, loop devices and mkfs; without these a test is skipped and says so. Dropping unmounts.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// `FS_IOC_SHUTDOWN` without flushing the file system's log: what was not synced is gone, as after a power cut.
const CUT_POWER: &str = "import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print('ready', flush=True)
sys.stdin.readline()
fcntl.ioctl(fd, 0x8004587d, struct.pack('I', 2))";

/// A mounted ext4 in a file.
pub(crate) struct Disk {
    folder: TempDir,
    is_mounted: bool,
}

impl Disk {
    /// Makes one and mounts it.
    pub(crate) fn new(size_mib: u64) -> Result<Self> {
        let folder = TempDir::with_prefix("steward-disk-")?;
        let mut disk = Disk { folder, is_mounted: false };
        fs::create_dir(disk.path())?;
        File::create(disk.image())?.set_len(size_mib * 1024 * 1024)?;
        run("mkfs.ext4", &["-q", "-F", "-m", "0"], &[&disk.image()])?;
        disk.mount()?;
        Ok(disk)
    }

    /// Makes one, or says why this machine has none.
    pub(crate) fn or_skip(size_mib: u64) -> Option<Self> {
        match Disk::new(size_mib) {
            Ok(disk) => Some(disk),
            Err(reason) => {
                println!("skipped: no disk can be made here (it needs root, a loop device, mkfs.ext4 and python3): {reason:#}");
                None
            }
        }
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn mount(&mut self) -> Result<()> {
        run("mount", &["-o", "loop"], &[&self.image(), &self.path()])?;
        self.is_mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> Result<()> {
        run("umount", &[], &[&self.path()])?;
        self.is_mounted = false;
        Ok(())
    }

    /// Cuts the power. Everything on it fails from now on. `last` runs in the instant before.
    ///
    /// A real cut takes whoever would acknowledge something with it. Here the process lives on for a moment, and the kernel
    /// may still tell it that a sync which raced with the cut succeeded: what comes after `last` counts for nothing.
    pub(crate) fn cut_power<T>(&self, last: impl FnOnce() -> T) -> Result<T> {
        let mut cutter = Command::new("python3")
            .args(["-c", CUT_POWER])
            .arg(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("python3 cannot be run")?;
        let mut said = String::new();
        let stdout = cutter.stdout.take().context("the cutter has no output")?;
        BufReader::new(stdout).read_line(&mut said)?;
        let value = last();
        let mut stdin = cutter.stdin.take().context("the cutter has no input")?;
        stdin.write_all(b"\n")?;
        drop(stdin);
        if !cutter.wait()?.success() {
            bail!("the power could not be cut");
        }
        Ok(value)
    }

    /// Power is back: the file system recovers what it had made durable. Nothing may run on it.
    pub(crate) fn power_on(&mut self) -> Result<()> {
        self.unmount()?;
        self.mount()
    }

    /// Fills it to the last block. Removing the file makes room again.
    pub(crate) fn fill(&self) -> Result<PathBuf> {
        let path = self.path().join("filler");
        let mut file = File::create(&path)?;
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![0_u8; size];
            // Until it is full.
            while file.write_all(&block).and_then(|()| file.sync_data()).is_ok() {}
        }
        Ok(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted && self.unmount().is_err() {
            // Something still runs on it; the mount goes when that ends.
            drop(run("umount", &["-l"], &[&self.path()]));
        }
    }
}

fn run(program: &str, words: &[&str], paths: &[&Path]) -> Result<()> {
    let output = Command::new(program).args(words).args(paths).output();
    let output = output.with_context(|| format!("{program} cannot be run"))?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
