//! One way to split the board: a node on stores of its own, and what was measured on it, round by round.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hdrhistogram::Histogram;
use serde_json::Value;

use super::cluster::Cluster;
use super::{ALONE, AWARDS, LEADING, RANKS, USERS};
use crate::CONNECTIONS;
use crate::cpu::{self, Cpu};
use crate::http::Connection;
use crate::phase::{Phase, issue, redeem};
use crate::server::{Server, UNLIMITED};

/// CPU seconds of each part.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    pub node: f64,
    /// Of all masters.
    pub redis: f64,
    pub replicas: f64,
    pub postgres: f64,
}

impl Cost {
    pub fn minus(self, other: Self) -> Self {
        Self {
            node: self.node - other.node,
            redis: self.redis - other.redis,
            replicas: self.replicas - other.replicas,
            postgres: self.postgres - other.postgres,
        }
    }

    pub fn times(self, factor: f64) -> Self {
        Self {
            node: self.node * factor,
            redis: self.redis * factor,
            replicas: self.replicas * factor,
            postgres: self.postgres * factor,
        }
    }
}

/// What one kind of request came to.
pub struct Done {
    /// One of each a round.
    pub per_second: Vec<f64>,
    /// For 1,000 of them, without what the parts use at rest.
    pub cost: Vec<Cost>,
    /// Microseconds.
    pub times: Histogram<u64>,
}

impl Done {
    fn new() -> Self {
        Self { per_second: Vec::new(), cost: Vec::new(), times: Histogram::new(3).unwrap() }
    }
}

pub struct Stage {
    pub name: &'static str,
    pub server: Server,
    pub cluster: Option<Cluster>,
    logins: Arc<Vec<String>>,
    leaders: Arc<Vec<String>>,
    masters: Vec<u32>,
    replicas: Vec<u32>,
    /// A second of nothing.
    pub rest: Cost,
    /// By everybody in turn: few of them change the ten.
    pub awards: Done,
    /// By the ten best alone: each of them changes the ten.
    pub leading: Done,
    pub ranks: Done,
    /// One after the other, with nothing else under way.
    pub award_alone: Histogram<u64>,
    pub rank_alone: Histogram<u64>,
}

impl Stage {
    pub async fn start(name: &'static str, shards: &str, cluster: Option<Cluster>) -> Self {
        let url = cluster.as_ref().map(Cluster::url);
        let mut settings = UNLIMITED.to_vec();
        settings.push(("LAUREL_REDIS__SHARDS", shards));
        settings.extend(url.as_deref().map(|it| ("REDIS_URL", it)));
        let server = Server::start(USERS, &settings);
        let logins = server.logins();
        let leaders = leaders(&server, &logins).await;
        let (masters, replicas) = match &cluster {
            Some(cluster) => cluster.pids(),
            None => (vec![own_redis(&server).await], Vec::new()),
        };
        Self {
            name,
            server,
            cluster,
            logins: Arc::new(logins),
            leaders: Arc::new(leaders),
            masters,
            replicas,
            rest: Cost::default(),
            awards: Done::new(),
            leading: Done::new(),
            ranks: Done::new(),
            award_alone: Histogram::new(3).unwrap(),
            rank_alone: Histogram::new(3).unwrap(),
        }
    }

    /// CPU so far.
    pub fn cost(&self) -> Cost {
        let sum = |pids: &[u32]| pids.iter().map(|it| cpu::exactly(*it)).sum();
        Cost {
            node: cpu::exactly(self.server.node.id()),
            redis: sum(&self.masters),
            replicas: sum(&self.replicas),
            postgres: Cpu::of(&self.server).postgres,
        }
    }

    fn since(&self, before: Cost, began: Instant, count: usize) -> Cost {
        let rest = self.rest.times(began.elapsed().as_secs_f64());
        self.cost().minus(before).minus(rest).times(1000.0 / count as f64)
    }

    /// A round of everything; the first one only warms up.
    pub async fn round(&mut self, counts: bool) {
        let mut tokens = issue(&self.server, &self.logins, AWARDS + ALONE).await.1;
        let alone = tokens.split_off(AWARDS);
        let (awards, cost) = self.redeem(&self.logins, tokens).await;
        self.alone(alone, counts).await;
        let (began, before) = (Instant::now(), self.cost());
        let (took, times) = self.ask_ranks().await;
        let rank_cost = self.since(before, began, RANKS);
        let tokens = issue(&self.server, &self.leaders, LEADING).await.1;
        let (leading, leading_cost) = self.redeem(&self.leaders, tokens).await;
        if counts {
            self.awards.add(AWARDS, awards.took, &awards.times, cost);
            self.leading.add(LEADING, leading.took, &leading.times, leading_cost);
            self.ranks.add(RANKS, took, &times, rank_cost);
        }
    }

    async fn redeem(&self, logins: &Arc<Vec<String>>, tokens: Vec<(usize, String)>) -> (Phase, Cost) {
        let (began, before, count) = (Instant::now(), self.cost(), tokens.len());
        let phase = redeem(&self.server, logins, tokens).await;
        (phase, self.since(before, began, count))
    }

    async fn alone(&mut self, tokens: Vec<(usize, String)>, counts: bool) {
        let mut connection = Connection::open(&self.server.address).await;
        for (place, (user, token)) in tokens.into_iter().enumerate() {
            let (login, body) = (&self.logins[user], format!(r#"{{"antiSpamToken":"{token}"}}"#));
            let sent = Instant::now();
            connection.post("/api/v1/actions/finalize", login, &body).await;
            let answered = Instant::now();
            connection.get_as(&rank_path(place), login).await;
            if counts {
                self.award_alone.record((answered - sent).as_micros() as u64).unwrap();
                self.rank_alone.record(answered.elapsed().as_micros() as u64).unwrap();
            }
        }
    }

    async fn ask_ranks(&self) -> (Duration, Histogram<u64>) {
        let (next, started) = (Arc::new(AtomicUsize::new(0)), Instant::now());
        let askers = (0..CONNECTIONS).map(|asker| {
            let (next, address, login) =
                (next.clone(), self.server.address.clone(), self.logins[asker].clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(&address).await;
                let mut times = Histogram::<u64>::new(3).unwrap();
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= RANKS {
                        return times;
                    }
                    let sent = Instant::now();
                    connection.get_as(&rank_path(place), &login).await;
                    times.record(sent.elapsed().as_micros() as u64).unwrap();
                }
            })
        });
        let mut times = Histogram::new(3).unwrap();
        for asker in futures::future::join_all(askers).await {
            times.add(asker.unwrap()).unwrap();
        }
        (started.elapsed(), times)
    }
}

impl Done {
    fn add(&mut self, count: usize, took: Duration, times: &Histogram<u64>, cost: Cost) {
        self.per_second.push(count as f64 / took.as_secs_f64());
        self.times.add(times).unwrap();
        self.cost.push(cost);
    }
}

/// Users all over the board, one after the other.
fn rank_path(place: usize) -> String {
    format!("/api/scoreboard/user/{}", 1 + place * 7 % USERS)
}

/// The logins of the ten best.
async fn leaders(server: &Server, logins: &[String]) -> Vec<String> {
    let board = Connection::open(&server.address).await.get("/api/scoreboard/top10").await;
    let board: Value = serde_json::from_str(&board).unwrap();
    let best: HashSet<u64> =
        board["data"].as_array().unwrap().iter().map(|it| it["userId"].as_u64().unwrap()).collect();
    let number = |login: &str| {
        let claims = URL_SAFE_NO_PAD.decode(login.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice::<Value>(&claims).unwrap()["id"].as_u64().unwrap()
    };
    let leaders: Vec<_> = logins.iter().filter(|it| best.contains(&number(it))).cloned().collect();
    assert_eq!(leaders.len(), 10);
    leaders
}

async fn own_redis(server: &Server) -> u32 {
    let info: redis::InfoDict =
        redis::cmd("INFO").arg("server").query_async(&mut server.redis().await).await.unwrap();
    info.get("process_id").unwrap()
}
