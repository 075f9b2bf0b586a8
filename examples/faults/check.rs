//! What must hold when everything is healed: the record of requests and answers against both stores.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::fault::Loss;
use crate::history::{Answer, Event, History};
use crate::ledger::{self, Look, Row};
use crate::node::readiness;
use crate::watch::Shown;
use crate::world::World;

/// An outbox that is not written by then hangs.
const WRITTEN: Duration = Duration::from_secs(120);

/// What a round came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    pub events: usize,
    pub unsure_counted: usize,
    pub unsure_not: usize,
    pub replays_refused: usize,
    pub lost: usize,
}

/// What is known from the rounds before.
#[derive(Default)]
pub struct Checker {
    /// The newest place in the ledger that was checked.
    pub seq: i64,
    /// Each user's total, and when it was reached.
    standings: HashMap<Uuid, (i64, i64)>,
    pub wrong: Vec<String>,
}

impl Checker {
    fn say(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// Checks everything; what is wrong is in `wrong`.
    pub async fn check(
        &mut self,
        world: &World<'_>,
        history: &History,
        losses: &[Loss],
        shown: &Shown,
    ) -> Outcome {
        if let Err(hangs) = settle(world).await {
            self.say(hangs);
            return Outcome::default();
        }
        let mut connection = ledger::connect(world.ports.1).await.expect("Postgres is back");
        let events = history.take();
        let rows = ledger::rows(&mut connection, self.seq).await;
        for id in ledger::doubles(&mut connection).await {
            self.say(format!("the ledger has event {id} more than once"));
        }
        self.check_rows(&rows, &events);
        let outcome = self.check_events(&rows, &events, losses);
        self.check_totals(world, ledger::totals(&mut connection).await).await;
        self.check_versions(world, shown).await;
        for arguments in [&["verify"][..], &["verify", "--ledger"]] {
            let output = world.laurel(arguments).await;
            if !output.status.success() {
                let said = [output.stdout, output.stderr].concat();
                self.say(format!("laurel {}: {}", arguments.join(" "), String::from_utf8_lossy(&said)));
            }
        }
        let there: HashSet<Uuid> = rows.iter().map(|it| it.event_id).collect();
        history.put_back(events.into_iter().filter(|(id, _)| !there.contains(id)));
        outcome
    }

    /// Every row is of a token that was given to that user and handed in, and each user's rows chain.
    fn check_rows(&mut self, rows: &[Row], events: &HashMap<Uuid, Event>) {
        for row in rows {
            self.seq = self.seq.max(row.seq.unwrap_or_default());
            let known = events.get(&row.event_id);
            let fits = known.is_some_and(|it| {
                it.user == row.user_id && it.points == row.points && !it.attempts.is_empty()
            });
            if !fits {
                let told = known.map_or("of no token that was given out".into(), |it| it.tell(row.event_id));
                self.say(format!("the ledger has {row:?}: {told}"));
            }
            let before = self.standings.get(&row.user_id).map_or(0, |it| it.0);
            if row.before != before || row.after != row.before + row.points {
                self.say(format!("the ledger has {row:?}, but the user's last entry came to {before}"));
            }
            self.standings.insert(row.user_id, (row.after, row.moment));
        }
    }

    fn check_events(&mut self, rows: &[Row], events: &HashMap<Uuid, Event>, losses: &[Loss]) -> Outcome {
        let rows: HashMap<Uuid, &Row> = rows.iter().map(|it| (it.event_id, it)).collect();
        let new = events.values().filter(|it| !it.late).count();
        let mut outcome = Outcome { events: new, ..Outcome::default() };
        for (id, event) in events {
            let row = rows.get(id);
            let mut lost = false;
            for (attempt, score) in event.awarded() {
                let excused = !event.by_ledger
                    && losses.iter().any(|it| {
                        attempt.end > it.from && attempt.start < it.until && !it.written.contains(id)
                    });
                match row {
                    Some(row) if row.after == score || excused => {}
                    Some(row) => self.say(format!("{row:?} is not what was answered: {}", event.tell(*id))),
                    None if excused => lost = true,
                    None => self.say(format!("an acknowledged award is lost: {}", event.tell(*id))),
                }
            }
            outcome.lost += usize::from(lost);
            let awarded = event.awarded().next().is_some();
            let refused = event.attempts.iter().find(|it| matches!(it.answer, Answer::Refused(_)));
            match (awarded, row) {
                (true, _) => outcome.replays_refused += usize::from(refused.is_some()),
                (false, Some(_)) if event.is_unsure() => outcome.unsure_counted += 1,
                (false, Some(row)) => self.say(format!("{row:?} was refused: {}", event.tell(*id))),
                (false, None) => outcome.unsure_not += usize::from(event.is_unsure() && !event.late),
            }
            // A repeat under a key gets the first answer, unless Redis lost it.
            if let Some(refused) = refused
                && row.is_some()
                && losses.is_empty()
                && !refused.key.is_empty()
                && event.attempts.iter().all(|it| it.key == refused.key)
            {
                self.say(format!("a repeat was refused, but its award counts: {}", event.tell(*id)));
            }
        }
        outcome
    }

    /// `users.score`, `user:score`, the board and the ten are what the rows come to.
    async fn check_totals(&mut self, world: &World<'_>, totals: HashMap<Uuid, i64>) {
        let mut look = Look::new(world.ports.0).await;
        let board: HashMap<String, f64> = look.ask("ZRANGE leaderboard:global 0 -1 WITHSCORES").await;
        for (user, total) in totals {
            let ours = self.standings.get(&user).map_or(0, |it| it.0);
            let own: Option<i64> = look.ask(&format!("GET user:score:{user}")).await;
            let shown = board.get(&user.to_string()).map(|it| *it as i64);
            if total != ours || own.unwrap_or(0) != ours || shown.unwrap_or(0) != ours {
                let stores = format!("users.score {total}, user:score {own:?}, board {shown:?}");
                self.say(format!("user {user}: the rows come to {ours}, but: {stores}"));
            }
        }
        let ten: Vec<String> = look.ask("LRANGE leaderboard:global:ten 0 -1").await;
        let mut best: Vec<_> =
            self.standings.iter().map(|(user, (score, moment))| (-score, *moment, user)).collect();
        best.sort_unstable();
        let best: Vec<String> =
            best.iter().take(10).map(|(score, _, user)| format!("{} {user}", -score)).collect();
        let word = |line: &String, place| line.split(' ').nth(place).unwrap_or_default().to_owned();
        let ten: Vec<String> = ten.iter().map(|it| format!("{} {}", word(it, 0), word(it, 2))).collect();
        if ten != best {
            self.say(format!("the ten are {ten:#?}, by the ledger {best:#?}"));
        }
    }

    /// Nobody was shown an older board, and everybody is shown the newest now.
    async fn check_versions(&mut self, world: &World<'_>, shown: &Shown) {
        self.wrong.extend(shown.take_wrong());
        let version: i64 = Look::new(world.ports.0).await.ask("HGET leaderboard:global:state version").await;
        let newest = shown.newest();
        if version < newest {
            self.say(format!("Redis' board has version {version}, but {newest} was shown"));
        }
        for base in &world.bases {
            let began = Instant::now();
            while readiness(&world.client, base).await.is_none_or(|it| it.version < version) {
                if began.elapsed() > WRITTEN {
                    self.say(format!("{base} does not come to show version {version}"));
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
        let moment: Option<i64> = look.ask("HGET leaderboard:global:state moment").await;
        if entries == 0 && before == Some(moment) {
            return Ok(());
        }
        before = (entries == 0).then_some(moment);
        if began.elapsed() > WRITTEN {
            return Err(format!("{entries} entries are in the outbox after {} s", WRITTEN.as_secs()));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
