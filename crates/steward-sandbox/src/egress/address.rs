//! Which addresses are public.
//!
//! Everything that is not known to be public is not. Addresses that carry an IPv4 address inside are judged by it as well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// May this address be reached by somebody who only asked for a public page?
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Networks of IPv4 that are not public, as network and prefix length.
const SPECIAL_V4: [([u8; 4], u32); 18] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 52, 193, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([192, 175, 48, 0], 24),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// The wire server of one large cloud; it answers machines of that cloud only, with their secrets.
const CLOUD_WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    let is_special = SPECIAL_V4.iter().any(|(network, length)| {
        let mask = u32::MAX << (32 - length);
        bits & mask == Ipv4Addr::from(*network).to_bits() & mask
    });
    !is_special && address != CLOUD_WIRE_SERVER
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // NAT64 carries an IPv4 address at the end.
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return is_public_v4(tail(segments));
    }
    // Global unicast is 2000::/3; everything else is local, multicast, mapped or not given out.
    if segments[0] & 0xe000 != 0x2000 {
        return false;
    }
    // 2001:0::/23 holds Teredo, ORCHID, benchmarking; 2001:db8::/32 and 3fff::/20 are for documents; 2002::/16 is 6to4; 5f00 is segments.
    let is_protocol = segments[0] == 0x2001 && segments[1] < 0x0200;
    let is_document = (segments[0] == 0x2001 && segments[1] == 0x0db8) || (segments[0] == 0x3fff && segments[1] < 0x1000);
    if is_protocol || is_document {
        return false;
    }
    if segments[0] == 0x2002 {
        let [a, b] = segments[1].to_be_bytes();
        let [c, d] = segments[2].to_be_bytes();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    // ISATAP carries an IPv4 address behind 0:5efe.
    let is_isatap = segments[4] & 0xfdff == 0 && segments[5] == 0x5efe;
    !is_isatap || is_public_v4(tail(segments))
}

fn tail(segments: [u16; 8]) -> Ipv4Addr {
    let [a, b] = segments[6].to_be_bytes();
    let [c, d] = segments[7].to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}
