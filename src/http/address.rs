//! The client's address, computed once per request. Behind a balancer the TCP peer is the balancer and the client is in
//! `X-Forwarded-For`. Anybody can send that header, so only entries that trusted proxies appended count.

use std::net::{IpAddr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use ipnet::IpNet;

use crate::error::Fault;
use crate::network;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address. IPv4-mapped IPv6 addresses are stored as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Finds the client behind a peer. Reads the header's entries from the right, because each proxy appends its peer at the end, and
    /// stops at the first address that is not a trusted proxy. Entries further left come from the client.
    pub fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let is_trusted = |it: &IpAddr| network::any_contains(trusted, *it);
        let mut address = peer.to_canonical();
        if !is_trusted(&address) {
            return Self(address);
        }
        let lines = headers.get_all(FORWARDED_FOR).iter();
        // A header line that is not UTF-8 is one invalid entry.
        let entries: Vec<&str> = lines
            .flat_map(|line| std::str::from_utf8(line.as_bytes()).unwrap_or_default().split(','))
            .collect();
        for entry in entries.into_iter().rev() {
            if !is_trusted(&address) {
                break;
            }
            match read(entry.trim()) {
                Some(before) => address = before,
                None => break,
            }
        }
        Self(address)
    }

    /// The address that per-address limits count: the first 64 bits of IPv6, because every household has a whole /64. Limits on the
    /// wider /48 are in `Network::counted`.
    pub fn counted_as(self) -> IpAddr {
        network::household(self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        let marked = parts.extensions.get().copied();
        marked.ok_or_else(|| Fault::new("read_client_address", "the request did not pass the edge"))
    }
}

/// Parses an address, with optional brackets and port.
fn read(entry: &str) -> Option<IpAddr> {
    let bare = || entry.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(entry).parse();
    let with_port = || entry.parse().map(|it: SocketAddr| it.ip());
    bare().or_else(|_| with_port()).ok().map(|it: IpAddr| it.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// The client behind a peer with these header lines. 10.0.0.0/8 and one IPv6 proxy are trusted.
    fn behind(peer: &str, lines: &[&[u8]]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::1/128".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line).unwrap());
        }
        ClientAddress::of(peer.parse().unwrap(), &headers, &trusted).0.to_string()
    }

    #[test]
    fn the_header_of_an_untrusted_peer_is_ignored() {
        assert_eq!(behind("192.0.2.9", &[b"198.51.100.1"]), "192.0.2.9");
        assert_eq!(behind("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn the_left_is_whatever_the_client_sent() {
        assert_eq!(behind("10.0.0.1", &[b"198.51.100.1, 192.0.2.9"]), "192.0.2.9");
        assert_eq!(behind("10.0.0.1", &[b"10.9.9.9, 192.0.2.9"]), "192.0.2.9");
        assert_eq!(behind("10.0.0.1", &[b"198.51.100.1", b"192.0.2.9"]), "192.0.2.9");
    }

    #[test]
    fn chained_trusted_proxies_are_skipped() {
        assert_eq!(behind("fd00::1", &[b"1.1.1.1,192.0.2.9, 10.1.1.1", b"10.2.2.2"]), "192.0.2.9");
        assert_eq!(behind("10.0.0.1", &[b"10.1.1.1, 10.2.2.2"]), "10.1.1.1", "all are trusted");
    }

    #[test]
    fn an_invalid_entry_ends_the_search() {
        for garbage in ["unknown", "", "192.0.2.9.", "192.0.2.9:99999", "[192.0.2.9", "1.2.3.4 5.6.7.8"] {
            let line = format!("192.0.2.9, {garbage}, 10.2.2.2");
            assert_eq!(behind("10.0.0.1", &[line.as_bytes()]), "10.2.2.2", "{garbage:?}");
        }
        assert_eq!(behind("10.0.0.1", &[b"192.0.2.9", b"\xff"]), "10.0.0.1");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_parsed() {
        for (entry, read) in [
            ("192.0.2.9:4711", "192.0.2.9"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:192.0.2.9", "192.0.2.9"),
        ] {
            assert_eq!(behind("::ffff:10.0.0.1", &[entry.as_bytes()]), read);
        }
    }

    #[test]
    fn limits_count_an_ipv6_64_once() {
        let counted = |it: &str| ClientAddress(it.parse().unwrap()).counted_as().to_string();
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counted("192.0.2.9"), "192.0.2.9");
    }

    /// Random addresses, half of them trusted.
    fn addresses() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            2 => any::<[u8; 3]>().prop_map(|[a, b, c]| IpAddr::from([10, a, b, c])),
            1 => any::<[u8; 4]>().prop_map(IpAddr::from),
            1 => any::<[u8; 16]>().prop_map(|bytes| IpAddr::from(bytes).to_canonical()),
        ]
    }

    proptest! {
        #[test]
        fn only_entries_of_trusted_proxies_count(
            peer in addresses(),
            proxies in prop::collection::vec(addresses(), 1..5),
            sent in prop::collection::vec(prop_oneof![0x20..=0x7e_u8, 0x80..=0xff_u8], 0..60),
        ) {
            let written: Vec<String> = proxies.iter().map(IpAddr::to_string).collect();
            let written = written.join(", ");
            let lines = [sent.as_slice(), written.as_bytes()];
            // The result is the first untrusted address from the right, whatever the entries to its left are.
            let trusted = |it: &IpAddr| matches!(it, IpAddr::V4(it) if it.octets()[0] == 10);
            let walk = || std::iter::once(&peer).chain(proxies.iter().rev());
            if let Some(first) = walk().find(|address| !trusted(address)) {
                prop_assert_eq!(behind(&peer.to_string(), &lines), first.to_string());
            } else {
                behind(&peer.to_string(), &lines);
            }
        }
    }
}
