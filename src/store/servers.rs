//! Which server serves which shard: looked up when a server says that it does not, or does not answer, and once a second besides.
//! Of all who are asked, the claim with the greatest configuration epoch counts, as it does between Redis' own servers; so one that
//! was cut off is not believed for long.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use parking_lot::Mutex;
use redis::{ConnectionAddr, ConnectionInfo};

use super::Store;
use super::address::{Address, MasterUrl};
use super::server::Server;
use super::shard::Shard;
use crate::config;
use crate::error::Fault;

/// How often somebody looks who serves what.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Those who are sent elsewhere at one time share one look.
const SHARED_FOR: Duration = Duration::from_millis(20);

/// Who may be asked.
enum Source {
    Single,
    Cluster(Vec<ConnectionInfo>),
    Sentinels { sentinels: Vec<Arc<Server>>, name: String, url: MasterUrl },
}

/// The servers that this node knows.
pub struct Servers {
    source: Source,
    config: config::Store,
    known: Mutex<HashMap<String, Arc<Server>>>,
    looked: tokio::sync::Mutex<Option<Instant>>,
}

/// A server that says that it serves some slots.
struct Claim {
    epoch: u64,
    slots: Vec<(u16, u16)>,
    server: Arc<Server>,
}

impl Servers {
    /// As the URL says. Returns one server to begin with, too.
    ///
    /// # Errors
    /// The URL is wrong.
    pub fn new(config: &config::Store) -> Result<(Self, Arc<Server>), Fault> {
        let server = |info: &ConnectionInfo| Server::new(info.clone(), config).map(Arc::new);
        let (source, first) = match Address::parse(config.redis_url.expose())? {
            Address::Single(info) => (Source::Single, server(&info)?),
            Address::Cluster(nodes) => {
                let first =
                    nodes.first().ok_or_else(|| Fault::new("read store.redis_url", "it names no server"))?;
                let first = server(first)?;
                (Source::Cluster(nodes), first)
            }
            Address::Sentinels { sentinels, name, url } => {
                let sentinels: Vec<_> = sentinels.iter().map(server).collect::<Result<_, _>>()?;
                let first = sentinels.first().cloned();
                let first =
                    first.ok_or_else(|| Fault::new("read store.redis_url", "it names no Sentinel"))?;
                (Source::Sentinels { sentinels, name, url }, first)
            }
        };
        let servers = Self {
            source,
            config: config.clone(),
            known: Mutex::default(),
            looked: tokio::sync::Mutex::default(),
        };
        Ok((servers, first))
    }

    /// Whether servers may change.
    pub fn may_move(&self) -> bool {
        !matches!(self.source, Source::Single)
    }

    /// Looks who serves the slots of these shards, unless somebody just has.
    ///
    /// # Errors
    /// Nobody who could be asked answers, or nobody serves a slot.
    pub async fn find(&self, shards: &[&Shard]) -> Result<(), Fault> {
        let asked = Instant::now();
        let mut looked = self.looked.lock().await;
        if looked.is_some_and(|it| it + SHARED_FOR > asked) || !self.may_move() {
            return Ok(());
        }
        let claims = match &self.source {
            Source::Single => return Ok(()),
            Source::Cluster(nodes) => self.ask_cluster(nodes).await,
            Source::Sentinels { sentinels, name, url } => self.ask_sentinels(sentinels, name, url).await,
        };
        *looked = Some(Instant::now());
        for shard in shards {
            let slot = slot_of(&shard.keys.tag);
            let serves = |it: &&Claim| it.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot));
            let Some(claim) = claims.iter().filter(serves).max_by_key(|it| it.epoch) else {
                return Err(Fault::away("find out who serves a shard", format!("nobody serves slot {slot}")));
            };
            shard.move_to(claim.server.clone());
        }
        // Who serves nothing any more is not kept; it comes again if it is named again.
        let serving: Vec<_> = claims.into_iter().map(|it| it.server.address.clone()).collect();
        self.known.lock().retain(|address, _| serving.contains(address));
        Ok(())
    }

    fn server(&self, info: redis::RedisResult<ConnectionInfo>) -> Option<Arc<Server>> {
        let info = info.ok()?;
        let address = info.addr().to_string();
        let mut known = self.known.lock();
        if let Some(server) = known.get(&address) {
            return Some(server.clone());
        }
        let server = Arc::new(Server::new(info, &self.config).ok()?);
        known.insert(address, server.clone());
        Some(server)
    }

    async fn ask_cluster(&self, nodes: &[ConnectionInfo]) -> Vec<Claim> {
        let doing = "find the cluster's masters";
        let mut asked: Vec<Arc<Server>> = self.known.lock().values().cloned().collect();
        for node in nodes {
            asked.extend(
                self.server(Ok(node.clone())).filter(|it| !asked.iter().any(|seen| Arc::ptr_eq(seen, it))),
            );
        }
        let mut command = redis::cmd("CLUSTER");
        command.arg("NODES");
        let answers = join_all(asked.iter().map(|server| async {
            let nodes: String = server.ask_here(doing, &command).await.ok()?;
            Some((server.clone(), nodes))
        }));
        let mut claims = Vec::new();
        for (through, nodes_text) in answers.await.into_iter().flatten() {
            let template = through.client.get_connection_info();
            claims.extend(nodes_text.lines().filter_map(|line| {
                let master = Master::read(line)?;
                let server = if master.host.is_empty() {
                    through.clone()
                } else {
                    self.server(Ok(template.clone().set_addr(moved(
                        template.addr(),
                        master.host,
                        master.port,
                    ))))?
                };
                Some(Claim { epoch: master.epoch, slots: master.slots, server })
            }));
        }
        claims
    }

    async fn ask_sentinels(&self, sentinels: &[Arc<Server>], name: &str, url: &MasterUrl) -> Vec<Claim> {
        let doing = "ask the Sentinels for the master";
        let mut command = redis::cmd("SENTINEL");
        command.arg("MASTER").arg(name);
        let answers = join_all(sentinels.iter().map(|sentinel| async {
            sentinel.ask_here::<HashMap<String, String>>(doing, &command).await.ok()
        }));
        let claim = |it: HashMap<String, String>| {
            let server = self.server(url.at(it.get("ip")?, it.get("port")?.parse().ok()?))?;
            Some(Claim { epoch: it.get("config-epoch")?.parse().ok()?, slots: vec![(0, SLOTS - 1)], server })
        };
        answers.await.into_iter().flatten().filter_map(claim).collect()
    }
}

/// Slots of a Redis Cluster.
const SLOTS: u16 = 16_384;

/// The slot of a tag: CRC-16 (XMODEM) of what stands in its braces (Redis Cluster specification).
fn slot_of(tag: &str) -> u16 {
    let hashed = tag.trim_start_matches('{').trim_end_matches('}');
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % SLOTS
}

/// The same kind of connection to another host.
fn moved(like: &ConnectionAddr, host: &str, port: u16) -> ConnectionAddr {
    match like.clone() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure, tls_params }
        }
        _ => ConnectionAddr::Tcp(host.to_owned(), port),
    }
}

/// A line of `CLUSTER NODES` that is about a master with slots.
struct Master<'a> {
    /// Empty: whoever says so.
    host: &'a str,
    port: u16,
    epoch: u64,
    slots: Vec<(u16, u16)>,
}

impl<'a> Master<'a> {
    /// `id ip:port@cport[,hostname] flags master ping pong config-epoch link slot…`; slots under way, in brackets, are where they were.
    fn read(line: &'a str) -> Option<Self> {
        let mut words = line.split(' ').skip(1);
        let (address, flags) = (words.next()?, words.next()?);
        if !flags.split(',').any(|it| it == "master") {
            return None;
        }
        let (address, hostname) = address.split_once(',').unwrap_or((address, ""));
        let (ip, port) = address.split_once('@')?.0.rsplit_once(':')?;
        let hostname = hostname.split(',').next().unwrap_or_default();
        let host = if hostname.is_empty() { ip } else { hostname };
        let epoch = words.nth(3)?.parse().ok()?;
        let slots: Vec<_> = words.skip(1).filter_map(read_slots).collect();
        (!slots.is_empty()).then_some(Self { host, port: port.parse().ok()?, epoch, slots })
    }
}

fn read_slots(word: &str) -> Option<(u16, u16)> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some((first.parse().ok()?, last.parse().ok()?))
}

impl Store {
    /// Every shard, and the board that is merged of them.
    pub(super) fn places(&self) -> Vec<&Shard> {
        self.shards.iter().chain(&self.face).collect()
    }

    /// Looks who serves what now.
    ///
    /// # Errors
    /// Nobody who could be asked answers.
    pub(super) async fn find_servers(&self) -> Result<(), Fault> {
        self.servers.find(&self.places()).await
    }

    /// Looks once a second, where servers may change.
    pub async fn find_servers_forever(&self) {
        if !self.servers.may_move() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(fault) = self.find_servers().await {
                tracing::warn!(%fault, "shards stay where they were");
            }
        }
    }

    /// Each server once.
    pub(super) fn distinct_servers(&self) -> Vec<Arc<Server>> {
        let mut servers: Vec<Arc<Server>> = Vec::new();
        for server in self.places().into_iter().map(Shard::server) {
            if !servers.iter().any(|it| Arc::ptr_eq(it, &server)) {
                servers.push(server);
            }
        }
        servers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // CLUSTER KEYSLOT of the same tags.
        assert_eq!([slot_of("{123456789}"), slot_of("{foo}")], [12739, 12182]);
    }

    #[test]
    fn masters_are_read_with_their_slots() {
        let line = "07c3 127.0.0.1:30004@31004,host myself,master - 0 1426238317239 4 connected 0-5460 5470 [5461->-292f]";
        let master = Master::read(line).unwrap();
        assert_eq!((master.host, master.port, master.epoch), ("host", 30004, 4));
        assert_eq!(master.slots, [(0, 5460), (5470, 5470)]);
        assert!(
            Master::read("6ec2 127.0.0.1:30005@31005,, slave 67ed 0 1426238316232 5 connected").is_none()
        );
        assert!(
            Master::read("e7d1 ::1:30002@31002 master,fail? - 0 1 2 connected").is_none(),
            "it has no slots"
        );
        let old = Master::read("a :7000@17000 myself,master - 0 0 1 connected 1").unwrap();
        assert_eq!((old.host, old.port), ("", 7000));
    }
}
