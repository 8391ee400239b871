//! The last net: every command carries a mark in its environment, by which what a dead keeper left behind is found.
//!
//! Ends only processes with this owner's mark whose Steward is gone. A command that clears its environment is not found; keepers need no
//! mark, so that matters only where somebody killed one.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, PidfdFlags, Signal};

/// The variable that carries the mark.
pub(crate) const VARIABLE: &str = "STEWARD_SANDBOX";
/// Looks at all processes; what is forked during one is found by the next.
const MAX_LOOKS: usize = 50;

/// Whose commands they are: one for each home of Steward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner(String);

impl Owner {
    /// The owner of a home.
    pub fn of_home(home: &Path) -> Owner {
        let path = fs::canonicalize(home).unwrap_or_else(|_| home.to_owned());
        Owner(format!("{:016x}", fingerprint(path.as_os_str().as_encoded_bytes())))
    }

    /// Nobody in particular: commands are marked, and no start looks for them.
    pub fn nobody() -> Owner {
        Owner("0".repeat(16))
    }

    /// A mark that no other command has: the owner, this process, a number.
    pub(crate) fn mark(&self) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let me = std::process::id();
        let born = born_at(me).unwrap_or_default();
        format!("{}-{me}-{born}-{}", self.0, NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Kills what an earlier Steward of this owner left running. Blocks for some milliseconds. Gives how many processes were killed.
    ///
    /// To be called before this process starts commands: what has the mark of a process that lives is left alone.
    pub fn kill_leftovers(&self) -> usize {
        let me = std::process::id();
        let is_leftover = |mark: &str| {
            let mut parts = mark.split('-');
            let owner = parts.next();
            let steward: Option<u32> = parts.next().and_then(|id| id.parse().ok());
            let born: Option<u64> = parts.next().and_then(|ticks| ticks.parse().ok());
            let (Some(steward), Some(born)) = (steward, born) else {
                return false;
            };
            let lives = steward != me && born_at(steward) == Some(born);
            owner == Some(self.0.as_str()) && !lives
        };
        kill_where(&is_leftover)
    }
}

/// Kills all that carries exactly this mark.
pub(crate) fn kill_marked(mark: &str) -> usize {
    kill_where(&|found| found == mark)
}

fn kill_where(is_meant: &dyn Fn(&str) -> bool) -> usize {
    let mut killed = 0;
    for _ in 0..MAX_LOOKS {
        let found = kill_once(is_meant);
        if found == 0 {
            break;
        }
        killed += found;
        // The dead keep no environment; a short rest lets them die.
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    killed
}

fn kill_once(is_meant: &dyn Fn(&str) -> bool) -> usize {
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    let ids = processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut killed = 0;
    for pid in ids {
        let has_mark = || mark_of(pid).is_some_and(|mark| is_meant(&mark));
        if !has_mark() {
            continue;
        }
        let Some(process) = Pid::from_raw(pid).and_then(|id| rustix::process::pidfd_open(id, PidfdFlags::empty()).ok()) else {
            continue;
        };
        // Held now: look again, because the number may have gone to another in between.
        if has_mark() && rustix::process::pidfd_send_signal(&process, Signal::KILL).is_ok() {
            killed += 1;
        }
    }
    killed
}

fn mark_of(pid: i32) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = format!("{VARIABLE}=");
    let entry = environment
        .split(|byte| *byte == 0)
        .find(|entry| entry.starts_with(prefix.as_bytes()))?;
    String::from_utf8(entry[prefix.len()..].to_vec()).ok()
}

/// When a process began, in ticks since the machine did: with the number it names one process for good.
fn born_at(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The fields after the name, which ends at the last bracket; the 20th of them.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(19)?.parse().ok()
}

/// FNV-1a: the same for the same bytes on every machine and in every version.
fn fingerprint(bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    bytes
        .iter()
        .fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
