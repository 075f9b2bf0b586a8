//! Computes what a batch of ledger entries adds to the rollups. Pure: from the batch and the stored totals to the new rows.

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use super::period::Period;

/// Microseconds per hour.
const HOUR_US: i64 = 3_600_000_000;

/// A user's awards of one hour in a batch.
#[derive(Clone, Debug)]
pub struct HourlyAwards {
    pub user: Uuid,
    pub hour: i64,
    pub awards: i64,
    pub points: i64,
    /// Time of the newest one in µs since the Unix epoch.
    pub last_us: i64,
}

/// Number and points of some awards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AwardCount {
    pub awards: i64,
    pub points: i64,
}

impl AwardCount {
    fn add(&mut self, other: Self) {
        self.awards += other.awards;
        // An admin may deduct points and the user may win them again, without a limit.
        self.points = self.points.saturating_add(other.points);
    }
}

/// A row of `rollup_users`. The periods are those that contain the newest award.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserTotals {
    pub last_us: i64,
    pub awards: i64,
    pub periods: [AwardCount; 4],
}

impl UserTotals {
    /// Hour of the newest award.
    pub fn hour(&self) -> i64 {
        self.last_us.div_euclid(HOUR_US)
    }
}

/// Additions to a row of `rollup_hours`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HourTotals {
    pub count: AwardCount,
    pub users: i64,
    pub day_users: i64,
    pub last_users: i64,
}

/// New and changed rows of a batch.
#[derive(Debug, Default)]
pub struct BatchTotals {
    pub users: HashMap<Uuid, UserTotals>,
    pub hours: BTreeMap<i64, HourTotals>,
}

/// Groups before the hour of their user's newest stored award. Only the ledger knows whether the user had an award in the same hour or day.
pub fn find_late<'a>(
    groups: &'a [HourlyAwards],
    stored: &'a HashMap<Uuid, UserTotals>,
) -> impl Iterator<Item = &'a HourlyAwards> {
    groups.iter().filter(|group| stored.get(&group.user).is_some_and(|totals| group.hour < totals.hour()))
}

/// Computes the totals. Groups are sorted by user, then by hour. `active_before` holds (user, period, start of the period) for late groups
/// whose user already had an award in that period.
pub fn compute(
    groups: &[HourlyAwards],
    stored: &HashMap<Uuid, UserTotals>,
    active_before: &HashSet<(Uuid, Period, i64)>,
) -> BatchTotals {
    let mut batch = BatchTotals::default();
    for own in groups.chunk_by(|group, next| group.user == next.user) {
        let user = own[0].user;
        let before = stored.get(&user);
        let is_new = |period: Period, hour: i64| {
            let start = period.start(hour);
            match before.map(|totals| period.start(totals.hour())) {
                None => true,
                Some(newest) if start < newest => !active_before.contains(&(user, period, start)),
                Some(newest) => start > newest,
            }
        };
        let mut day = None;
        for group in own {
            let hour = batch.hours.entry(group.hour).or_default();
            hour.count.add(AwardCount { awards: group.awards, points: group.points });
            hour.users += i64::from(is_new(Period::Hour, group.hour));
            let this_day = Some(Period::Day.start(group.hour));
            if std::mem::replace(&mut day, this_day) != this_day {
                hour.day_users += i64::from(is_new(Period::Day, group.hour));
            }
        }
        let totals = add_to_user(own, before);
        let (newest, older) = (totals.hour(), before.map(UserTotals::hour));
        if older != Some(newest) {
            batch.hours.entry(newest).or_default().last_users += 1;
            if let Some(older) = older {
                batch.hours.entry(older).or_default().last_users -= 1;
            }
        }
        batch.users.insert(user, totals);
    }
    batch
}

/// A user's totals with the awards of a batch.
fn add_to_user(own: &[HourlyAwards], before: Option<&UserTotals>) -> UserTotals {
    let newest = own.iter().map(|it| it.last_us).max().unwrap_or(i64::MIN);
    let mut totals = UserTotals {
        last_us: before.map_or(newest, |before| before.last_us.max(newest)),
        awards: before.map_or(0, |it| it.awards) + own.iter().map(|it| it.awards).sum::<i64>(),
        periods: [AwardCount::default(); 4],
    };
    for (index, period) in Period::ALL.into_iter().enumerate() {
        let start = period.start(totals.hour());
        let count = &mut totals.periods[index];
        if let Some(before) = before.filter(|before| before.hour() >= start) {
            *count = before.periods[index];
        }
        for group in own.iter().filter(|group| group.hour >= start) {
            count.add(AwardCount { awards: group.awards, points: group.points });
        }
    }
    totals
}
