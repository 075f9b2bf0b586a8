//! Client networks for rate limits. An IPv4 address is one client. In IPv6 a household has at least a /64, and a site or a rented server
//! often has a /48, which contains 65,536 of them. So limits count both, with a higher limit for the /48.
//!
//! Addresses are compared in canonical form: never as IPv4-mapped IPv6 (RFC 4291, section 2.5.5.2).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// The limit of a /48, as a multiple of the limit of one address.
const SITE_FACTOR: u32 = 8;
/// Length of the prefix of an IPv4-mapped IPv6 address.
const MAPPED_BITS: u8 = 96;

/// A network that a rate limit counts as one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// An IPv4 address, or the first 64 bits of an IPv6 address; the other bits are zero.
    Household(IpAddr),
    /// The first 48 bits of an IPv6 address; the other bits are zero.
    Site(Ipv6Addr),
}

impl Network {
    /// The household of an address.
    pub fn household(address: IpAddr) -> Self {
        Self::Household(household(address))
    }

    /// The site of an address; IPv4 has none.
    pub fn site(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(Self::Site(prefix(address, 48))),
        }
    }

    /// The widest network of an address. Password hashes are shared fairly among these.
    pub fn widest(address: IpAddr) -> Self {
        Self::site(address).unwrap_or_else(|| Self::household(address))
    }

    /// The networks whose limits apply to `address`, each with its limit. 0 is no limit.
    pub fn counted(address: IpAddr, limit: u32) -> impl Iterator<Item = (Self, u32)> {
        let site = Self::site(address).map(|it| (it, site_limit(limit)));
        std::iter::once((Self::household(address), limit)).chain(site)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Household(address) => address.fmt(f),
            // A household may have the same bits.
            Self::Site(address) => write!(f, "{address}/48"),
        }
    }
}

/// The first address of a household; for IPv4 the address itself.
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => prefix(address, 64).into(),
    }
}

/// The limit of a site, from the limit of a household. 0 is no limit.
pub fn site_limit(limit: u32) -> u32 {
    limit.saturating_mul(SITE_FACTOR)
}

fn prefix(address: Ipv6Addr, bits: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - bits)))
}

/// Parses a network from the settings: a CIDR or one address. Returns it in canonical form.
///
/// # Errors
/// It is neither; or it contains IPv4-mapped addresses and others. Mapped addresses are compared as IPv4, so it would never match them.
pub fn parse(text: &str) -> Result<IpNet, String> {
    let address = text.parse().map(|it: IpAddr| IpNet::from(it.to_canonical()));
    let net: IpNet = text
        .parse()
        .or(address)
        .map_err(|_| format!("{text:?} is neither an address nor a network such as 10.0.0.0/8"))?;
    let IpNet::V6(wide) = net else { return Ok(net) };
    let mapped = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0);
    if let (Some(address), Some(bits)) =
        (wide.addr().to_ipv4_mapped(), wide.prefix_len().checked_sub(MAPPED_BITS))
    {
        return Ipv4Net::new(address, bits).map(IpNet::V4).map_err(|error| format!("{text:?}: {error}"));
    }
    if wide.contains(&mapped) || wide.addr().to_ipv4_mapped().is_some() {
        return Err(format!(
            "{text:?} is wider than /96 and contains IPv4-mapped addresses, which are compared as IPv4: write the IPv4 network, such as 10.0.0.0/8, as a separate entry"
        ));
    }
    Ok(net)
}

/// Whether one of the networks contains this address.
pub fn any_contains(nets: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    nets.iter().any(|it| it.contains(&address))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits_count_household_and_site() {
        let counted = |text: &str| {
            let nets = Network::counted(text.parse().unwrap(), 10);
            nets.map(|(net, limit)| format!("{net} {limit}")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(counted("192.0.2.9"), "192.0.2.9 10");
        assert_eq!(counted("::ffff:192.0.2.9"), "192.0.2.9 10");
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2:: 10, 2001:db8:1::/48 80");
        // A site has the bits of its first household, but its own window.
        assert_eq!(counted("2001:db8:1::1"), "2001:db8:1:: 10, 2001:db8:1::/48 80");
        assert_eq!((site_limit(0), site_limit(u32::MAX)), (0, u32::MAX));
    }

    #[test]
    fn a_network_wider_than_the_mapped_range_is_refused() {
        for text in ["::ffff:127.0.0.0/95", "::ffff:0:0/90", "::/0", "::/80", "::ffff:10.0.0.1/0"] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains("write the IPv4 network") && problem.contains(text), "{problem}");
        }
        for text in ["balancer", "10.0.0.0/33", "", "::ffff:127.0.0.0/129"] {
            assert!(parse(text).unwrap_err().contains("is neither an address"), "{text}");
        }
        assert_eq!(parse("::ffff:127.0.0.0/104").unwrap().to_string(), "127.0.0.0/8");
        assert_eq!(parse("::ffff:127.0.0.1").unwrap().to_string(), "127.0.0.1/32");
        assert_eq!(parse("fd00::/8").unwrap().to_string(), "fd00::/8");
    }

    proptest! {
        /// Networks and addresses match as IPv4, whether written as IPv4 or as IPv4-mapped IPv6.
        #[test]
        fn mapped_networks_and_addresses_match_as_ipv4(
            net in any::<[u8; 4]>(),
            bits in 0..=32_u8,
            other in any::<[u8; 4]>(),
            inside in any::<bool>(),
        ) {
            let plain = Ipv4Net::new(net.into(), bits).unwrap();
            // A random address is hardly ever inside a narrow network.
            let mask = u32::from(plain.netmask());
            let address = u32::from_be_bytes(other);
            let address = if inside { (u32::from(plain.network()) & mask) | (address & !mask) } else { address };
            let address = std::net::Ipv4Addr::from(address);
            let mapped = IpAddr::V6(address.to_ipv6_mapped());
            let wanted = plain.contains(&address);
            let texts = [plain.to_string(), format!("::ffff:{}/{}", plain.addr(), bits + MAPPED_BITS)];
            for text in texts {
                let nets = [parse(&text).unwrap()];
                prop_assert_eq!(any_contains(&nets, address.into()), wanted, "{}", &text);
                prop_assert_eq!(any_contains(&nets, mapped), wanted, "{}", &text);
            }
        }
    }
}
