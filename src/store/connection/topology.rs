//! The topology: which server serves which shard. It is refreshed after a redirect and once a second. Several servers are queried, and the
//! reply with the highest configuration epoch counts, as in Redis Cluster itself, so an isolated server is outvoted soon.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use parking_lot::Mutex;
use redis::{ConnectionAddr, ConnectionInfo, FromRedisValue};

use super::address::{Address, MasterUrl};
use super::cluster_slots::{Master, SLOTS, slot_of};
use super::redis_error::LOGIN_ERRORS;
use super::server::{Request, Server};
use crate::config;
use crate::error::Fault;
use crate::store::Store;
use crate::store::shard::Shard;

/// How often the topology is refreshed.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// Requests that are redirected within this time share one refresh.
const SHARED_FOR: Duration = Duration::from_millis(20);

/// Where the topology comes from.
enum Source {
    Single,
    Cluster(Vec<ConnectionInfo>),
    Sentinels { sentinels: Vec<Arc<Server>>, name: String, url: MasterUrl },
}

/// The known servers.
pub struct Topology {
    source: Source,
    config: config::Redis,
    /// The seed nodes of a cluster, from the settings.
    seeds: Vec<Arc<str>>,
    known: Mutex<HashMap<Arc<str>, Arc<Server>>>,
    refreshed_at: tokio::sync::Mutex<Option<Instant>>,
}

/// A server and the slots it claims to serve.
struct SlotClaim {
    epoch: u64,
    slots: Vec<(u16, u16)>,
    server: Arc<Server>,
}

impl Topology {
    /// Reads the settings. Also returns a server to start with.
    ///
    /// # Errors
    /// The URL is invalid.
    pub fn new(config: &config::Redis) -> Result<(Self, Arc<Server>), Fault> {
        let server = |info: &ConnectionInfo| Server::new(info.clone(), config).map(Arc::new);
        let (source, first) = match Address::parse(config)? {
            Address::Single(info) => (Source::Single, server(&info)?),
            Address::Cluster(nodes) => {
                let first =
                    nodes.first().ok_or_else(|| Fault::new("read_redis_url", "the URL has no server"))?;
                let first = server(first)?;
                (Source::Cluster(nodes), first)
            }
            Address::Sentinels { sentinels, name, url } => {
                let sentinels: Vec<_> = sentinels.iter().map(server).collect::<Result<_, _>>()?;
                let first = sentinels.first().cloned();
                let first = first.ok_or_else(|| Fault::new("read_redis_url", "the URL has no Sentinel"))?;
                (Source::Sentinels { sentinels, name, url }, first)
            }
        };
        let seeds = match &source {
            Source::Cluster(nodes) => nodes.iter().map(|node| node.addr().to_string().into()).collect(),
            Source::Single | Source::Sentinels { .. } => Vec::new(),
        };
        let (known, refreshed_at) = (Mutex::default(), tokio::sync::Mutex::default());
        let topology = Self { source, config: config.clone(), seeds, known, refreshed_at };
        Ok((topology, first))
    }

    /// Whether shards may move to other servers.
    pub fn is_dynamic(&self) -> bool {
        !matches!(self.source, Source::Single)
    }

    /// Finds the servers of these shards, unless another task has just done so.
    ///
    /// # Errors
    /// No server answers, or a slot is not served.
    pub async fn refresh(&self, shards: &[&Shard]) -> Result<(), Fault> {
        let requested_at = Instant::now();
        let mut refreshed_at = self.refreshed_at.lock().await;
        if refreshed_at.is_some_and(|it| it + SHARED_FOR > requested_at) {
            return Ok(());
        }
        let (claims, errors) = match &self.source {
            Source::Single => return Ok(()),
            Source::Cluster(nodes) => self.ask_cluster(nodes).await,
            Source::Sentinels { sentinels, name, url } => self.ask_sentinels(sentinels, name, url).await,
        };
        *refreshed_at = Some(Instant::now());
        let mut unserved = None;
        for shard in shards {
            let slot = slot_of(&shard.keys.tag);
            let serves =
                |claim: &&SlotClaim| claim.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot));
            match claims.iter().filter(serves).max_by_key(|it| it.epoch) {
                Some(claim) => shard.move_to(claim.server.clone()),
                None => unserved = Some(slot),
            }
        }
        // Forget servers that serve nothing any more, except the seeds.
        let serving: Vec<_> = claims.into_iter().map(|it| it.server.address.clone()).collect();
        self.known.lock().retain(|address, _| serving.contains(address) || self.seeds.contains(address));
        let Some(slot) = unserved else { return Ok(()) };
        let errors = errors.join("; ");
        let is_login_wrong = LOGIN_ERRORS.iter().any(|code| errors.contains(code));
        let (operation, subject, login) = match &self.source {
            Source::Sentinels { name, .. } => {
                ("get_master_from_sentinels", name.clone(), "redis.sentinel_password")
            }
            _ => ("find_cluster_masters", format!("no node serves slot {slot}"), "REDIS_URL"),
        };
        let advice = if is_login_wrong {
            format!("set the password in {login} to theirs")
        } else {
            "check that they run there and that REDIS_URL is right".to_owned()
        };
        Err(Fault::retryable(operation, format!("{subject}: {errors}; {advice}")))
    }

    fn server(&self, info: redis::RedisResult<ConnectionInfo>) -> Option<Arc<Server>> {
        let info = info.ok()?;
        let address: Arc<str> = info.addr().to_string().into();
        let mut known = self.known.lock();
        if let Some(server) = known.get(&address) {
            return Some(server.clone());
        }
        let server = Arc::new(Server::new(info, &self.config).ok()?);
        known.insert(address, server.clone());
        Some(server)
    }

    async fn ask_cluster(&self, nodes: &[ConnectionInfo]) -> (Vec<SlotClaim>, Vec<String>) {
        let mut servers: Vec<Arc<Server>> = self.known.lock().values().cloned().collect();
        for node in nodes {
            let server = self.server(Ok(node.clone()));
            servers.extend(server.filter(|it| !servers.iter().any(|known| Arc::ptr_eq(known, it))));
        }
        let mut command = redis::cmd("CLUSTER");
        command.arg("NODES");
        let (replies, errors) = ask_each::<String>(&servers, &command).await;
        let mut claims = Vec::new();
        for (server, nodes_text) in replies {
            let template = server.client.get_connection_info();
            claims.extend(nodes_text.lines().filter_map(|line| {
                let master = Master::parse(line)?;
                let master_server = if master.host.is_empty() {
                    server.clone()
                } else {
                    let address = with_host(template.addr(), master.host, master.port);
                    self.server(Ok(template.clone().set_addr(address)))?
                };
                Some(SlotClaim { epoch: master.epoch, slots: master.slots, server: master_server })
            }));
        }
        (claims, errors)
    }

    async fn ask_sentinels(
        &self,
        sentinels: &[Arc<Server>],
        name: &str,
        url: &MasterUrl,
    ) -> (Vec<SlotClaim>, Vec<String>) {
        let mut command = redis::cmd("SENTINEL");
        command.arg("MASTER").arg(name);
        let (replies, errors) = ask_each::<HashMap<String, String>>(sentinels, &command).await;
        let claim = |master: HashMap<String, String>| {
            let server = self.server(url.at(master.get("ip")?, master.get("port")?.parse().ok()?))?;
            let epoch = master.get("config-epoch")?.parse().ok()?;
            Some(SlotClaim { epoch, slots: vec![(0, SLOTS - 1)], server })
        };
        (replies.into_iter().filter_map(|(_, master)| claim(master)).collect(), errors)
    }
}

/// Sends a command to several servers. Returns their replies, and the errors of the others as `address: error`.
async fn ask_each<T: FromRedisValue>(
    servers: &[Arc<Server>],
    command: &redis::Cmd,
) -> (Vec<(Arc<Server>, T)>, Vec<String>) {
    let calls = servers.iter().map(|server| async {
        match server.ask(Request::Command(command)).await {
            Ok(reply) => Ok((server.clone(), reply)),
            Err(error) => Err(format!("{}: {}", server.address, server.error_text(&error).await)),
        }
    });
    let (mut replies, mut errors) = (Vec::new(), Vec::new());
    for result in join_all(calls).await {
        match result {
            Ok(reply) => replies.push(reply),
            Err(error) => errors.push(error),
        }
    }
    (replies, errors)
}

/// An address with the same kind of connection and another host.
fn with_host(like: &ConnectionAddr, host: &str, port: u16) -> ConnectionAddr {
    match like.clone() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure, tls_params }
        }
        _ => ConnectionAddr::Tcp(host.to_owned(), port),
    }
}

impl Store {
    /// All shards, including the merged board.
    pub(in crate::store) fn all_shards(&self) -> Vec<&Shard> {
        self.shards.iter().chain(&self.merged).collect()
    }

    /// Finds the servers of all shards.
    ///
    /// # Errors
    /// No server answers.
    pub(in crate::store) async fn refresh_topology(&self) -> Result<(), Fault> {
        let places: Vec<Arc<Shard>> = self.board_places.lock().values().cloned().collect();
        let shards: Vec<&Shard> =
            self.all_shards().into_iter().chain(places.iter().map(|it| &**it)).collect();
        self.topology.refresh(&shards).await
    }

    /// Refreshes the topology once a second, unless it is static.
    pub async fn refresh_topology_forever(&self) {
        if !self.topology.is_dynamic() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(REFRESH_EVERY).await;
            if let Err(fault) = self.refresh_topology().await {
                tracing::warn!(%fault, "redis topology refresh failed, shards stay on their servers");
            }
        }
    }

    /// The servers, each once.
    pub(in crate::store) fn distinct_servers(&self) -> Vec<Arc<Server>> {
        let mut servers: Vec<Arc<Server>> = Vec::new();
        for server in self.all_shards().into_iter().map(Shard::server) {
            if !servers.iter().any(|it| Arc::ptr_eq(it, &server)) {
                servers.push(server);
            }
        }
        servers
    }
}
