//! Hash slots of a Redis Cluster, and the masters that serve them (Redis Cluster specification).

/// The number of slots of a Redis Cluster.
pub const SLOTS: u16 = 16_384;

/// The slot of a hash tag: CRC-16 (XMODEM) of the text in its braces.
pub fn slot_of(tag: &str) -> u16 {
    let hashed = tag.trim_start_matches('{').trim_end_matches('}');
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % SLOTS
}

/// A line of `CLUSTER NODES` for a master with slots.
pub struct Master<'a> {
    /// Empty: the node that replied.
    pub host: &'a str,
    pub port: u16,
    pub epoch: u64,
    pub slots: Vec<(u16, u16)>,
}

impl<'a> Master<'a> {
    /// Parses `id ip:port@cport[,hostname] flags master ping pong config-epoch link slot…`. Slots in brackets are migrating, and still served
    /// by their old master.
    pub fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split(' ').skip(1);
        let (address, flags) = (words.next()?, words.next()?);
        if !flags.split(',').any(|flag| flag == "master") {
            return None;
        }
        let (address, hostname) = address.split_once(',').unwrap_or((address, ""));
        let (ip, port) = address.split_once('@')?.0.rsplit_once(':')?;
        let hostname = hostname.split(',').next().unwrap_or_default();
        let host = if hostname.is_empty() { ip } else { hostname };
        let epoch = words.nth(3)?.parse().ok()?;
        let slots: Vec<_> = words.skip(1).filter_map(parse_slots).collect();
        (!slots.is_empty()).then_some(Self { host, port: port.parse().ok()?, epoch, slots })
    }
}

fn parse_slots(word: &str) -> Option<(u16, u16)> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some((first.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_match_redis() {
        // Expected values from CLUSTER KEYSLOT.
        assert_eq!([slot_of("{123456789}"), slot_of("{foo}")], [12739, 12182]);
    }

    #[test]
    fn parses_masters_with_their_slots() {
        let line = "07c3 127.0.0.1:30004@31004,host myself,master - 0 1426238317239 4 connected 0-5460 5470 [5461->-292f]";
        let master = Master::parse(line).unwrap();
        assert_eq!((master.host, master.port, master.epoch), ("host", 30004, 4));
        assert_eq!(master.slots, [(0, 5460), (5470, 5470)]);
        assert!(
            Master::parse("6ec2 127.0.0.1:30005@31005,, slave 67ed 0 1426238316232 5 connected").is_none()
        );
        assert!(
            Master::parse("e7d1 ::1:30002@31002 master,fail? - 0 1 2 connected").is_none(),
            "without slots"
        );
        let old = Master::parse("a :7000@17000 myself,master - 0 0 1 connected 1").unwrap();
        assert_eq!((old.host, old.port), ("", 7000));
    }
}
