//! The list of hosts that may be reached.
//!
//! Compares whole names and addresses; never parts of a text.

use std::net::{IpAddr, SocketAddr};

/// The list of hosts that may be reached.
#[derive(Clone, Debug)]
pub(super) struct AllowList {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Address {
        address: IpAddr,
        port: Option<u16>,
    },
    Name {
        name: String,
        port: Option<u16>,
    },
    /// Every name below the domain, not the domain itself.
    Below {
        domain: String,
        port: Option<u16>,
    },
}

impl AllowList {
    pub(super) fn new(entries: &[String]) -> AllowList {
        AllowList {
            entries: entries.iter().filter_map(|text| parse(text)).collect(),
        }
    }

    /// Does an entry name this very address?
    pub(super) fn names_address(&self, wanted: SocketAddr) -> bool {
        self.entries.iter().any(|entry| match entry {
            Entry::Address { address, port } => *address == wanted.ip().to_canonical() && fits(*port, wanted.port()),
            Entry::Name { .. } | Entry::Below { .. } => false,
        })
    }

    /// Does an entry name this host?
    pub(super) fn names_host(&self, host: &str, wanted_port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.entries.iter().any(|entry| match entry {
            Entry::Name { name, port } => *name == host && fits(*port, wanted_port),
            Entry::Below { domain, port } => {
                let is_below = host
                    .strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'));
                is_below && fits(*port, wanted_port)
            }
            Entry::Address { .. } => false,
        })
    }
}

fn fits(port: Option<u16>, wanted: u16) -> bool {
    port.is_none_or(|port| port == wanted)
}

fn parse(text: &str) -> Option<Entry> {
    let text = text.trim().to_ascii_lowercase();
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(Entry::Address {
            address: socket.ip().to_canonical(),
            port: Some(socket.port()),
        });
    }
    if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Some(Entry::Address {
            address: address.to_canonical(),
            port: None,
        });
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name.to_owned(), Some(port.parse().ok()?)),
        None => (text, None),
    };
    let name = name.trim_end_matches('.').to_owned();
    match name.strip_prefix("*.") {
        Some("") => None,
        Some(domain) => Some(Entry::Below {
            domain: domain.to_owned(),
            port,
        }),
        None if name.is_empty() || name.contains(['*', '/', '@']) => {
            tracing::warn!(entry = %name, "an entry of network.allow is not a host and is ignored");
            None
        }
        None => Some(Entry::Name { name, port }),
    }
}
