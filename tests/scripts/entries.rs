//! `lua/apply_entries.lua`, `lua/replace_entries.lua` and `lua/read_entries.lua`, against a model that sorts a list.

use std::collections::BTreeMap;
use std::sync::Arc;

use laurel::store::{
    Applied, Change, EntriesQuery, EntryBatch, EntryChange, EntryOrder, EntryRules, PeriodKey, Place,
    PlacedEntry, Ranked, Store,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use super::{number, user};
use crate::harness::TestStores;

const KEY: PeriodKey<'static> = PeriodKey { board: "weekly", period: "2026-W48" };
const USERS: u128 = 12;
const LARGEST_SCORE: i64 = (1 << 53) - 1;
const SPLITS: [Option<&str>; 3] = [None, Some("DE"), Some("FR")];

/// A board as a list of entries: per board of a value and user the result and the number of awards.
pub struct BoardModel {
    pub rules: EntryRules,
    pub ranking: &'static str,
    pub entries: BTreeMap<(Option<String>, Uuid), (Ranked, u32)>,
}

impl BoardModel {
    /// True if `one` is better than `other`, apart from the time.
    fn is_better(&self, one: Ranked, other: Ranked) -> bool {
        let sign = if self.rules.order.ascending { -1 } else { 1 };
        let worth = |it: Ranked| (sign * it.score, it.subscore.map(|subscore| (1, sign * subscore)));
        worth(one) > worth(other)
    }

    pub fn apply(&mut self, change: &EntryChange) {
        let key = (change.split.clone(), change.user);
        match change.change {
            Change::Remove => self.entries.retain(|(_, user), _| *user != change.user),
            Change::Set(result, attempts) => drop(self.entries.insert(key, (result, attempts))),
            Change::Add(award) => {
                let Some((known, attempts)) = self.entries.get(&key).copied() else {
                    self.entries.insert(key, (award, 1));
                    return;
                };
                if self.rules.max_attempts > 0 && attempts >= self.rules.max_attempts {
                    return;
                }
                let result = match self.rules.aggregate {
                    "sum" if award.score == 0 => known,
                    "sum" => {
                        let score = (known.score + award.score).clamp(-LARGEST_SCORE, LARGEST_SCORE);
                        Ranked { score, ..award }
                    }
                    "best" if !self.is_better(award, known) => known,
                    _ => award,
                };
                self.entries.insert(key, (result, attempts + 1));
            }
        }
    }

    /// The entries of one value's board, best first.
    pub fn sorted(&self, split: Option<&str>) -> Vec<PlacedEntry> {
        let is_shown = |result: &Ranked| !self.rules.is_total || result.score > 0;
        let own =
            self.entries.iter().filter(|((value, _), entry)| value.as_deref() == split && is_shown(&entry.0));
        let mut own: Vec<_> =
            own.map(|((_, user), (result, attempts))| (*user, *result, *attempts)).collect();
        own.sort_by(|(one_user, one, _), (other_user, other, _)| {
            self.is_better(*other, *one)
                .cmp(&self.is_better(*one, *other))
                .then(one.hlc_us.cmp(&other.hlc_us))
                .then(other_user.cmp(one_user))
        });
        let mut placed: Vec<PlacedEntry> = Vec::new();
        for (user, result, attempts) in own {
            let position = placed.len() as u64 + 1;
            let rank = match placed.last() {
                None => 1,
                Some(last) if self.ranking != "ordinal" && !self.is_better(last.result, result) => last.rank,
                Some(last) if self.ranking == "dense" => last.rank + 1,
                Some(_) => position,
            };
            let attempts = (self.rules.max_attempts > 0).then_some(attempts);
            placed.push(PlacedEntry { user, username: name(user), result, position, rank, attempts });
        }
        placed
    }
}

pub fn name(user: Uuid) -> String {
    format!("u{}", number(user))
}

fn query<'a>(
    model: &BoardModel,
    split: Option<&'a str>,
    place: Place,
    limit: usize,
    users: &'a [Uuid],
) -> EntriesQuery<'a> {
    EntriesQuery {
        key: KEY,
        split,
        order: model.rules.order,
        ranking: model.ranking,
        counts_attempts: model.rules.max_attempts > 0,
        place,
        limit,
        top: 0,
        users,
    }
}

async fn assert_matches(store: &Arc<Store>, model: &BoardModel, random: &mut StdRng) {
    let users: Vec<Uuid> = (0..USERS).map(user).collect();
    for split in SPLITS {
        let expected = model.sorted(split);
        let page = store.read_entries(&query(model, split, Place::At(0), 100, &users)).await.unwrap();
        assert_eq!(page.window, expected, "{:?} {}", model.rules, model.ranking);
        assert_eq!(page.total, expected.len() as u64);
        let mut found = page.users;
        found.sort_by_key(|entry| entry.position);
        assert_eq!(found, expected);
        if expected.is_empty() {
            continue;
        }
        let limit = random.random_range(1..=5_usize);
        let entry = &expected[random.random_range(0..expected.len())];
        let index = entry.position as usize - 1;
        let after = Place::After(entry.result, entry.user);
        let page = store.read_entries(&query(model, split, after, limit, &[])).await.unwrap();
        assert_eq!(page.window, expected[index + 1..(index + 1 + limit).min(expected.len())]);
        let before = Place::Before(entry.result, entry.user);
        let page = store.read_entries(&query(model, split, before, limit, &[])).await.unwrap();
        assert_eq!(page.window, expected[index.saturating_sub(limit)..index]);
        let around = store.read_entries(&query(model, split, Place::Around(entry.user), limit, &[])).await;
        let first = index.saturating_sub((limit - 1) / 2).min(expected.len().saturating_sub(limit));
        assert_eq!(around.unwrap().window, expected[first..(first + limit).min(expected.len())]);
    }
}

#[tokio::test]
async fn entries_match_a_sorted_list() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let mut random = StdRng::seed_from_u64(22);
    for case in 0..16 {
        let pick = |options: &[&'static str]| options[case % options.len()];
        let aggregate = pick(&["sum", "best", "latest"]);
        let ranking = ["competition", "dense", "ordinal", "dense"][case / 4];
        let rules = EntryRules {
            aggregate,
            order: EntryOrder { ascending: case % 2 == 1, has_subscores: aggregate != "sum" },
            is_dense: ranking == "dense",
            is_total: false,
            max_attempts: if case % 5 == 0 { 3 } else { 0 },
            top: 3,
        };
        let mut model = BoardModel { rules, ranking, entries: BTreeMap::new() };
        store.delete_entries(KEY).await.unwrap();
        let batch = |seq: i64| EntryBatch { from_seq: seq, to_seq: seq + 1, as_of_ms: 1, floor: 0 };
        let lost = store.apply_entries(KEY, rules, batch(0), &[]).await.unwrap();
        assert_eq!(lost, Applied::StandsAt(None), "a period that is not loaded takes no batch");
        let load = store.load_entries(KEY, rules).await.unwrap();
        assert!(load.replace_entries(0, 1, 0).await.unwrap());
        let mut clock = 1_000_000;
        for seq in 0..30 {
            let changes: Vec<EntryChange> = (0..random.random_range(0..4))
                .flat_map(|_| {
                    clock += random.random_range(1..3);
                    let result = Ranked {
                        score: random.random_range(0..4),
                        subscore: rules
                            .order
                            .has_subscores
                            .then(|| random.random_range(0..2))
                            .filter(|it| *it > 0),
                        hlc_us: clock,
                    };
                    let change = match random.random_range(0..10) {
                        0 => Change::Remove,
                        1 => Change::Set(result, random.random_range(1..3)),
                        _ => Change::Add(result),
                    };
                    let user = user(random.random_range(0..USERS));
                    let split = SPLITS[random.random_range(0..SPLITS.len())];
                    let splits = [None, split.filter(|_| change != Change::Remove)];
                    let distinct = splits.into_iter().take(if splits[1].is_some() { 2 } else { 1 });
                    distinct
                        .map(move |split| EntryChange {
                            order: rules.order,
                            split: split.map(str::to_owned),
                            user,
                            username: name(user),
                            change,
                        })
                        .collect::<Vec<_>>()
                })
                .collect();
            assert_eq!(store.apply_entries(KEY, rules, batch(seq), &changes).await.unwrap(), Applied::Yes);
            changes.iter().for_each(|change| model.apply(change));
            let repeated = store.apply_entries(KEY, rules, batch(seq), &changes).await.unwrap();
            assert_eq!(repeated, Applied::Yes, "a repeat changes nothing");
            if seq % 5 == 0 {
                assert_matches(&store, &model, &mut random).await;
            }
        }
        assert_matches(&store, &model, &mut random).await;
        // The same entries, loaded as a whole.
        let mut load = store.load_entries(KEY, rules).await.unwrap();
        let set = model.entries.iter().map(|((split, user), (result, attempts))| EntryChange {
            order: rules.order,
            split: split.clone(),
            user: *user,
            username: name(*user),
            change: Change::Set(*result, *attempts),
        });
        load.add(&set.collect::<Vec<_>>()).await.unwrap();
        let version = store.read_entries(&query(&model, None, Place::At(0), 1, &[])).await.unwrap().version;
        assert!(load.replace_entries(30, 2, 0).await.unwrap());
        let page = store.read_entries(&query(&model, None, Place::At(0), 1, &[])).await.unwrap();
        assert!(page.version > version, "a version only grows");
        assert_matches(&store, &model, &mut random).await;
        let older = store.load_entries(KEY, rules).await.unwrap();
        assert!(!older.replace_entries(29, 3, 0).await.unwrap(), "an older load is refused");
    }
}
