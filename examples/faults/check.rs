//! What must hold after each round: compares the recorded requests and responses with both stores.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::audit::{Audit, Loss, RoundCounts};
use crate::deployment::Deployment;
use crate::history::History;
use crate::node::readiness;
use crate::queries::{self, RedisConnection};
use crate::watch::SeenBoards;

/// An outbox that is not empty by then is stuck.
const WRITTEN_TIMEOUT: Duration = Duration::from_secs(120);

/// Checks, with what is known from earlier rounds.
#[derive(Default)]
pub struct Checker {
    pub audit: Audit,
}

impl Checker {
    /// Checks everything. Violations are in `audit`.
    pub async fn check(
        &mut self,
        deployment: &Deployment<'_>,
        history: &History,
        losses: &[Loss],
        seen: &SeenBoards,
    ) -> RoundCounts {
        self.audit.violations.append(&mut deployment.violations.lock());
        if let Err(stuck) = wait_until_written(deployment).await {
            self.audit.violations.push(stuck);
            return RoundCounts::default();
        }
        let mut connection = queries::connect(deployment.ports.1).await.expect("Postgres runs again");
        if let Err(stuck) = wait_until_boards_follow(deployment, &mut connection).await {
            self.audit.violations.push(stuck);
        }
        let events = history.take();
        let rows = queries::rows(&mut connection, self.audit.seq).await;
        for id in queries::duplicates(&mut connection).await {
            self.audit.violations.push(format!("the ledger has event {id} more than once"));
        }
        self.audit.check_rows(&rows, &events);
        let counts = self.audit.check_events(&rows, &events, losses);
        self.check_totals(deployment, queries::totals(&mut connection).await).await;
        self.check_versions(deployment, seen).await;
        for arguments in [&["verify"][..], &["verify", "--ledger"]] {
            let output = deployment.laurel(arguments).await;
            if !output.status.success() {
                let text = [output.stdout, output.stderr].concat();
                let text = String::from_utf8_lossy(&text);
                self.audit.violations.push(format!("laurel {}: {text}", arguments.join(" ")));
            }
        }
        let written: HashSet<Uuid> = rows.iter().map(|row| row.event_id).collect();
        history.keep_open(events.into_iter().filter(|(id, _)| !written.contains(id)));
        counts
    }

    /// `users.score`, `user:score`, the board and the top list equal the sums of the rows.
    async fn check_totals(&mut self, deployment: &Deployment<'_>, scores: HashMap<Uuid, i64>) {
        let mut redis = RedisConnection::open(deployment.ports.0).await;
        let board: HashMap<String, f64> = redis.query("ZRANGE leaderboard:global 0 -1 WITHSCORES").await;
        for (user, score) in scores {
            let sum = self.audit.totals.get(&user).map_or(0, |total| total.0);
            let own: Option<i64> = redis.query(&format!("GET user:score:{user}")).await;
            let on_board = board.get(&user.to_string()).map(|score| *score as i64);
            if score != sum || own.unwrap_or(0) != sum || on_board.unwrap_or(0) != sum {
                let stores = format!("users.score {score}, user:score {own:?}, board {on_board:?}");
                self.audit.violations.push(format!("user {user}: the rows sum up to {sum}, but: {stores}"));
            }
        }
        let top: Vec<String> = redis.query("LRANGE leaderboard:global:top 0 -1").await;
        let mut expected: Vec<_> =
            self.audit.totals.iter().map(|(user, (score, hlc_us))| (-score, *hlc_us, user)).collect();
        expected.sort_unstable();
        let expected: Vec<String> =
            expected.iter().take(10).map(|(score, _, user)| format!("{} {user}", -score)).collect();
        let word = |line: &String, place| line.split(' ').nth(place).unwrap_or_default().to_owned();
        let top: Vec<String> =
            top.iter().map(|line| format!("{} {}", word(line, 0), word(line, 2))).collect();
        if top != expected {
            self.audit.violations.push(format!("the top list is {top:#?}, by the ledger {expected:#?}"));
        }
    }

    /// No client received an older board, and every node serves the newest one now.
    async fn check_versions(&mut self, deployment: &Deployment<'_>, seen: &SeenBoards) {
        self.audit.violations.extend(seen.take_violations());
        let mut redis = RedisConnection::open(deployment.ports.0).await;
        let version: i64 = redis.query("HGET leaderboard:global:state version").await;
        let newest = seen.newest();
        if version < newest {
            self.audit
                .violations
                .push(format!("Redis' board has version {version}, but clients received {newest}"));
        }
        for base in &deployment.bases {
            let started = Instant::now();
            while readiness(&deployment.client, base)
                .await
                .is_none_or(|readiness| readiness.version < version)
            {
                if started.elapsed() > WRITTEN_TIMEOUT {
                    self.audit.violations.push(format!("{base} does not get version {version}"));
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Waits until the outbox is empty and the clock of the shard has not moved for 300 ms.
async fn wait_until_written(deployment: &Deployment<'_>) -> Result<(), String> {
    let mut redis = RedisConnection::open(deployment.ports.0).await;
    let (started, mut before) = (Instant::now(), None);
    loop {
        let entries: u64 = redis.query("XLEN outbox").await;
        let hlc_us: Option<i64> = redis.query("HGET shard:state hlc_us").await;
        if entries == 0 && before == Some(hlc_us) {
            return Ok(());
        }
        before = (entries == 0).then_some(hlc_us);
        if started.elapsed() > WRITTEN_TIMEOUT {
            return Err(format!("{entries} entries are in the outbox after {} s", WRITTEN_TIMEOUT.as_secs()));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Waits until the open periods of all boards stand at the end of the ledger, so that `laurel verify` compares them with all of it.
async fn wait_until_boards_follow(
    deployment: &Deployment<'_>,
    connection: &mut PgConnection,
) -> Result<(), String> {
    let mut redis = RedisConnection::open(deployment.ports.0).await;
    let started = Instant::now();
    loop {
        let mut behind = Vec::new();
        for (board, period, seq) in queries::open_periods(connection).await {
            let stands_at: Option<i64> =
                redis.query(&format!("HGET leaderboard:{{{board}}}:{period}:state seq")).await;
            if stands_at != Some(seq) {
                behind.push(format!("{board} {period} stands at {stands_at:?} of {seq}"));
            }
        }
        if behind.is_empty() {
            return Ok(());
        }
        if started.elapsed() > WRITTEN_TIMEOUT {
            return Err(format!("boards do not follow the ledger: {}", behind.join(", ")));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
