//! Every client ends on the newest board: three nodes whose clocks are minutes apart, with clients of every protocol, which check that no
//! older board follows a newer one, over reconnects too. `LAUREL_PAUSE_SECONDS` is how long one node is paused; the default is 3.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use laurel::clock::Clock;
use laurel::serve::Node;
use reqwest::Client as Http;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::clients::{ALL, Subscriber};
use crate::harness::{NodeProcess, Player, TestNode, TestStores, eventually, rows};

const MINUTE_MS: i64 = 60_000;
/// Clients of each protocol on each node.
const CLIENTS: usize = 2;
/// Time between two awards on a node: about as many boards as are published.
const AWARD_INTERVAL: Duration = Duration::from_millis(25);
/// Reconnect delay without a hint from the node, and between tries: Socket.IO's minimum.
const RECONNECT_DELAY: Duration = Duration::from_millis(500);

/// What a client has received so far.
#[derive(Clone, Default)]
struct Progress {
    version: i64,
    rows: Vec<(String, u64, u64)>,
    boards: u64,
    reconnects: u64,
}

/// The node that the clients of a group connect to.
type Home = Arc<Mutex<String>>;

/// All clients with their progress. A client that gets an older board panics.
struct Crowd {
    clients: Vec<(usize, watch::Receiver<Progress>)>,
    tasks: JoinSet<()>,
}

impl Crowd {
    async fn connect(homes: &[Home], players: &[Player]) -> Self {
        let (mut clients, mut tasks) = (Vec::new(), JoinSet::new());
        for (node, home) in homes.iter().enumerate() {
            for place in 0..ALL.len() * CLIENTS {
                let token = players[place].token.clone();
                let base = home.lock().unwrap().clone();
                let subscriber = Subscriber::open(&base, ALL[place % ALL.len()], &token).await;
                let (sender, progress) = watch::channel(Progress::default());
                tasks.spawn(follow(subscriber, home.clone(), token, sender));
                clients.push((node, progress));
            }
        }
        Self { clients, tasks }
    }

    /// Waits until every client of these nodes has a newer board than the newest now. A late, old publication must change nothing.
    async fn advance(&mut self, stores: &TestStores, two: &TestNode, nodes: &[usize], why: &str) {
        let newest = two.app.hub.newest().version;
        let _: u64 = stores.redis_client().await.query("PUBLISH board:global 5\n").await;
        let clients = || self.clients.iter().filter(|(node, _)| nodes.contains(node));
        eventually(&format!("a newer board on every client, {why}"), async || {
            clients().all(|(_, seen)| seen.borrow().version > newest).then_some(())
        })
        .await;
        self.assert_sound(why);
    }

    #[track_caller]
    fn assert_sound(&mut self, why: &str) {
        assert!(self.tasks.try_join_next().is_none(), "a client got an older board, {why}");
    }

    fn sum(&self, of: impl Fn(&Progress) -> u64) -> u64 {
        self.clients.iter().map(|(_, seen)| of(&seen.borrow())).sum()
    }
}

async fn follow(mut subscriber: Subscriber, home: Home, token: String, seen: watch::Sender<Progress>) {
    loop {
        let mut retry = RECONNECT_DELAY;
        while let Some(event) = subscriber.receive().await {
            if event.name == "retry" {
                retry = Duration::from_millis(event.data.as_u64().unwrap());
            }
            if event.name == "leaderboard_updated" {
                seen.send_modify(|seen| {
                    (seen.version, seen.rows, seen.boards) =
                        (event.version, rows(&event.data), seen.boards + 1);
                });
            }
        }
        // Like real clients, it reconnects after the requested delay.
        if let Some(ms) = subscriber.closed().and_then(|(_, why)| why.split(' ').nth(2)?.parse().ok()) {
            retry = Duration::from_millis(ms);
        }
        loop {
            tokio::time::sleep(retry).await;
            let base = home.lock().unwrap().clone();
            if subscriber.reopen(&base, &token).await {
                break;
            }
            retry = RECONNECT_DELAY;
        }
        seen.send_modify(|it| it.reconnects += 1);
    }
}

/// Makes awards on a node, and ignores failures.
async fn play(base: String, players: Vec<Player>) {
    let http = Http::new();
    for player in players.iter().cycle() {
        tokio::time::sleep(AWARD_INTERVAL).await;
        let _ = award(&http, &base, player).await;
    }
}

/// Makes one award; `None` if it fails.
async fn award(http: &Http, base: &str, player: &Player) -> Option<Value> {
    let ask = async |path: &str, body: Value| {
        let request = http.post(format!("{base}{path}")).bearer_auth(&player.token).json(&body);
        let response = request.send().await.ok().filter(|it| it.status() == 200)?;
        response.json::<Value>().await.ok()
    };
    let begun = ask("/api/v1/actions/init", json!({ "actionType": "watch_ad" })).await?;
    let proven = json!({ "antiSpamToken": begun["antiSpamToken"], "proof": null });
    ask("/api/v1/actions/finalize", proven).await
}

fn signal(process: &NodeProcess, signal: libc::c_int) {
    // SAFETY: a child of ours that was not reaped yet.
    unsafe { libc::kill(process.id() as libc::pid_t, signal) };
}

fn pause() -> Duration {
    let seconds = std::env::var("LAUREL_PAUSE_SECONDS").ok().and_then(|it| it.parse().ok());
    Duration::from_secs(seconds.unwrap_or(3))
}

/// Kills all subscriptions.
async fn kill_subscriptions(stores: &TestStores) {
    let cut: u64 = stores.redis_client().await.query("CLIENT KILL TYPE pubsub").await;
    assert!(cut > 0);
}

#[tokio::test]
async fn every_client_ends_on_the_newest_board_and_never_goes_back() {
    let mut stores = TestStores::new().await;
    let mut nodes = Vec::new();
    for shift_ms in [-MINUTE_MS, MINUTE_MS] {
        let clock = Clock::default();
        clock.shift(shift_ms);
        nodes.push(TestNode::new(Node::start(stores.config.clone(), clock).await.unwrap()));
    }
    let (two, one) = (nodes.pop().unwrap(), nodes.pop().unwrap());
    let unlimited = [("LAUREL_LIMITS__UPDATES_PER_MINUTE", "0"), ("LAUREL_LIMITS__INITS_PER_MINUTE", "0")];
    let three = stores.start_process(&unlimited).await;
    let players = one.create_players(12).await;
    let bases = [&one.base, &two.base, &three.base].map(Clone::clone);
    let homes = bases.clone().map(|base| Arc::new(Mutex::new(base)));
    let mut crowd = Crowd::connect(&homes, &players).await;
    let mut play_on = JoinSet::new();
    for (base, players) in bases.iter().zip(players.chunks(4)) {
        play_on.spawn(play(base.clone(), players.to_vec()));
    }
    crowd.advance(&stores, &two, &[0, 1, 2], "at the start").await;

    for _ in 0..3 {
        kill_subscriptions(&stores).await;
        crowd.advance(&stores, &two, &[0, 1, 2], "without subscriptions").await;
    }
    stores.redis.kill().await;
    eventually("both nodes to miss Redis", async || {
        [&one, &two].iter().all(|it| it.app.health.stale_since_ms().is_some()).then_some(())
    })
    .await;
    stores.redis.restart().await;
    crowd.advance(&stores, &two, &[0, 1, 2], "after an outage of Redis").await;

    signal(&three, libc::SIGSTOP);
    kill_subscriptions(&stores).await;
    crowd.advance(&stores, &two, &[0, 1], "while a node is paused").await;
    tokio::time::sleep(pause()).await;
    crowd.advance(&stores, &two, &[0, 1], "while a node is paused").await;
    signal(&three, libc::SIGCONT);
    crowd.advance(&stores, &two, &[0, 1, 2], "after a node was paused").await;

    // The clients of the stopping node move to another.
    *homes[0].lock().unwrap() = bases[1].clone();
    one.stop().await;
    crowd.advance(&stores, &two, &[0, 1, 2], "after a node was stopped").await;
    kill_subscriptions(&stores).await;
    crowd.advance(&stores, &two, &[0, 1, 2], "without subscriptions again").await;

    play_on.shutdown().await;
    let http = Http::new();
    eventually("the last award", async || award(&http, &bases[1], &players[0]).await).await;
    eventually("every client to see the newest board", async || {
        let newest = (two.app.store.poll(0, i64::MAX).await.ok()?.version, two.board().await);
        let is_current = |seen: &Progress| seen.version == newest.0 && seen.rows == newest.1;
        crowd.clients.iter().all(|(_, seen)| is_current(&seen.borrow())).then_some(())
    })
    .await;
    crowd.assert_sound("at the end");
    let (clients, boards) = (crowd.clients.len(), crowd.sum(|it| it.boards));
    let reconnects = crowd.sum(|it| it.reconnects);
    assert!(reconnects >= (ALL.len() * CLIENTS) as u64, "the clients of the stopped node reconnected");
    println!("{clients} clients, {boards} boards seen, {reconnects} reconnects, 0 violations");
}
