//! Honest players while hostile clients flood the node with what it has to refuse: how many refusals a second it sustains,
//! what they cost, and how long honest players wait meanwhile, beside the same players alone in the same run.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::cpu::Cpu;
use crate::hostile::Attack;
use crate::http::{self, Connection};
use crate::players::{self, PER_SECOND, PLAYERS, Played};
use crate::server::Server;

/// How long each kind of flood lasts for the honest players.
const SECONDS: usize = 5;
/// Awards before anything is measured: one for each address.
const WARM_UP: usize = PLAYERS;
/// A flood that leaves the node time to breathe.
const GENTLE_PER_SECOND: u32 = 5000;
/// Hostile accounts of the flood that comes from many.
const ACCOUNTS: usize = 64;
/// Honest players come afresh to each phase; hostile users come last.
const USERS: usize = 8 * PLAYERS + 2 * ACCOUNTS;

/// Honest players share the floods' address, so the limits per address must not meet them.
const ONE_ADDRESS: [(&str, &str); 2] =
    [("LAUREL_LIMITS__REQUESTS_PER_MINUTE_PER_IP", "0"), ("LAUREL_LIMITS__CONNECTIONS_PER_IP", "0")];
/// Windows that never fill: every forged token is read and counted.
const NEVER_FULL: &[(&str, &str)] = &[
    ONE_ADDRESS[0],
    ONE_ADDRESS[1],
    ("LAUREL_LIMITS__REQUESTS_PER_MINUTE_PER_USER", "0"),
    ("LAUREL_LIMITS__UPDATES_PER_MINUTE", "1000000000"),
];

/// Everything that was measured.
pub struct Flood {
    pub nodes: Vec<(&'static str, Vec<Phase>)>,
    pub verified: String,
}

/// Honest players, and what flooded the node meanwhile.
pub struct Phase {
    pub name: &'static str,
    pub played: Played,
    /// The part of the machine's cores that others used meanwhile.
    pub others: f64,
    /// How often each status was answered to the flood, over how long.
    pub refused: BTreeMap<u16, u64>,
    pub took: Duration,
    pub cpu: Cpu,
    pub scripts: f64,
}

pub async fn measure() -> Flood {
    let (mut nodes, mut verified) = (Vec::new(), Vec::new());
    let mut stage = Stage::open("default limits, but none per address", &ONE_ADDRESS, shared).await;
    let (hostile, token) = stage.hostile().await;
    let forged = forged_tokens(&token);
    stage.flood("forged logins", 401, vec![finalize(&flipped(&hostile), &token)]).await;
    let gentle = Some((401, vec![finalize(&flipped(&hostile), &token)]));
    stage.measure("forged logins, 5,000 a second", gentle, Some(GENTLE_PER_SECOND)).await;
    stage
        .flood("forged tokens, one account", 429, forged.iter().map(|it| finalize(&hostile, it)).collect())
        .await;
    let accounts: Vec<String> = stage.logins.split_off(stage.logins.len() - ACCOUNTS);
    let requests = accounts.iter().flat_map(|login| forged.iter().map(|it| finalize(login, it))).collect();
    stage.flood("forged tokens, 64 accounts", 429, requests).await;
    let (hostile, token) = stage.hostile().await;
    stage.redeem(&hostile, &token).await;
    stage.flood("replays of a redeemed token", 429, vec![finalize(&hostile, &token)]).await;
    verified.push(stage.close(&mut nodes).await);

    let mut stage = Stage::open("windows that never fill", NEVER_FULL, shared).await;
    let (hostile, token) = stage.hostile().await;
    let requests = forged_tokens(&token).iter().map(|it| finalize(&hostile, it)).collect();
    stage.flood("forged tokens, each read and counted", 401, requests).await;
    verified.push(stage.close(&mut nodes).await);

    let mut stage = Stage::open("default limits; players at addresses of their own", &[], own).await;
    let (hostile, token) = stage.hostile().await;
    stage.flood("forged logins, address cut off", 429, vec![finalize(&flipped(&hostile), &token)]).await;
    verified.push(stage.close(&mut nodes).await);
    Flood { nodes, verified: verified.join("; ") }
}

fn shared(_: usize) -> IpAddr {
    Ipv4Addr::LOCALHOST.into()
}

/// 127.0.0.2 and on.
fn own(place: usize) -> IpAddr {
    IpAddr::from((Ipv4Addr::LOCALHOST.to_bits() + 1 + place as u32).to_be_bytes())
}

/// A node, and who has not been there yet.
struct Stage {
    name: &'static str,
    server: Server,
    logins: Vec<String>,
    address: fn(usize) -> IpAddr,
    phases: Vec<Phase>,
}

impl Stage {
    /// Warms a node up and lets honest players be alone there.
    async fn open(name: &'static str, settings: &[(&str, &str)], address: fn(usize) -> IpAddr) -> Self {
        let server = Server::start(USERS, settings);
        let mut stage = Self { name, logins: server.logins(), server, address, phases: Vec::new() };
        let warm: Vec<String> = stage.logins.drain(..PLAYERS).collect();
        players::play(&stage.server, &warm, WARM_UP, address).await;
        stage.measure("none", None, None).await;
        stage
    }

    /// Floods the node until most is answered with this status, and then lets honest players come too.
    async fn flood(&mut self, name: &'static str, status: u16, requests: Vec<String>) {
        self.measure(name, Some((status, requests)), None).await;
    }

    async fn measure(
        &mut self,
        name: &'static str,
        flood: Option<(u16, Vec<String>)>,
        per_second: Option<u32>,
    ) {
        let (scripts, cpu, started) = (self.server.scripts().await, Cpu::of(&self.server), Instant::now());
        let attack = match flood {
            Some((status, requests)) => {
                let attack = Attack::start(self.server.socket_address(), requests, per_second);
                attack.meets(status).await;
                Some(attack)
            }
            None => None,
        };
        let logins: Vec<String> = self.logins.drain(..PLAYERS).collect();
        let played = players::play(&self.server, &logins, SECONDS * PER_SECOND, self.address).await;
        let (refused, took) = attack.map(Attack::stop).unwrap_or_default();
        let cpu = Cpu::of(&self.server).since(&cpu);
        let cores = std::thread::available_parallelism().unwrap().get() as f64;
        let others = cpu.others() / cores / started.elapsed().as_secs_f64();
        let scripts = self.server.scripts().await - scripts;
        self.phases.push(Phase { name, played, others, refused, took, cpu, scripts });
    }

    /// The login of a user who means ill, and a token that was given out to them.
    async fn hostile(&mut self) -> (String, String) {
        let login = self.logins.pop().unwrap();
        let mut connection = Connection::open(&self.server.address).await;
        let issued = connection.post("/api/v1/actions/init", &login, r#"{"actionType":"watch_ad"}"#).await;
        (login, http::field(&issued, "antiSpamToken").unwrap())
    }

    async fn redeem(&self, login: &str, token: &str) {
        let mut connection = Connection::open(&self.server.address).await;
        connection.post("/api/v1/actions/finalize", login, &redemption(token)).await;
    }

    /// What `laurel verify` says of it.
    async fn close(self, nodes: &mut Vec<(&'static str, Vec<Phase>)>) -> String {
        self.server.wait_until_written().await;
        nodes.push((self.name, self.phases));
        self.server.verify()
    }
}

fn redemption(token: &str) -> String {
    format!(r#"{{"antiSpamToken":"{token}"}}"#)
}

fn finalize(login: &str, token: &str) -> String {
    http::post("/api/v1/actions/finalize", login, &redemption(token))
}

/// One with a bit flipped, one signed with a key of the forger's own.
fn forged_tokens(token: &str) -> [String; 2] {
    let (claims, _) = token.rsplit_once('.').unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"not the key, not the key, not the key");
    let signature = hmac::sign(&key, claims.as_bytes());
    [flipped(token), format!("{claims}.{}", URL_SAFE_NO_PAD.encode(signature))]
}

/// A JWT with the highest bit of its signature flipped.
fn flipped(token: &str) -> String {
    let (claims, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[0] ^= 0x80;
    format!("{claims}.{}", URL_SAFE_NO_PAD.encode(bytes))
}
