//! What a batch of the ledger adds to the sums. Pure: the batch and what was known go in, what is to be written comes out.

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use super::period::Period;

/// Microseconds of an hour.
const HOUR_US: i64 = 3_600_000_000;

/// A user's awards of one hour, in a batch.
#[derive(Clone, Debug)]
pub struct Group {
    pub user: Uuid,
    pub hour: i64,
    pub awards: i64,
    pub points: i64,
    /// The newest of them, µs since the Unix epoch.
    pub last_us: i64,
}

/// Some awards, and what they came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count {
    pub awards: i64,
    pub points: i64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.awards += other.awards;
        // An operator may take away what is won again and again, so there is no end to it.
        self.points = self.points.saturating_add(other.points);
    }
}

/// A row of `rollup_users`: the periods are those which have the newest award.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    pub last_us: i64,
    pub awards: i64,
    pub periods: [Count; 4],
}

impl Tally {
    /// The hour of the newest award.
    pub fn hour(&self) -> i64 {
        self.last_us.div_euclid(HOUR_US)
    }
}

/// What is added to a row of `rollup_hours`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    pub count: Count,
    pub users: i64,
    pub day_users: i64,
    pub last_users: i64,
}

/// What a batch adds.
#[derive(Debug, Default)]
pub struct Added {
    pub users: HashMap<Uuid, Tally>,
    pub hours: BTreeMap<i64, Hour>,
}

/// Groups that are older than the newest award of their user which is known: whether there was one in the same hour or day only the
/// ledger can say.
pub fn late<'a>(groups: &'a [Group], known: &'a HashMap<Uuid, Tally>) -> impl Iterator<Item = &'a Group> {
    groups.iter().filter(|it| known.get(&it.user).is_some_and(|tally| it.hour < tally.hour()))
}

/// Adds up. The groups come in the order of their users, and of each in the order of the hours; `had` says of those that are late in
/// which periods, by their first hour, their user had an award before.
pub fn add(groups: &[Group], known: &HashMap<Uuid, Tally>, had: &HashSet<(Uuid, Period, i64)>) -> Added {
    let mut added = Added::default();
    for own in groups.chunk_by(|one, other| one.user == other.user) {
        let user = own[0].user;
        let before = known.get(&user);
        let is_new = |period: Period, hour: i64| {
            let begins = period.begins(hour);
            match before.map(|it| period.begins(it.hour())) {
                None => true,
                Some(known) if begins < known => !had.contains(&(user, period, begins)),
                Some(known) => begins > known,
            }
        };
        let mut day = None;
        for group in own {
            let hour = added.hours.entry(group.hour).or_default();
            hour.count.add(Count { awards: group.awards, points: group.points });
            hour.users += i64::from(is_new(Period::Hour, group.hour));
            let this_day = Some(Period::Day.begins(group.hour));
            if std::mem::replace(&mut day, this_day) != this_day {
                hour.day_users += i64::from(is_new(Period::Day, group.hour));
            }
        }
        let tally = after(own, before);
        let (newest, older) = (tally.hour(), before.map(Tally::hour));
        if older != Some(newest) {
            added.hours.entry(newest).or_default().last_users += 1;
            if let Some(older) = older {
                added.hours.entry(older).or_default().last_users -= 1;
            }
        }
        added.users.insert(user, tally);
    }
    added
}

/// A user's tally after some awards.
fn after(own: &[Group], before: Option<&Tally>) -> Tally {
    let newest = own.iter().map(|it| it.last_us).max().unwrap_or(i64::MIN);
    let mut tally = Tally {
        last_us: before.map_or(newest, |it| it.last_us.max(newest)),
        awards: before.map_or(0, |it| it.awards) + own.iter().map(|it| it.awards).sum::<i64>(),
        periods: [Count::default(); 4],
    };
    for (place, period) in Period::ALL.into_iter().enumerate() {
        let begins = period.begins(tally.hour());
        let count = &mut tally.periods[place];
        if let Some(before) = before.filter(|it| it.hour() >= begins) {
            *count = before.periods[place];
        }
        for group in own.iter().filter(|it| it.hour >= begins) {
            count.add(Count { awards: group.awards, points: group.points });
        }
    }
    tally
}
