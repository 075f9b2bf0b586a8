//! What every client ends on. Three nodes whose clocks are minutes apart, clients of every protocol on each, and a client
//! checks every frame: no older board after a newer one, over reconnects too. `LAUREL_PAUSE_SECONDS` says how long the paused
//! node is paused; 3 is the default.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use laurel::clock::Clock;
use laurel::serve::Node;
use reqwest::Client as Http;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::clients::{ALL, Listener};
use crate::harness::{NodeProcess, Player, TestNode, World, eventually, rows};

const MINUTE_MS: i64 = 60_000;
/// Clients of each protocol on each node.
const CLIENTS: usize = 2;
/// Between two awards on a node: about as many boards as are published.
const AWARD_EVERY: Duration = Duration::from_millis(25);
/// When a client comes back that was not told when, and when it tries again: the least of Socket.IO's.
const COME_BACK: Duration = Duration::from_millis(500);

/// What a client has seen by now.
#[derive(Clone, Default)]
struct Seen {
    version: i64,
    rows: Vec<(String, u64, u64)>,
    boards: u64,
    reconnects: u64,
}

/// Where the clients of a node find one.
type Home = Arc<Mutex<String>>;

/// Every client, each with what it has seen. A client that sees what it must not ends its task with a panic.
struct Crowd {
    clients: Vec<(usize, watch::Receiver<Seen>)>,
    tasks: JoinSet<()>,
}

impl Crowd {
    async fn come(homes: &[Home], players: &[Player]) -> Self {
        let (mut clients, mut tasks) = (Vec::new(), JoinSet::new());
        for (node, home) in homes.iter().enumerate() {
            for place in 0..ALL.len() * CLIENTS {
                let token = players[place].token.clone();
                let base = home.lock().unwrap().clone();
                let listener = Listener::open(&base, ALL[place % ALL.len()], &token).await;
                let (tell, told) = watch::channel(Seen::default());
                tasks.spawn(follow(listener, home.clone(), token, tell));
                clients.push((node, told));
            }
        }
        Self { clients, tasks }
    }

    /// Waits until every client of these nodes has seen a board that is newer than all that was there when it was asked for.
    /// An old board that comes late must change nothing.
    async fn advance(&mut self, world: &World, two: &TestNode, nodes: &[usize], why: &str) {
        let newest = two.app.hub.newest().version;
        let _: u64 = world.look().await.ask("PUBLISH board:global 5\n").await;
        let clients = || self.clients.iter().filter(|(node, _)| nodes.contains(node));
        eventually(&format!("a newer board on every client, {why}"), async || {
            clients().all(|(_, seen)| seen.borrow().version > newest).then_some(())
        })
        .await;
        self.assert_sound(why);
    }

    #[track_caller]
    fn assert_sound(&mut self, why: &str) {
        assert!(self.tasks.try_join_next().is_none(), "a client saw what it must not, {why}");
    }

    fn sum(&self, of: impl Fn(&Seen) -> u64) -> u64 {
        self.clients.iter().map(|(_, seen)| of(&seen.borrow())).sum()
    }
}

async fn follow(mut listener: Listener, home: Home, token: String, seen: watch::Sender<Seen>) {
    loop {
        let mut retry = COME_BACK;
        while let Some(told) = listener.hear().await {
            if told.name == "retry" {
                retry = Duration::from_millis(told.data.as_u64().unwrap());
            }
            if told.name == "leaderboard_updated" {
                seen.send_modify(|it| {
                    (it.version, it.rows, it.boards) = (told.version, rows(&told.data), it.boards + 1);
                });
            }
        }
        // As real clients do, it comes back when it was asked to.
        if let Some(ms) = listener.closed().and_then(|(_, why)| why.split(' ').nth(2)?.parse().ok()) {
            retry = Duration::from_millis(ms);
        }
        loop {
            tokio::time::sleep(retry).await;
            let base = home.lock().unwrap().clone();
            if listener.reopen(&base, &token).await {
                break;
            }
            retry = COME_BACK;
        }
        seen.send_modify(|it| it.reconnects += 1);
    }
}

/// Players win awards on a node, whatever happens to it.
async fn play(base: String, players: Vec<Player>) {
    let http = Http::new();
    for player in players.iter().cycle() {
        tokio::time::sleep(AWARD_EVERY).await;
        let _ = award(&http, &base, player).await;
    }
}

/// One award; `None` if it was not made for now.
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

/// Cuts all subscriptions.
async fn cut(world: &World) {
    let cut: u64 = world.look().await.ask("CLIENT KILL TYPE pubsub").await;
    assert!(cut > 0);
}

#[tokio::test]
async fn every_client_ends_on_the_newest_board_and_none_sees_an_older_one_after_a_newer_one() {
    let mut world = World::new().await;
    let mut nodes = Vec::new();
    for shift_ms in [-MINUTE_MS, MINUTE_MS] {
        let clock = Clock::default();
        clock.shift(shift_ms);
        nodes.push(TestNode::new(Node::start(world.config.clone(), clock).await.unwrap()));
    }
    let (two, one) = (nodes.pop().unwrap(), nodes.pop().unwrap());
    let unlimited = [("LAUREL_LIMITS__UPDATES_PER_MINUTE", "0"), ("LAUREL_LIMITS__INITS_PER_MINUTE", "0")];
    let three = world.process(&unlimited).await;
    let players = one.players(12).await;
    let bases = [&one.base, &two.base, &three.base].map(Clone::clone);
    let homes = bases.clone().map(|it| Arc::new(Mutex::new(it)));
    let mut crowd = Crowd::come(&homes, &players).await;
    let mut play_on = JoinSet::new();
    for (base, players) in bases.iter().zip(players.chunks(4)) {
        play_on.spawn(play(base.clone(), players.to_vec()));
    }
    crowd.advance(&world, &two, &[0, 1, 2], "while all is well").await;

    for _ in 0..3 {
        cut(&world).await;
        crowd.advance(&world, &two, &[0, 1, 2], "with the subscriptions cut").await;
    }
    world.redis.kill().await;
    eventually("both nodes to miss Redis", async || {
        [&one, &two].iter().all(|it| it.app.health.stale_since_ms().is_some()).then_some(())
    })
    .await;
    world.redis.restart().await;
    crowd.advance(&world, &two, &[0, 1, 2], "after Redis was away").await;

    signal(&three, libc::SIGSTOP);
    cut(&world).await;
    crowd.advance(&world, &two, &[0, 1], "beside a node that is paused").await;
    tokio::time::sleep(pause()).await;
    crowd.advance(&world, &two, &[0, 1], "beside a node that is paused").await;
    signal(&three, libc::SIGCONT);
    crowd.advance(&world, &two, &[0, 1, 2], "after a node was paused").await;

    // The clients of the one that stops go to another.
    *homes[0].lock().unwrap() = bases[1].clone();
    one.stop().await;
    crowd.advance(&world, &two, &[0, 1, 2], "after a node was stopped").await;
    cut(&world).await;
    crowd.advance(&world, &two, &[0, 1, 2], "with the subscriptions cut again").await;

    play_on.shutdown().await;
    let http = Http::new();
    eventually("the last award", async || award(&http, &bases[1], &players[0]).await).await;
    eventually("every client to see the newest board", async || {
        let newest = (two.app.store.poll(0, i64::MAX).await.ok()?.version, two.board().await);
        let at_it = |seen: &Seen| seen.version == newest.0 && seen.rows == newest.1;
        crowd.clients.iter().all(|(_, seen)| at_it(&seen.borrow())).then_some(())
    })
    .await;
    crowd.assert_sound("at the end");
    let (clients, boards) = (crowd.clients.len(), crowd.sum(|it| it.boards));
    let reconnects = crowd.sum(|it| it.reconnects);
    assert!(reconnects >= (ALL.len() * CLIENTS) as u64, "those of the node that stopped came back");
    println!("{clients} clients, {boards} boards seen, {reconnects} reconnects, 0 violations");
}
