//! Honest players while hostile clients flood the node with requests it must refuse: how many refusals a second it sustains, what they
//! cost, and how long honest players wait meanwhile, compared with the same players alone in the same run.

mod attack;
mod players;
mod report;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::client::{self, Connection};
use crate::server::Server;
use crate::usage::{Cpu, share_of_machine};
use attack::Attack;
use players::{PER_SECOND, PLAYERS, Played};
pub use report::HEADING;

/// How long honest players play during each flood.
const SECONDS: usize = 5;
/// Awards before the measurement: one from each address.
const WARM_UP: usize = PLAYERS;
/// A flood that does not use all of the CPU.
const SLOW_PER_SECOND: u32 = 5000;
/// Hostile accounts of the flood from many accounts.
const ACCOUNTS: usize = 64;
/// Each phase has new honest players; hostile users are the last ones.
const USERS: usize = 8 * PLAYERS + 2 * ACCOUNTS;

/// Honest players share the flood's address, so there must be no limits per address.
const ONE_ADDRESS: [(&str, &str); 2] =
    [("LAUREL_LIMITS__REQUESTS_PER_MINUTE_PER_IP", "0"), ("LAUREL_LIMITS__CONNECTIONS_PER_IP", "0")];
/// Limits that are never reached: Redis counts every forged token.
const HIGH_LIMITS: &[(&str, &str)] = &[
    ONE_ADDRESS[0],
    ONE_ADDRESS[1],
    ("LAUREL_LIMITS__REQUESTS_PER_MINUTE_PER_USER", "0"),
    ("LAUREL_LIMITS__UPDATES_PER_MINUTE", "1000000000"),
];

/// The results of the flood test.
pub struct Flood {
    pub nodes: Vec<(&'static str, Vec<Phase>)>,
    pub verified: String,
}

/// Honest players during one flood.
pub struct Phase {
    pub name: &'static str,
    pub played: Played,
    /// Share of the machine that other programs took, 0 to 1.
    pub others: f64,
    /// Responses to the flood by status, and how long it lasted.
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
    let slow = Some((401, vec![finalize(&flipped(&hostile), &token)]));
    stage.measure("forged logins, 5,000 a second", slow, Some(SLOW_PER_SECOND)).await;
    stage
        .flood(
            "forged tokens, one account",
            429,
            forged.iter().map(|token| finalize(&hostile, token)).collect(),
        )
        .await;
    let accounts: Vec<String> = stage.logins.split_off(stage.logins.len() - ACCOUNTS);
    let requests =
        accounts.iter().flat_map(|login| forged.iter().map(|token| finalize(login, token))).collect();
    stage.flood("forged tokens, 64 accounts", 429, requests).await;
    let (hostile, token) = stage.hostile().await;
    stage.redeem(&hostile, &token).await;
    stage.flood("replays of a redeemed token", 429, vec![finalize(&hostile, &token)]).await;
    verified.push(stage.close(&mut nodes).await);

    let mut stage = Stage::open("rate limits that are never reached", HIGH_LIMITS, shared).await;
    let (hostile, token) = stage.hostile().await;
    let requests = forged_tokens(&token).iter().map(|token| finalize(&hostile, token)).collect();
    stage.flood("forged tokens, each read and counted", 401, requests).await;
    verified.push(stage.close(&mut nodes).await);

    let mut stage = Stage::open("default limits, and an address for each player", &[], own).await;
    let (hostile, token) = stage.hostile().await;
    stage.flood("forged logins, address limited", 429, vec![finalize(&flipped(&hostile), &token)]).await;
    verified.push(stage.close(&mut nodes).await);
    Flood { nodes, verified: verified.join("; ") }
}

/// All players share the address.
fn shared(_: usize) -> IpAddr {
    Ipv4Addr::LOCALHOST.into()
}

/// Each player has an address: 127.0.0.2, 127.0.0.3, …
fn own(place: usize) -> IpAddr {
    IpAddr::from((Ipv4Addr::LOCALHOST.to_bits() + 1 + place as u32).to_be_bytes())
}

/// A node, and the logins that no phase has used yet.
struct Stage {
    name: &'static str,
    server: Server,
    logins: Vec<String>,
    address: fn(usize) -> IpAddr,
    phases: Vec<Phase>,
}

impl Stage {
    /// Starts a node, warms it up, and measures honest players alone.
    async fn open(name: &'static str, settings: &[(&str, &str)], address: fn(usize) -> IpAddr) -> Self {
        let server = Server::start(USERS, settings);
        let mut stage = Self { name, logins: server.logins(), server, address, phases: Vec::new() };
        let warm: Vec<String> = stage.logins.drain(..PLAYERS).collect();
        players::play(&stage.server, &warm, WARM_UP, address).await;
        stage.measure("none", None, None).await;
        stage
    }

    /// Floods the node until 200 requests got this status, then measures honest players.
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
                attack.wait_for(status).await;
                Some(attack)
            }
            None => None,
        };
        let logins: Vec<String> = self.logins.drain(..PLAYERS).collect();
        let played = players::play(&self.server, &logins, SECONDS * PER_SECOND, self.address).await;
        let (refused, took) = attack.map(Attack::stop).unwrap_or_default();
        let cpu = Cpu::of(&self.server).since(&cpu);
        let others = share_of_machine(cpu.others(), started.elapsed().as_secs_f64());
        let scripts = self.server.scripts().await - scripts;
        self.phases.push(Phase { name, played, others, refused, took, cpu, scripts });
    }

    /// The login of a hostile user, and a token that was issued to them.
    async fn hostile(&mut self) -> (String, String) {
        let login = self.logins.pop().unwrap();
        let mut connection = Connection::open(&self.server.address).await;
        let issued = connection.post("/api/v1/actions/init", &login, r#"{"actionType":"watch_ad"}"#).await;
        (login, client::field(&issued.unwrap(), "antiSpamToken").unwrap())
    }

    async fn redeem(&self, login: &str, token: &str) {
        let mut connection = Connection::open(&self.server.address).await;
        connection.post("/api/v1/actions/finalize", login, &redemption(token)).await.unwrap();
    }

    /// Ends the node. Returns the output of `laurel verify`.
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
    client::post("/api/v1/actions/finalize", login, &redemption(token))
}

/// A token with a flipped bit, and one that is signed with another key.
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
