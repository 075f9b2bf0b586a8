//! Reads the keys of a board that define its periods: `period`, `resets_at` and `time_zone`.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::Span;
use super::period::{Recurrence, Reset, Schedule, Unit, first_instant};
use crate::config::did_you_mean;
use crate::config::fields::Fields;

const PERIODS: [(&str, Option<Unit>); 5] = [
    ("none", None),
    ("day", Some(Unit::Day)),
    ("week", Some(Unit::Week)),
    ("month", Some(Unit::Month)),
    ("year", Some(Unit::Year)),
];
const WEEKDAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];
/// The shortest and the longest period of a given length.
const EVERY: (Span, Span) = (Span::Seconds(10), Span::Days(3660));

/// Reads the schedule of a board; `None` if it is invalid, which is reported.
pub fn read_schedule(fields: &mut Fields<'_>) -> Option<Schedule> {
    let time_zone = fields.parsed_or("time_zone", TimeZone::UTC, parse_time_zone);
    let has_reset = fields.has("resets_at");
    let recurrence = if fields.is_table("period") {
        let name = fields.name().to_owned();
        // Wall-clock times need a zone; the problem of an invalid one is already reported.
        let zone = time_zone.clone().unwrap_or(TimeZone::UTC);
        fields.table("period", &name, "period.").and_then(|period| read_custom(period, &zone))
    } else {
        match fields.parsed_or("period", None, parse_unit) {
            Some(Some(unit)) => {
                let reset = fields.parsed_or("resets_at", Reset::default(), |text| parse_reset(unit, text));
                reset.map(|reset| Recurrence::Calendar { unit, reset })
            }
            Some(None) => Some(Recurrence::None),
            None => None,
        }
    };
    let needs_no_reset = !matches!(recurrence, None | Some(Recurrence::Calendar { .. }));
    // Marked as read, whatever the period is.
    let _: Option<String> = fields.optional("resets_at");
    fields.check(
        !(has_reset && needs_no_reset),
        "resets_at needs period = \"day\", \"week\", \"month\" or \"year\"",
    );
    Some(Schedule { recurrence: recurrence?, time_zone: time_zone? })
}

/// Reads `{ every, from }` or `{ from, until }`.
fn read_custom(mut period: Fields<'_>, zone: &TimeZone) -> Option<Recurrence> {
    let (has_every, has_until) = (period.has("every"), period.has("until"));
    let every = period.parsed("every", |text| Span::parse_within(text, EVERY.0, EVERY.1));
    period.check(period.has("from"), "period.from is missing");
    let from = period.parsed("from", |text| parse_moment(text, zone));
    let until = period.parsed("until", |text| parse_moment(text, zone));
    period.check(has_every != has_until, "period must have either every or until");
    if let (Some((from, _)), Some((until, _))) = (from, until) {
        period.check(from < until, "period.until must be after from");
    }
    period.reject_unknown();
    let (from, wall_clock) = from?;
    match (every, until) {
        (Some(every), None) => Some(Recurrence::Every { from, wall_clock, every }),
        (None, Some((until, _))) => Some(Recurrence::Once { from, until }),
        _ => None,
    }
}

/// Parses the name of a zone in the compiled-in IANA database. The system's is not used: all nodes of a release must agree.
fn parse_time_zone(name: &str) -> Result<TimeZone, String> {
    let zones = TimeZoneDatabase::bundled();
    let found = zones.get(name).ok().filter(|zone| zone.iana_name() == Some(name));
    found.ok_or_else(|| {
        let names: Vec<String> = zones.available().map(|name| name.as_str().to_owned()).collect();
        let meant = did_you_mean(name, names.iter().map(String::as_str));
        format!("must be a name of the IANA time zone database, such as Europe/Berlin{meant}")
    })
}

/// Parses the name of a period; `None` is no periods.
fn parse_unit(name: &str) -> Result<Option<Unit>, String> {
    let found = PERIODS.iter().find(|(period, _)| *period == name);
    found.map(|(_, unit)| *unit).ok_or_else(|| {
        let names = PERIODS.map(|(period, _)| format!("\"{period}\"")).join(", ");
        let meant = did_you_mean(name, PERIODS.map(|(period, _)| period));
        format!("must be one of {names}, or a table with every or until{meant}")
    })
}

/// Parses when a period begins: a day, a time, or both. Without a day it is the first one, without a time midnight.
fn parse_reset(unit: Unit, text: &str) -> Result<Reset, String> {
    let bad = || {
        let example = match unit {
            Unit::Day => "\"09:00\"",
            Unit::Week => "\"Mon 09:00\", with a day of Mon, Tue, Wed, Thu, Fri, Sat, Sun",
            Unit::Month => "\"1 09:00\", with a day from 1 to 28",
            Unit::Year => "\"03-01 09:00\", with a month and a day that every year has",
        };
        format!("must be like {example}")
    };
    let mut reset = Reset::default();
    let (day, time) = match text.split_once(' ') {
        Some((day, time)) => (Some(day), Some(time)),
        None if text.contains(':') => (None, Some(text)),
        None => (Some(text), None),
    };
    if let Some(time) = time {
        reset.time = parse_time(time).ok_or_else(bad)?;
    }
    if let Some(day) = day {
        match unit {
            Unit::Day => return Err(bad()),
            Unit::Week => {
                let found = WEEKDAYS.iter().find(|(name, _)| *name == day);
                reset.weekday = found.map(|(_, weekday)| *weekday).ok_or_else(bad)?;
            }
            Unit::Month => {
                reset.day = parse_digits(day).filter(|day| (1..=28).contains(day)).ok_or_else(bad)?;
            }
            Unit::Year => {
                let (month, day) = day.split_once('-').ok_or_else(bad)?;
                (reset.month, reset.day) = parse_digits(month).zip(parse_digits(day)).ok_or_else(bad)?;
                // 2001 is not a leap year.
                Date::new(2001, reset.month, reset.day).map_err(|_| bad())?;
            }
        }
    }
    Ok(reset)
}

fn parse_time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let is_two = |part: &str| part.len() == 2;
    let (hour, minute) =
        (parse_digits(hour).filter(|_| is_two(hour))?, parse_digits(minute).filter(|_| is_two(minute))?);
    Time::new(hour, minute, 0, 0).ok()
}

/// A number of one or two digits.
fn parse_digits(text: &str) -> Option<i8> {
    let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Parses an instant: RFC 3339, or without an offset a wall-clock time in the zone. Returns it with its wall-clock time.
fn parse_moment(text: &str, zone: &TimeZone) -> Result<(Timestamp, DateTime), String> {
    let bad = || {
        "must be a time such as \"2026-12-01T09:00:00\" in time_zone, or \"2026-12-01T09:00:00Z\", in whole seconds".to_owned()
    };
    // `jiff` would ignore a zone in brackets.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"-:T+Z".contains(&byte));
    let moment = match text.parse::<Timestamp>() {
        _ if !is_plain || text.len() < "2026-12-01T09:00:00".len() => None,
        Ok(instant) => Some((instant, zone.to_datetime(instant))),
        Err(_) => {
            let wall_clock = text.parse::<DateTime>().map_err(|_| bad())?;
            first_instant(zone, wall_clock).map(|instant| (instant, wall_clock))
        }
    };
    let moment = moment.ok_or_else(bad)?;
    let is_near = (2000..=2200).contains(&moment.1.year());
    is_near.then_some(moment).ok_or_else(|| "must be in a year from 2000 to 2200".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_have_a_day_and_a_time() {
        let reset = |unit, text| {
            parse_reset(unit, text)
                .map(|reset| (reset.month, reset.day, reset.weekday, reset.time.to_string()))
        };
        let first = Reset::default();
        for (unit, text, month, day, weekday, time) in [
            (Unit::Day, "09:30", 1, 1, Weekday::Monday, "09:30:00"),
            (Unit::Week, "Sun 23:59", 1, 1, Weekday::Sunday, "23:59:00"),
            (Unit::Week, "09:00", 1, 1, Weekday::Monday, "09:00:00"),
            (Unit::Week, "Thu", 1, 1, Weekday::Thursday, "00:00:00"),
            (Unit::Month, "28 00:00", 1, 28, Weekday::Monday, "00:00:00"),
            (Unit::Month, "05", 1, 5, Weekday::Monday, "00:00:00"),
            (Unit::Year, "03-01 09:00", 3, 1, Weekday::Monday, "09:00:00"),
            (Unit::Year, "12-31", 12, 31, Weekday::Monday, "00:00:00"),
        ] {
            assert_eq!(reset(unit, text), Ok((month, day, weekday, time.to_owned())), "{text}");
        }
        assert_eq!(first.time, Time::midnight());
        for (unit, text) in [
            (Unit::Day, ""),
            (Unit::Day, "9:00"),
            (Unit::Day, "24:00"),
            (Unit::Day, "09:60"),
            (Unit::Day, "09:00:00"),
            (Unit::Day, "Mon 09:00"),
            (Unit::Week, "mon 09:00"),
            (Unit::Week, "Mon  09:00"),
            (Unit::Week, "Monday"),
            (Unit::Month, "29 00:00"),
            (Unit::Month, "0"),
            (Unit::Month, "-1"),
            (Unit::Year, "02-29"),
            (Unit::Year, "13-01"),
            (Unit::Year, "03"),
        ] {
            assert!(parse_reset(unit, text).is_err(), "{unit:?} {text}");
        }
    }

    #[test]
    fn moments_are_wall_clock_times_unless_they_have_an_offset() {
        let berlin = parse_time_zone("Europe/Berlin").unwrap();
        for (text, instant, wall_clock) in [
            ("2026-12-01T09:00:00", "2026-12-01T08:00:00Z", "2026-12-01T09:00:00"),
            ("2026-12-01T09:00:00Z", "2026-12-01T09:00:00Z", "2026-12-01T10:00:00"),
            ("2026-12-01T09:00:00-05:00", "2026-12-01T14:00:00Z", "2026-12-01T15:00:00"),
            // It does not exist: the first instant after the gap, but later periods begin at 02:30.
            ("2026-03-29T02:30:00", "2026-03-29T01:00:00Z", "2026-03-29T02:30:00"),
            ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00"),
            ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00"),
        ] {
            let (found, clock) = parse_moment(text, &berlin).unwrap();
            assert_eq!(
                (found.to_string(), clock.to_string()),
                (instant.to_owned(), wall_clock.to_owned()),
                "{text}"
            );
        }
        for text in [
            "",
            "2026-12-01",
            "2026-12-01T09:00",
            "2026-12-01T09:00:00.5",
            "2026-12-01 09:00:00",
            "2026-12-01T09:00:00[Europe/Paris]",
            "2026-13-01T09:00:00",
            "1999-12-31T09:00:00",
            "2201-01-01T09:00:00Z",
            "tomorrow",
        ] {
            assert!(parse_moment(text, &berlin).is_err(), "{text}");
        }
    }

    #[test]
    fn zones_have_their_exact_names() {
        for name in ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Argentina/Buenos_Aires"] {
            assert!(parse_time_zone(name).is_ok(), "{name}");
        }
        for name in ["", "Berlin", "europe/berlin", "CET+1", "+01:00", "Etc/Unknown", "../etc/passwd"] {
            assert!(parse_time_zone(name).is_err(), "{name}");
        }
        let problem = parse_time_zone("Europe/Berln").unwrap_err();
        assert!(problem.ends_with("did you mean Europe/Berlin?"), "{problem}");
    }
}
