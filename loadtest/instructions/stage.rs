//! A node and its Redis, both counted, a Postgres that is not, and the ledger's lead in our hands: so an award's own work is not
//! mixed with that of writing it down.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use laurel::embedded::{DataFolder, Holder, Postgres};
use sqlx::{Connection, PgConnection};

use super::callgrind::Counted;
use crate::lead::Holding;
use crate::server::laurel;

/// Each wins in turn, so the same share of the awards changes the ten.
const USERS: &str = "200";

/// Windows that are not counted, as in `make bench`; patience, since all takes fifty times as long; and boards that are published as
/// seldom, by award, as under load.
const SETTINGS: [(&str, &str); 14] = [
    ("JWT_SECRET", "only for measuring, only for measuring, only for measuring"),
    ("LAUREL_LIMITS__UPDATES_PER_MINUTE", "0"),
    ("LAUREL_LIMITS__INITS_PER_MINUTE", "0"),
    ("LAUREL_LIMITS__REQUESTS_PER_MINUTE_PER_IP", "0"),
    ("LAUREL_LIMITS__CONNECTIONS_PER_IP", "0"),
    ("LAUREL_LIMITS__SOCKETS_PER_IP", "0"),
    ("LAUREL_LIMITS__REQUESTS_PER_MINUTE_PER_USER", "0"),
    ("LAUREL_TOKENS__ANTI_SPAM_SECONDS", "3600"),
    ("LAUREL_REDIS__TIMEOUT_MS", "60000"),
    ("LAUREL_POSTGRES__ACQUIRE_TIMEOUT_MS", "60000"),
    ("LAUREL_SERVER__REQUEST_TIMEOUT_MS", "60000"),
    ("LAUREL_LIVE__MIN_INTERVAL_MS", "2000"),
    // What comes to be in 20 ms at 14,000 awards a second, each with its `init`.
    ("LAUREL_OUTBOX__BATCH", "500"),
    ("TOKIO_WORKER_THREADS", "1"),
];

pub struct Stage {
    pub address: String,
    pub node: Counted,
    pub redis: Counted,
    pub logins: Vec<String>,
    url: String,
    lead: Option<Holding>,
    // In the order in which they are to go.
    _postgres: Postgres,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// Starts everything; profiles go to the folder.
    pub async fn start(profiles: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("laurel-count").tempdir().unwrap();
        let Holder::Us(data) = DataFolder::open(folder.path()).await.unwrap() else { unreachable!() };
        let postgres = Postgres::start(&data, &[]).await.unwrap();
        let socket = data.root().join("redis.sock");
        let redis = start_redis(&socket, profiles).await;
        let url = format!("postgres:///laurel?host={}/postgres&user=laurel", data.root().display());
        let stores = [("REDIS_URL", format!("unix://{}", socket.display())), ("DATABASE_URL", url.clone())];

        // This opens the board too.
        let logins = folder.path().join("logins");
        let mut seed = Command::new(laurel());
        seed.args(["seed", "--users", USERS, "--tokens"]).arg(&logins).envs(SETTINGS).envs(stores.clone());
        let seeded = seed.output().unwrap();
        assert!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
        let logins = std::fs::read_to_string(logins).unwrap().lines().map(str::to_owned).collect();

        let lead = Holding::take(&url).await;
        let log = File::create(profiles.join("node.log")).unwrap();
        let mut node = Counted::start(&laurel(), profiles.join("node.profile"), |it| {
            it.arg("serve").envs(SETTINGS).envs(stores).env("PORT", "0").stdout(Stdio::piped()).stderr(log);
        });
        let mut said = String::new();
        BufReader::new(node.process().stdout.take().unwrap()).read_line(&mut said).unwrap();
        let address = said.trim().rsplit('/').next().unwrap().to_owned();
        Self { address, node, redis, logins, url, lead: Some(lead), _postgres: postgres, _folder: folder }
    }

    /// Lets the node lead, and waits until the ledger has so many awards.
    pub async fn write_down(&mut self, awards: usize) {
        let mut database = PgConnection::connect(&self.url).await.unwrap();
        if let Some(lead) = self.lead.take() {
            lead.end().await;
        }
        let (began, mut written) = (Instant::now(), 0_i64);
        while written < awards as i64 {
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "only {written} of {awards} awards are written"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
            let count = "SELECT count(*) FROM score_history WHERE action_type <> 'seed'";
            written = sqlx::query_scalar(count).fetch_one(&mut database).await.unwrap();
        }
        // What is written is taken out of the outbox then.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Durable, as the node's own would be; its clock ticks less often, since ticks are no award's.
async fn start_redis(socket: &Path, profiles: &Path) -> Counted {
    let redis = Counted::start(Path::new("redis-server"), profiles.join("redis.profile"), |it| {
        it.args(["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--port", "0", "--hz", "1"])
            .arg("--unixsocket")
            .arg(socket)
            .arg("--dir")
            .arg(socket.parent().unwrap())
            .stdout(Stdio::null());
    });
    while tokio::net::UnixStream::connect(socket).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    redis
}
