//! What must hold when everything is healed: the record of requests and answers against both stores.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::history::History;
use crate::judge::{Judge, Loss, Outcome};
use crate::ledger::{self, Look};
use crate::node::readiness;
use crate::watch::Shown;
use crate::world::World;

/// An outbox that is not written by then hangs.
const WRITTEN: Duration = Duration::from_secs(120);

/// With what is known from the rounds before.
#[derive(Default)]
pub struct Checker {
    pub judge: Judge,
}

impl Checker {
    /// Checks everything; what is wrong is in `wrong`.
    pub async fn check(
        &mut self,
        world: &World<'_>,
        history: &History,
        losses: &[Loss],
        shown: &Shown,
    ) -> Outcome {
        self.judge.wrong.append(&mut world.wrong.lock());
        if let Err(hangs) = settle(world).await {
            self.judge.say(hangs);
            return Outcome::default();
        }
        let mut connection = ledger::connect(world.ports.1).await.expect("Postgres is back");
        let events = history.take();
        let rows = ledger::rows(&mut connection, self.judge.seq).await;
        for id in ledger::doubles(&mut connection).await {
            self.judge.say(format!("the ledger has event {id} more than once"));
        }
        self.judge.check_rows(&rows, &events);
        let outcome = self.judge.check_events(&rows, &events, losses);
        self.check_totals(world, ledger::totals(&mut connection).await).await;
        self.check_versions(world, shown).await;
        for arguments in [&["verify"][..], &["verify", "--ledger"]] {
            let output = world.laurel(arguments).await;
            if !output.status.success() {
                let said = [output.stdout, output.stderr].concat();
                self.judge.say(format!("laurel {}: {}", arguments.join(" "), String::from_utf8_lossy(&said)));
            }
        }
        let there: HashSet<Uuid> = rows.iter().map(|it| it.event_id).collect();
        history.put_back(events.into_iter().filter(|(id, _)| !there.contains(id)));
        outcome
    }

    /// `users.score`, `user:score`, the board and the ten are what the rows come to.
    async fn check_totals(&mut self, world: &World<'_>, totals: HashMap<Uuid, i64>) {
        let mut look = Look::new(world.ports.0).await;
        let board: HashMap<String, f64> = look.ask("ZRANGE leaderboard:global 0 -1 WITHSCORES").await;
        for (user, total) in totals {
            let ours = self.judge.standings.get(&user).map_or(0, |it| it.0);
            let own: Option<i64> = look.ask(&format!("GET user:score:{user}")).await;
            let shown = board.get(&user.to_string()).map(|it| *it as i64);
            if total != ours || own.unwrap_or(0) != ours || shown.unwrap_or(0) != ours {
                let stores = format!("users.score {total}, user:score {own:?}, board {shown:?}");
                self.judge.say(format!("user {user}: the rows come to {ours}, but: {stores}"));
            }
        }
        let top: Vec<String> = look.ask("LRANGE leaderboard:global:top 0 -1").await;
        let mut best: Vec<_> =
            self.judge.standings.iter().map(|(user, (score, hlc_us))| (-score, *hlc_us, user)).collect();
        best.sort_unstable();
        let best: Vec<String> =
            best.iter().take(10).map(|(score, _, user)| format!("{} {user}", -score)).collect();
        let word = |line: &String, place| line.split(' ').nth(place).unwrap_or_default().to_owned();
        let top: Vec<String> = top.iter().map(|it| format!("{} {}", word(it, 0), word(it, 2))).collect();
        if top != best {
            self.judge.say(format!("the ten are {top:#?}, by the ledger {best:#?}"));
        }
    }

    /// Nobody was shown an older board, and everybody is shown the newest now.
    async fn check_versions(&mut self, world: &World<'_>, shown: &Shown) {
        self.judge.wrong.extend(shown.take_wrong());
        let version: i64 = Look::new(world.ports.0).await.ask("HGET leaderboard:global:state version").await;
        let newest = shown.newest();
        if version < newest {
            self.judge.say(format!("Redis' board has version {version}, but {newest} was shown"));
        }
        for base in &world.bases {
            let began = Instant::now();
            while readiness(&world.client, base).await.is_none_or(|it| it.version < version) {
                if began.elapsed() > WRITTEN {
                    self.judge.say(format!("{base} does not come to show version {version}"));
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Waits until nothing moves any more: the outbox is written, and stays so.
async fn settle(world: &World<'_>) -> Result<(), String> {
    let mut look = Look::new(world.ports.0).await;
    let (began, mut before) = (Instant::now(), None);
    loop {
        let entries: u64 = look.ask("XLEN outbox").await;
        let hlc_us: Option<i64> = look.ask("HGET shard:state hlc_us").await;
        if entries == 0 && before == Some(hlc_us) {
            return Ok(());
        }
        before = (entries == 0).then_some(hlc_us);
        if began.elapsed() > WRITTEN {
            return Err(format!("{entries} entries are in the outbox after {} s", WRITTEN.as_secs()));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
