//! Which server serves which shard: looked up when a server says that it does not, or does not answer, and once a second besides.
//! Of all who are asked, the claim with the greatest configuration epoch counts, as it does between Redis' own servers; so one that
//! was cut off is not believed for long.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use parking_lot::Mutex;
use redis::{ConnectionAddr, ConnectionInfo, FromRedisValue};

use super::Store;
use super::address::{Address, MasterUrl};
use super::redis_error::LOGIN;
use super::server::{Question, Server};
use super::shard::Shard;
use super::slots::{Master, SLOTS, slot_of};
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
    config: config::Redis,
    /// The cluster's nodes that the settings name.
    named: Vec<Arc<str>>,
    known: Mutex<HashMap<Arc<str>, Arc<Server>>>,
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
    pub fn new(config: &config::Redis) -> Result<(Self, Arc<Server>), Fault> {
        let server = |info: &ConnectionInfo| Server::new(info.clone(), config).map(Arc::new);
        let (source, first) = match Address::read(config)? {
            Address::Single(info) => (Source::Single, server(&info)?),
            Address::Cluster(nodes) => {
                let first =
                    nodes.first().ok_or_else(|| Fault::new("read redis.url", "it names no server"))?;
                let first = server(first)?;
                (Source::Cluster(nodes), first)
            }
            Address::Sentinels { sentinels, name, url } => {
                let sentinels: Vec<_> = sentinels.iter().map(server).collect::<Result<_, _>>()?;
                let first = sentinels.first().cloned();
                let first = first.ok_or_else(|| Fault::new("read redis.url", "it names no Sentinel"))?;
                (Source::Sentinels { sentinels, name, url }, first)
            }
        };
        let named = match &source {
            Source::Cluster(nodes) => nodes.iter().map(|it| it.addr().to_string().into()).collect(),
            Source::Single | Source::Sentinels { .. } => Vec::new(),
        };
        let (known, looked) = (Mutex::default(), tokio::sync::Mutex::default());
        let servers = Self { source, config: config.clone(), named, known, looked };
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
        let (claims, refusals) = match &self.source {
            Source::Single => return Ok(()),
            Source::Cluster(nodes) => self.ask_cluster(nodes).await,
            Source::Sentinels { sentinels, name, url } => self.ask_sentinels(sentinels, name, url).await,
        };
        *looked = Some(Instant::now());
        let mut unserved = None;
        for shard in shards {
            let slot = slot_of(&shard.keys.tag);
            let serves = |it: &&Claim| it.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot));
            match claims.iter().filter(serves).max_by_key(|it| it.epoch) {
                Some(claim) => shard.move_to(claim.server.clone()),
                None => unserved = Some(slot),
            }
        }
        // Who serves nothing any more is not kept, but for those that the settings name.
        let serving: Vec<_> = claims.into_iter().map(|it| it.server.address.clone()).collect();
        self.known.lock().retain(|address, _| serving.contains(address) || self.named.contains(address));
        let Some(slot) = unserved else { return Ok(()) };
        let told = refusals.join("; ");
        let wants_login = LOGIN.iter().any(|it| told.contains(it));
        let (doing, what, login) = match &self.source {
            Source::Sentinels { name, .. } => {
                ("ask the Sentinels for the master", name.clone(), "redis.sentinel_password")
            }
            _ => ("find the cluster's masters", format!("nobody serves slot {slot}"), "REDIS_URL"),
        };
        let advice = if wants_login {
            format!("set the password in {login} to theirs")
        } else {
            "are they running there, and is REDIS_URL right?".to_owned()
        };
        Err(Fault::retryable(doing, format!("{what}: {told}; {advice}")))
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

    async fn ask_cluster(&self, nodes: &[ConnectionInfo]) -> (Vec<Claim>, Vec<String>) {
        let mut asked: Vec<Arc<Server>> = self.known.lock().values().cloned().collect();
        for node in nodes {
            asked.extend(
                self.server(Ok(node.clone())).filter(|it| !asked.iter().any(|seen| Arc::ptr_eq(seen, it))),
            );
        }
        let mut command = redis::cmd("CLUSTER");
        command.arg("NODES");
        let (answers, refusals) = ask_each::<String>(&asked, &command).await;
        let mut claims = Vec::new();
        for (through, nodes_text) in answers {
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
        (claims, refusals)
    }

    async fn ask_sentinels(
        &self,
        sentinels: &[Arc<Server>],
        name: &str,
        url: &MasterUrl,
    ) -> (Vec<Claim>, Vec<String>) {
        let mut command = redis::cmd("SENTINEL");
        command.arg("MASTER").arg(name);
        let (answers, refusals) = ask_each::<HashMap<String, String>>(sentinels, &command).await;
        let claim = |it: HashMap<String, String>| {
            let server = self.server(url.at(it.get("ip")?, it.get("port")?.parse().ok()?))?;
            Some(Claim { epoch: it.get("config-epoch")?.parse().ok()?, slots: vec![(0, SLOTS - 1)], server })
        };
        (answers.into_iter().filter_map(|(_, it)| claim(it)).collect(), refusals)
    }
}

/// Asks servers the same. Returns what they answer, and what the others say, or why they do not answer, as `address: words`.
async fn ask_each<T: FromRedisValue>(
    servers: &[Arc<Server>],
    command: &redis::Cmd,
) -> (Vec<(Arc<Server>, T)>, Vec<String>) {
    let asked = servers.iter().map(|server| async {
        match server.ask(Question::Command(command)).await {
            Ok(answer) => Ok((server.clone(), answer)),
            Err(unanswered) => Err(format!("{}: {}", server.address, server.words(&unanswered).await)),
        }
    });
    let (mut answers, mut refusals) = (Vec::new(), Vec::new());
    for answer in join_all(asked).await {
        match answer {
            Ok(answer) => answers.push(answer),
            Err(refusal) => refusals.push(refusal),
        }
    }
    (answers, refusals)
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
