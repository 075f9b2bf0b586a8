//! Periods against tables of known boundaries, and against their rules for random definitions, zones and instants.

use jiff::tz::TimeZoneDatabase;
use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

fn calendar(unit: Unit, time_zone: &str, reset: Reset) -> Schedule {
    Schedule { recurrence: Recurrence::Calendar { unit, reset }, time_zone: zone(time_zone) }
}

fn at_time(hour: i8, minute: i8) -> Reset {
    Reset { time: Time::constant(hour, minute, 0, 0), ..Reset::default() }
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A period as its id, start and end.
#[track_caller]
fn shown(period: Option<Period>) -> [String; 3] {
    let Period { id, starts_at, ends_at } = period.expect("there is a period");
    [id, starts_at.unwrap().to_string(), ends_at.unwrap().to_string()]
}

#[track_caller]
fn assert_period(schedule: &Schedule, at: &str, expected: [&str; 3]) {
    assert_eq!(shown(schedule.containing(instant(at))), expected, "{at}");
}

#[test]
fn days_have_23_24_or_25_hours() {
    for (time_zone, at, expected) in [
        (
            "Europe/Berlin",
            "2026-03-29T12:00:00Z",
            ["2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"],
        ),
        (
            "Europe/Berlin",
            "2026-10-25T12:00:00Z",
            ["2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"],
        ),
        (
            "America/New_York",
            "2026-03-08T12:00:00Z",
            ["2026-03-08", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"],
        ),
        (
            "America/New_York",
            "2026-11-01T12:00:00Z",
            ["2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"],
        ),
        // Half an hour, and south of the equator.
        (
            "Australia/Lord_Howe",
            "2026-04-05T00:00:00Z",
            ["2026-04-05", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z"],
        ),
        (
            "Australia/Lord_Howe",
            "2026-10-04T00:00:00Z",
            ["2026-10-04", "2026-10-03T13:30:00Z", "2026-10-04T13:00:00Z"],
        ),
        ("UTC", "2028-02-29T23:59:59Z", ["2028-02-29", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"]),
    ] {
        assert_period(&calendar(Unit::Day, time_zone, Reset::default()), at, expected);
    }
}

#[test]
fn a_reset_that_does_not_exist_is_the_next_instant_that_does() {
    for (time_zone, reset, at, expected) in [
        // 02:00 is followed by 03:00, and 02:00 itself does not exist.
        (
            "Europe/Berlin",
            (2, 30),
            "2026-03-29T01:00:00Z",
            ["2026-03-29", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        ),
        (
            "Europe/Berlin",
            (2, 0),
            "2026-03-29T01:00:00Z",
            ["2026-03-29", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"],
        ),
        (
            "Europe/Berlin",
            (3, 0),
            "2026-03-29T01:00:00Z",
            ["2026-03-29", "2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"],
        ),
        (
            "Europe/Berlin",
            (2, 30),
            "2026-03-29T00:59:59.999999Z",
            ["2026-03-28", "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z"],
        ),
        (
            "America/New_York",
            (2, 59),
            "2026-03-08T07:00:00Z",
            ["2026-03-08", "2026-03-08T07:00:00Z", "2026-03-09T06:59:00Z"],
        ),
        (
            "Australia/Lord_Howe",
            (2, 15),
            "2026-10-03T15:30:00Z",
            ["2026-10-04", "2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"],
        ),
    ] {
        assert_period(&calendar(Unit::Day, time_zone, at_time(reset.0, reset.1)), at, expected);
    }
}

#[test]
fn a_reset_that_exists_twice_is_the_first() {
    for (time_zone, reset, at, expected) in [
        (
            "Europe/Berlin",
            (2, 30),
            "2026-10-25T01:30:00Z",
            ["2026-10-25", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        (
            "Europe/Berlin",
            (2, 30),
            "2026-10-25T00:29:59.999999Z",
            ["2026-10-24", "2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z"],
        ),
        (
            "America/New_York",
            (1, 30),
            "2026-11-01T06:30:00Z",
            ["2026-11-01", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
        ),
        (
            "Australia/Lord_Howe",
            (1, 45),
            "2026-04-04T15:15:00Z",
            ["2026-04-05", "2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"],
        ),
    ] {
        assert_period(&calendar(Unit::Day, time_zone, at_time(reset.0, reset.1)), at, expected);
    }
}

#[test]
fn weeks_have_iso_numbers_and_years() {
    let monday = calendar(Unit::Week, "Europe/Berlin", at_time(9, 0));
    for (at, expected) in [
        ("2026-11-28T12:00:00Z", ["2026-W48", "2026-11-23T08:00:00Z", "2026-11-30T08:00:00Z"]),
        ("2027-01-01T12:00:00Z", ["2026-W53", "2026-12-28T08:00:00Z", "2027-01-04T08:00:00Z"]),
        ("2027-01-04T08:00:00Z", ["2027-W01", "2027-01-04T08:00:00Z", "2027-01-11T08:00:00Z"]),
        ("2024-12-31T12:00:00Z", ["2025-W01", "2024-12-30T08:00:00Z", "2025-01-06T08:00:00Z"]),
        ("2026-03-29T12:00:00Z", ["2026-W13", "2026-03-23T08:00:00Z", "2026-03-30T07:00:00Z"]),
    ] {
        assert_period(&monday, at, expected);
    }
    // The week in which it begins.
    let sunday = calendar(Unit::Week, "UTC", Reset { weekday: Weekday::Sunday, ..Reset::default() });
    assert_period(
        &sunday,
        "2026-12-01T00:00:00Z",
        ["2026-W48", "2026-11-29T00:00:00Z", "2026-12-06T00:00:00Z"],
    );
}

#[test]
fn months_and_years_begin_on_their_day() {
    let month = calendar(Unit::Month, "America/New_York", Reset { day: 28, ..at_time(9, 0) });
    assert_period(
        &month,
        "2028-02-28T13:59:59Z",
        ["2028-01", "2028-01-28T14:00:00Z", "2028-02-28T14:00:00Z"],
    );
    assert_period(
        &month,
        "2028-02-29T00:00:00Z",
        ["2028-02", "2028-02-28T14:00:00Z", "2028-03-28T13:00:00Z"],
    );
    let year = calendar(Unit::Year, "Europe/Berlin", Reset::default());
    assert_period(&year, "2026-12-31T23:30:00Z", ["2027", "2026-12-31T23:00:00Z", "2027-12-31T23:00:00Z"]);
    let march = calendar(Unit::Year, "UTC", Reset { month: 3, ..Reset::default() });
    assert_period(&march, "2028-02-29T12:00:00Z", ["2027", "2027-03-01T00:00:00Z", "2028-03-01T00:00:00Z"]);
}

fn every(time_zone: &str, from: &str, every: Span) -> Schedule {
    let wall_clock: DateTime = from.parse().unwrap();
    let time_zone = zone(time_zone);
    let from = first_instant(&time_zone, wall_clock).unwrap();
    Schedule { recurrence: Recurrence::Every { from, wall_clock, every }, time_zone }
}

#[test]
fn days_keep_their_time_of_day_and_hours_their_length() {
    let days = every("Europe/Berlin", "2026-03-16T09:00:00", Span::Days(14));
    assert_period(&days, "2026-03-16T08:00:00Z", ["p1", "2026-03-16T08:00:00Z", "2026-03-30T07:00:00Z"]);
    assert_period(&days, "2026-03-30T07:00:00Z", ["p2", "2026-03-30T07:00:00Z", "2026-04-13T07:00:00Z"]);
    assert_period(&days, "2026-10-26T07:59:59Z", ["p16", "2026-10-12T07:00:00Z", "2026-10-26T08:00:00Z"]);
    assert_eq!(days.containing(instant("2026-03-16T07:59:59.999999999Z")), None);
    let hours = every("Europe/Berlin", "2026-03-28T09:00:00", Span::Seconds(24 * 3600));
    assert_period(&hours, "2026-03-29T10:00:00Z", ["p2", "2026-03-29T08:00:00Z", "2026-03-30T08:00:00Z"]);
    // The first one begins at the end of the gap, the next one at the defined time.
    let gap = every("Europe/Berlin", "2026-03-29T02:30:00", Span::Days(1));
    assert_period(&gap, "2026-03-29T12:00:00Z", ["p1", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    assert_eq!(gap.previous(&gap.containing(instant("2026-03-29T01:00:00Z")).unwrap()), None);
}

#[test]
fn a_single_period_has_no_neighbors() {
    let (from, until) = (instant("2026-12-01T09:00:00Z"), instant("2026-12-24T09:00:00Z"));
    let event = Schedule { recurrence: Recurrence::Once { from, until }, time_zone: TimeZone::UTC };
    let period = event.containing(from);
    assert_eq!(shown(period.clone()), ["p1", "2026-12-01T09:00:00Z", "2026-12-24T09:00:00Z"]);
    assert_eq!(event.containing(instant("2026-12-01T08:59:59.999999Z")), None);
    assert_eq!(event.containing(instant("2026-12-24T08:59:59.999999Z")), period);
    assert_eq!(event.containing(until), None);
    let period = period.unwrap();
    assert_eq!((event.next(&period), event.previous(&period)), (None, None));

    let all = Schedule::none().containing(until).unwrap();
    assert_eq!(all, Period { id: "all".to_owned(), starts_at: None, ends_at: None });
    assert!(all.contains(Timestamp::MIN) && all.contains(Timestamp::MAX));
    assert_eq!((Schedule::none().next(&all), Schedule::none().previous(&all)), (None, None));
}

#[test]
fn the_first_and_the_last_microsecond_belong_to_the_period() {
    let day = calendar(Unit::Day, "Europe/Berlin", Reset::default());
    for (at, id) in [
        ("2026-11-27T22:59:59.999999Z", "2026-11-27"),
        ("2026-11-27T23:00:00Z", "2026-11-28"),
        ("2026-11-28T22:59:59.999999Z", "2026-11-28"),
        ("2026-11-28T23:00:00.000000Z", "2026-11-29"),
    ] {
        assert_eq!(day.containing(instant(at)).unwrap().id, id, "{at}");
    }
}

/// Samoa crossed the date line: 2011-12-30 does not exist.
#[test]
fn a_day_that_does_not_exist_has_no_period() {
    let day = calendar(Unit::Day, "Pacific/Apia", Reset::default());
    let before = day.containing(instant("2011-12-30T09:59:59Z")).unwrap();
    let after = day.next(&before).unwrap();
    assert_eq!((before.id.as_str(), after.id.as_str()), ("2011-12-29", "2011-12-31"));
    assert_eq!((before.ends_at, day.previous(&after)), (after.starts_at, Some(before)));
}

#[test]
fn the_ends_of_time_have_no_period() {
    for unit in [Unit::Day, Unit::Week, Unit::Month, Unit::Year] {
        let schedule = calendar(unit, "Pacific/Auckland", at_time(23, 59));
        assert!(schedule.containing(Timestamp::MAX).is_none());
        let _ = schedule.containing(Timestamp::MIN);
    }
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let names: Vec<String> = TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
    let zones = prop::sample::select(names).prop_map(|name| zone(&name));
    let units = prop::sample::select(vec![Unit::Day, Unit::Week, Unit::Month, Unit::Year]);
    let resets =
        (1i8..=12, 1i8..=28, 0i8..7, 0i8..24, 0i8..60).prop_map(|(month, day, weekday, hour, minute)| {
            let weekday = Weekday::from_monday_zero_offset(weekday).unwrap();
            Reset { month, day, weekday, time: Time::constant(hour, minute, 0, 0) }
        });
    let calendars = (units, resets).prop_map(|(unit, reset)| Recurrence::Calendar { unit, reset });
    let spans = prop_oneof![(10i64..10_000_000).prop_map(Span::Seconds), (1i64..400).prop_map(Span::Days)];
    prop_oneof![
        3 => (calendars, zones.clone()).prop_map(|(recurrence, time_zone)| Schedule { recurrence, time_zone }),
        1 => (spans, instants(), zones).prop_map(|(every, from, time_zone)| {
            let wall_clock = time_zone.to_datetime(from);
            Schedule { recurrence: Recurrence::Every { from, wall_clock, every }, time_zone }
        }),
    ]
}

/// Microseconds from 1970 to 2100, and moments around the changes of daylight saving time in Berlin.
fn instants() -> impl Strategy<Value = Timestamp> {
    let any = (0i64..4_102_444_800_000_000).prop_map(|us| Timestamp::from_microsecond(us).unwrap());
    let changes = prop::sample::select(vec!["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"]);
    let near = (changes, -7_200_000_000i64..7_200_000_000)
        .prop_map(|(change, us)| instant(change).checked_add(SignedDuration::from_micros(us)).unwrap());
    prop_oneof![any, near]
}

/// The order of ids on a board.
fn rank(id: &str) -> (usize, &str) {
    if id.starts_with('p') { (id.len(), id) } else { (0, id) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn periods_tile_the_time_line(schedule in schedules(), at in instants()) {
        let Some(mut period) = schedule.containing(at) else {
            let before_first = matches!(schedule.recurrence, Recurrence::Every { from, .. } if at < from);
            prop_assert!(before_first, "no period contains {}", at);
            return Ok(());
        };
        prop_assert!(period.contains(at));
        for _ in 0..4 {
            let (start, end) = (period.starts_at.unwrap(), period.ends_at.unwrap());
            prop_assert!(start < end && period.contains(start) && !period.contains(end));
            let last = end.checked_sub(SignedDuration::from_nanos(1)).unwrap();
            for inside in [start, last] {
                let found = schedule.containing(inside);
                prop_assert_eq!(found.as_ref(), Some(&period));
            }
            let next = schedule.next(&period).unwrap();
            prop_assert_eq!(next.starts_at, period.ends_at);
            let back = schedule.previous(&next);
            prop_assert_eq!(back.as_ref(), Some(&period));
            prop_assert!(rank(&period.id) < rank(&next.id), "{} is followed by {}", period.id, next.id);
            period = next;
        }
    }
}
