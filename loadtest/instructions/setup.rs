//! A node and its Redis under callgrind, and a Postgres without it. This process holds the ledger's leader lock, so that the work of an
//! award and of writing it to the ledger are counted separately.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use laurel::embedded::{DataFolder, Holder, Postgres};
use sqlx::{Connection, PgConnection};

use super::callgrind::Callgrind;
use crate::leader_lock::HeldLeaderLock;
use crate::server::{UNLIMITED, laurel, postgres_url};

/// Each gets awards in turn, so that the same share of the awards changes the top list.
const USERS: &str = "200";

/// Besides no rate limits: long time-outs, because everything takes fifty times as long. The publication interval is longer for the same
/// reason, so that as many awards share a publication as under load.
const SETTINGS: [(&str, &str); 7] = [
    ("JWT_SECRET", "only for measuring, only for measuring, only for measuring"),
    ("LAUREL_REDIS__TIMEOUT_MS", "60000"),
    ("LAUREL_POSTGRES__ACQUIRE_TIMEOUT_MS", "60000"),
    ("LAUREL_SERVER__REQUEST_TIMEOUT_MS", "60000"),
    ("LAUREL_LIVE__PUBLISH_INTERVAL_MS", "2000"),
    // The entries of 20 ms at 14,000 awards a second, each with its `init`.
    ("LAUREL_OUTBOX__BATCH", "500"),
    ("TOKIO_WORKER_THREADS", "1"),
];

pub struct Setup {
    pub address: String,
    pub node: Callgrind,
    pub redis: Callgrind,
    pub logins: Vec<String>,
    url: String,
    leader_lock: Option<HeldLeaderLock>,
    // Dropped in this order.
    _postgres: Postgres,
    _folder: tempfile::TempDir,
}

impl Setup {
    /// Starts everything. Profiles go to the folder.
    pub async fn start(profiles: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("laurel-count").tempdir().unwrap();
        let Holder::Us(data) = DataFolder::open(folder.path()).await.unwrap() else { unreachable!() };
        let postgres = Postgres::start(&data, &[]).await.unwrap();
        let socket = data.root().join("redis.sock");
        let redis = start_redis(&socket, profiles).await;
        let url = postgres_url(data.root());
        let redis_url = format!("unix://{}", socket.display());
        let stores = [("REDIS_URL", redis_url.as_str()), ("DATABASE_URL", url.as_str())];
        let settings = [UNLIMITED, &SETTINGS, &stores].concat();

        // Seeding also opens the board.
        let logins = folder.path().join("logins");
        let mut seed = Command::new(laurel());
        seed.args(["seed", "--users", USERS, "--tokens"]).arg(&logins).envs(settings.iter().copied());
        let seeded = seed.output().unwrap();
        assert!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
        let logins = std::fs::read_to_string(logins).unwrap().lines().map(str::to_owned).collect();

        let leader_lock = Some(HeldLeaderLock::take(&url).await);
        let log = File::create(profiles.join("node.log")).unwrap();
        let mut node = Callgrind::start(&laurel(), profiles.join("node.profile"), |command| {
            command.arg("serve").envs(settings).env("PORT", "0").stdout(Stdio::piped()).stderr(log);
        });
        let mut line = String::new();
        BufReader::new(node.process().stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit('/').next().unwrap().to_owned();
        Self { address, node, redis, logins, url, leader_lock, _postgres: postgres, _folder: folder }
    }

    /// Lets the node become the leader, and waits until the ledger has this many awards.
    pub async fn write_ledger(&mut self, awards: usize) {
        let mut database = PgConnection::connect(&self.url).await.unwrap();
        if let Some(lock) = self.leader_lock.take() {
            lock.release().await;
        }
        let (started, mut written) = (Instant::now(), 0_i64);
        while written < awards as i64 {
            let is_in_time = started.elapsed() < Duration::from_secs(120);
            assert!(is_in_time, "only {written} of {awards} awards are written");
            tokio::time::sleep(Duration::from_millis(100)).await;
            let count = "SELECT count(*) FROM score_history WHERE action_type <> 'seed'";
            written = sqlx::query_scalar(count).fetch_one(&mut database).await.unwrap();
        }
        // Then the entries are removed from the outbox.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// As durable as a node's private Redis. It has fewer background ticks, because they do not belong to an award.
async fn start_redis(socket: &Path, profiles: &Path) -> Callgrind {
    let options = "--appendonly yes --appendfsync always --port 0 --hz 1";
    let redis = Callgrind::start(Path::new("redis-server"), profiles.join("redis.profile"), |command| {
        command.args(options.split(' ')).args(["--save", ""]).stdout(Stdio::null());
        command.arg("--unixsocket").arg(socket).arg("--dir").arg(socket.parent().unwrap());
    });
    while tokio::net::UnixStream::connect(socket).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    redis
}
