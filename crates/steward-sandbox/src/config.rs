//! The `[sandbox]` table: which backend, how much, and which hosts.
//!
//! Only reads what it is given; whether a backend works here is found out by `Sandbox::probe`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// The `[sandbox]` table of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "SandboxConfig")]
pub struct Config {
    /// Which backend isolates processes: `auto`, `bubblewrap`, `landlock` or `none`.
    pub backend: Backend,
    /// Must be true for `backend = "none"`, which runs commands on the bare host.
    pub i_know: bool,
    /// What may be reached over the network.
    pub network: Network,
    /// What one command may use.
    pub limits: Limits,
    /// Further folders of the machine that commands may read, such as `/opt/tools`. Never writable.
    pub system: Vec<PathBuf>,
    /// When Steward runs as root, commands run under user ids from here on (1,000 of them), one for each running command.
    pub first_uid: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            backend: Backend::Auto,
            i_know: false,
            network: Network::default(),
            limits: Limits::default(),
            system: Vec::new(),
            first_uid: 64_000,
        }
    }
}

/// Which backend isolates processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The strongest that works on this machine.
    #[default]
    Auto,
    /// Namespaces by `bwrap`, with a seccomp filter.
    Bubblewrap,
    /// Landlock and seccomp, for machines without user namespaces.
    Landlock,
    /// The bare host; needs `i_know = true`.
    None,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Auto => "auto",
            Backend::Bubblewrap => "bubblewrap",
            Backend::Landlock => "landlock",
            Backend::None => "none",
        })
    }
}

impl<'de> Deserialize<'de> for Backend {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "auto" => Ok(Backend::Auto),
            "bubblewrap" => Ok(Backend::Bubblewrap),
            "landlock" => Ok(Backend::Landlock),
            "none" => Ok(Backend::None),
            "docker" | "podman" => Err(D::Error::custom(
                "this build has no container backend: use \"auto\", \"bubblewrap\" or \"landlock\"",
            )),
            other => Err(D::Error::custom(format!(
                "unknown sandbox backend {other:?}: use \"auto\", \"bubblewrap\", \"landlock\" or \"none\""
            ))),
        }
    }
}

/// What may be reached over the network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Hosts that may be reached: `host`, `*.domain`, `host:port`, or an address with its port such as `127.0.0.1:9000`. Absent: every
    /// public host for `web_fetch`, none for commands. A private address is reached only when it is named here itself.
    pub allow: Option<Vec<String>>,
}

/// What one command may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Processes and threads at once.
    pub processes: u64,
    /// Memory of one process, and of all together under bubblewrap: bytes, or a text such as `"2GiB"`.
    #[serde(with = "bytes_text")]
    #[schemars(with = "SizeOrText")]
    pub memory: u64,
    /// Size of one file that it writes: bytes, or a text such as `"1GiB"`.
    #[serde(with = "bytes_text")]
    #[schemars(with = "SizeOrText")]
    pub file: u64,
    /// Open files of one process.
    pub descriptors: u64,
    /// Wall time: a text such as `"30m"`.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub time: Duration,
    /// Bytes it may print before it is stopped: bytes, or a text such as `"100MB"`.
    #[serde(with = "bytes_text")]
    #[schemars(with = "SizeOrText")]
    pub output: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            processes: 512,
            memory: 2 * GIB,
            file: GIB,
            descriptors: 1024,
            time: Duration::from_secs(30 * 60),
            output: 100_000_000,
        }
    }
}

/// How a size may be written, for the schema.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum SizeOrText {
    Bytes(u64),
    Text(String),
}

/// Reads `"2GiB"`, `"100MB"`, `"512"`: a whole number and a unit.
fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" | "k" => 1_000,
        "mb" | "m" => 1_000_000,
        "gb" | "g" => 1_000_000_000,
        "kib" => 1024,
        "mib" => MIB,
        "gib" => GIB,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// Reads `"500ms"`, `"20s"`, `"30m"`, `"2h"`, `"1d"`.
fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit_ms = match text[digits..].trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(unit_ms)?))
}

mod bytes_text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(*bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = u64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or a text such as \"2GiB\"")
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<u64, E> {
                Ok(value)
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<u64, E> {
                u64::try_from(value).map_err(|_| E::custom("a size cannot be negative"))
            }
            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<u64, E> {
                parse_bytes(value).ok_or_else(|| E::custom(format!("{value:?} is not a size such as \"2GiB\"")))
            }
        }
        deserializer.deserialize_any(Bytes)
    }
}

mod duration_text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let ms = duration.as_millis();
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        match units.iter().find(|(size, _)| ms >= *size && ms.is_multiple_of(*size)) {
            Some((size, unit)) => serializer.collect_str(&format_args!("{}{unit}", ms / size)),
            None => serializer.collect_str(&format_args!("{ms}ms")),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is not a time such as \"30m\"")))
    }
}

#[cfg(test)]
mod tests;
