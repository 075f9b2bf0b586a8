//! Clients of every protocol get the newest board, and no older board after a newer one, also after reconnects. Three nodes have clocks
//! that are minutes apart. `LAUREL_PAUSE_SECONDS` is how long one node is paused (default: 3).

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
const CLIENTS_PER_PROTOCOL: usize = 2;
/// Time between two awards on a node, similar to the publication interval.
const AWARD_INTERVAL: Duration = Duration::from_millis(25);
/// Reconnect delay between attempts, and if the node sent none. It is Socket.IO's minimum.
const RECONNECT_DELAY: Duration = Duration::from_millis(500);

/// The boards that a client has received.
#[derive(Clone, Default)]
struct Progress {
    version: i64,
    rows: Vec<(String, u64, u64)>,
    boards: u64,
    reconnects: u64,
}

/// The base URL that the clients of one node connect to. It changes when the node is stopped.
type BaseUrl = Arc<Mutex<String>>;

/// All clients. A client that gets an older board panics, which ends its task.
struct Clients {
    /// Node and progress of each client.
    clients: Vec<(usize, watch::Receiver<Progress>)>,
    tasks: JoinSet<()>,
}

impl Clients {
    async fn connect(base_urls: &[BaseUrl], players: &[Player]) -> Self {
        let (mut clients, mut tasks) = (Vec::new(), JoinSet::new());
        for (node, base_url) in base_urls.iter().enumerate() {
            for index in 0..ALL.len() * CLIENTS_PER_PROTOCOL {
                let token = players[index].token.clone();
                let base = base_url.lock().unwrap().clone();
                let subscriber = Subscriber::open(&base, ALL[index % ALL.len()], &token).await;
                let (sender, progress) = watch::channel(Progress::default());
                tasks.spawn(follow(subscriber, base_url.clone(), token, sender));
                clients.push((node, progress));
            }
        }
        Self { clients, tasks }
    }

    /// Waits until every client of these nodes has a board newer than the current one. An old board that is published late must
    /// change nothing.
    async fn wait_for_newer(&mut self, stores: &TestStores, two: &TestNode, nodes: &[usize], phase: &str) {
        let newest = two.app.hub.newest().version;
        let _: u64 = stores.redis_client().await.query("PUBLISH board:global 5\n").await;
        let clients = || self.clients.iter().filter(|(node, _)| nodes.contains(node));
        eventually(&format!("a newer board on every client, {phase}"), async || {
            clients().all(|(_, progress)| progress.borrow().version > newest).then_some(())
        })
        .await;
        self.assert_running(phase);
    }

    #[track_caller]
    fn assert_running(&mut self, phase: &str) {
        assert!(self.tasks.try_join_next().is_none(), "a client got an older board, {phase}");
    }

    fn sum(&self, count: impl Fn(&Progress) -> u64) -> u64 {
        self.clients.iter().map(|(_, progress)| count(&progress.borrow())).sum()
    }
}

/// Receives events, and reconnects whenever the connection ends.
async fn follow(
    mut subscriber: Subscriber,
    base_url: BaseUrl,
    token: String,
    progress: watch::Sender<Progress>,
) {
    loop {
        let mut retry = RECONNECT_DELAY;
        while let Some(event) = subscriber.receive().await {
            if event.name == "retry" {
                retry = Duration::from_millis(event.data.as_u64().unwrap());
            }
            if event.name == "leaderboard_updated" {
                progress.send_modify(|progress| {
                    progress.version = event.version;
                    progress.rows = rows(&event.data);
                    progress.boards += 1;
                });
            }
        }
        // Like a real client, it waits for the delay in the close frame.
        if let Some(ms) = subscriber.closed().and_then(|(_, reason)| reason.split(' ').nth(2)?.parse().ok()) {
            retry = Duration::from_millis(ms);
        }
        loop {
            tokio::time::sleep(retry).await;
            let base = base_url.lock().unwrap().clone();
            if subscriber.reopen(&base, &token).await {
                break;
            }
            retry = RECONNECT_DELAY;
        }
        progress.send_modify(|progress| progress.reconnects += 1);
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
    let post = async |path: &str, body: Value| {
        let request = http.post(format!("{base}{path}")).bearer_auth(&player.token).json(&body);
        let response = request.send().await.ok().filter(|response| response.status() == 200)?;
        response.json::<Value>().await.ok()
    };
    let token = post("/api/v1/actions/init", json!({ "actionType": "watch_ad" })).await?;
    let body = json!({ "antiSpamToken": token["antiSpamToken"], "proof": null });
    post("/api/v1/actions/finalize", body).await
}

fn send_signal(process: &NodeProcess, signal: libc::c_int) {
    // SAFETY: the process is our child and was not reaped yet.
    unsafe { libc::kill(process.id() as libc::pid_t, signal) };
}

fn pause_duration() -> Duration {
    let seconds = std::env::var("LAUREL_PAUSE_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(3))
}

/// Kills all subscriptions of the nodes.
async fn kill_subscriptions(stores: &TestStores) {
    let killed: u64 = stores.redis_client().await.query("CLIENT KILL TYPE pubsub").await;
    assert!(killed > 0);
}

#[tokio::test]
async fn clients_get_the_newest_board_and_never_an_older_one() {
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
    let base_urls = bases.clone().map(|base| Arc::new(Mutex::new(base)));
    let mut clients = Clients::connect(&base_urls, &players).await;
    let mut load = JoinSet::new();
    for (base, players) in bases.iter().zip(players.chunks(4)) {
        load.spawn(play(base.clone(), players.to_vec()));
    }
    clients.wait_for_newer(&stores, &two, &[0, 1, 2], "at the start").await;

    for _ in 0..3 {
        kill_subscriptions(&stores).await;
        clients.wait_for_newer(&stores, &two, &[0, 1, 2], "without subscriptions").await;
    }
    stores.redis.kill().await;
    eventually("both nodes to notice the outage", async || {
        [&one, &two].iter().all(|node| node.app.health.stale_since_ms().is_some()).then_some(())
    })
    .await;
    stores.redis.restart().await;
    clients.wait_for_newer(&stores, &two, &[0, 1, 2], "after an outage of Redis").await;

    send_signal(&three, libc::SIGSTOP);
    kill_subscriptions(&stores).await;
    clients.wait_for_newer(&stores, &two, &[0, 1], "while a node is paused").await;
    tokio::time::sleep(pause_duration()).await;
    clients.wait_for_newer(&stores, &two, &[0, 1], "while a node is paused").await;
    send_signal(&three, libc::SIGCONT);
    clients.wait_for_newer(&stores, &two, &[0, 1, 2], "after a node was paused").await;

    // The clients of the stopping node move to another.
    *base_urls[0].lock().unwrap() = bases[1].clone();
    one.stop().await;
    clients.wait_for_newer(&stores, &two, &[0, 1, 2], "after a node was stopped").await;
    kill_subscriptions(&stores).await;
    clients.wait_for_newer(&stores, &two, &[0, 1, 2], "without subscriptions again").await;

    load.shutdown().await;
    let http = Http::new();
    eventually("the last award", async || award(&http, &bases[1], &players[0]).await).await;
    eventually("every client to get the newest board", async || {
        let newest = (two.app.store.poll(0, i64::MAX).await.ok()?.version, two.board().await);
        let is_current = |progress: &Progress| progress.version == newest.0 && progress.rows == newest.1;
        clients.clients.iter().all(|(_, progress)| is_current(&progress.borrow())).then_some(())
    })
    .await;
    clients.assert_running("at the end");
    let boards = clients.sum(|progress| progress.boards);
    let reconnects = clients.sum(|progress| progress.reconnects);
    assert!(
        reconnects >= (ALL.len() * CLIENTS_PER_PROTOCOL) as u64,
        "the clients of the stopped node reconnected"
    );
    let count = clients.clients.len();
    println!("{count} clients, {boards} boards received, {reconnects} reconnects, 0 violations");
}
