//! Parts of requests: bodies, query strings, headers.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue};
use laurel::admin::Cursor;
use laurel::error::Refusal;
use laurel::fuzzing::{Fields, Query, client, key, request_digest};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Input, halves};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Points,
    OptionalText,
    OptionalNumber,
    Signed,
    OptionalObject,
}

use Kind::{OptionalNumber, OptionalObject, OptionalText, Points, Signed, Text};

/// The fields of each body, in the order in which they are read.
const BODIES: [&[(&str, Kind)]; 9] = [
    &[("username", Text), ("email", Text), ("password", Text)],
    &[("username", Text), ("password", Text)],
    &[],
    &[("actionToken", OptionalText), ("actionType", Text), ("points", Points), ("proof", OptionalObject)],
    &[("actionType", Text)],
    &[("antiSpamToken", OptionalText), ("proof", OptionalObject)],
    &[
        ("actionType", OptionalText),
        ("actionId", OptionalNumber),
        ("antiSpamToken", OptionalText),
        ("sessionId", OptionalText),
        ("proof", OptionalObject),
    ],
    &[("actionToken", OptionalText), ("sessionId", OptionalText)],
    &[("points", Signed), ("reason", Text)],
];

/// An integer in any spelling.
fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Number(it) if it.is_f64() => {
            let it = it.as_f64().unwrap();
            (it == it.trunc() && it.abs() < (1_u64 << 53) as f64).then_some(it as i128)
        }
        Value::Number(it) => it.to_string().parse().ok(),
        _ => None,
    }
}

/// Reads a field with `Fields` and with serde, compares both, and returns whether it is valid. `wanted` is its JSON.
fn field(fields: &mut Fields<'_>, wanted: Option<&str>, name: &str, kind: Kind) -> bool {
    let wanted = wanted.filter(|it| *it != "null");
    // `None` if it is missing, or valid JSON that serde cannot represent.
    let value: Option<Value> = wanted.and_then(|it| serde_json::from_str(it).ok());
    let number = value.as_ref().and_then(whole);
    match kind {
        Text => {
            let read = fields.text(name, |it| Ok(it.to_owned()));
            assert_eq!(read.as_deref(), value.as_ref().and_then(Value::as_str));
            read.is_some()
        }
        OptionalText => {
            let read = fields.optional_text(name);
            assert_eq!(read, value.as_ref().and_then(Value::as_str).unwrap_or_default());
            wanted.is_none() || value.is_some_and(|it| it.is_string())
        }
        Points => {
            let read = fields.points(name);
            let is_number = wanted
                .is_some_and(|it| it.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']));
            assert_eq!(read, is_number.then(|| number.and_then(|it| it.try_into().ok()).unwrap_or(0)));
            is_number
        }
        OptionalNumber => {
            let read = fields.optional_number(name);
            assert_eq!(read, number.and_then(|it| it.try_into().ok()));
            read.is_some() || wanted.is_none()
        }
        Signed => {
            let read = fields.signed_number(name);
            assert_eq!(read, number.and_then(|it| it.try_into().ok()));
            read.is_some()
        }
        OptionalObject => {
            let read = fields.optional_object(name);
            assert_eq!(read.as_ref(), value.as_ref().and_then(Value::as_object));
            wanted.is_none() || value.is_some_and(|it| it.is_object())
        }
    }
}

pub fn fields(data: &[u8]) {
    let mut input = Input(data);
    let body = BODIES[usize::from(input.byte()) % BODIES.len()];
    let text = input.rest();
    let wanted: Option<HashMap<String, &RawValue>> = serde_json::from_slice(text).ok();
    let (Ok(mut fields), Some(wanted)) = (Fields::read(text), &wanted) else {
        return assert!(Fields::read(text).is_err() && wanted.is_none());
    };
    let mut read =
        |(name, kind): &(&str, Kind)| field(&mut fields, wanted.get(*name).map(|it| it.get()), name, *kind);
    let good = body.iter().filter(|it| read(it)).count();
    let unknown = wanted.keys().filter(|it| !body.iter().any(|(name, _)| name == it)).count();
    let bad = body.len() - good + unknown;
    match fields.finish() {
        Ok(()) => assert_eq!(bad, 0),
        Err(Refusal::Validation(problems)) => {
            assert_eq!(problems.len(), bad);
            // Client input is truncated in error messages.
            assert!(problems.iter().all(|it| it.field.len() < 300 && it.problem.len() < 300));
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// Whether two values are equal.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(_), Value::Number(_)) => {
            let exact = |it: &Value| match it.as_f64() {
                Some(float) if it.is_f64() && float.fract() == 0.0 && float.abs() < 1.9e19 => {
                    Some((float as i128).to_string())
                }
                _ => Some(it.to_string()),
            };
            exact(one) == exact(other)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|it| same(value, it)))
        }
        _ => one == other,
    }
}

/// The same value in another spelling.
fn rewritten(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().rev().map(|(name, it)| (name.clone(), rewritten(it))).collect()
        }
        Value::Array(values) => values.iter().map(rewritten).collect(),
        Value::Number(it) => match it.as_i64() {
            Some(whole) if whole.unsigned_abs() < 1 << 53 => Value::from(whole as f64),
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}

pub fn digest(data: &[u8]) {
    let (one, other) = halves(data, b'\n');
    let read = |it: &[u8]| serde_json::from_slice::<Value>(it).ok();
    let digest = |it: &[u8]| request_digest("update", it);
    let equal = match (read(one), read(other)) {
        (Some(one), Some(other)) => same(&one, &other),
        (None, None) => one == other,
        _ => false,
    };
    assert_eq!(digest(one) == digest(other), equal);
    if let Some(value) = read(other) {
        let respelled = serde_json::to_string_pretty(&rewritten(&value)).unwrap();
        assert_eq!(digest(respelled.as_bytes()), digest(other), "{respelled}");
        assert_ne!(request_digest("scores", other), digest(other), "another endpoint");
    }
    if let Ok(value) = HeaderValue::from_bytes(one) {
        let headers = HeaderMap::from_iter([("idempotency-key".parse().unwrap(), value)]);
        let good = (1..=64).contains(&one.len()) && one.iter().all(u8::is_ascii_graphic);
        assert_eq!(key(&headers).is_ok(), good);
    }
}

pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut query = Query::read(text);
    let search = query.text("search");
    let limit = query.number("limit", 1..=100, 20);
    let step = query.choice("step", &[("hour", 1), ("day", 2)]);
    let before = query.parsed("before", Cursor::parse);
    assert!((1..=100).contains(&limit) && [1, 2].contains(&step));
    let Ok(()) = query.finish() else { return };
    // An accepted query string has each name once and no unknown one, so its values round-trip.
    let mut written = format!("limit={limit}&step={}", ["hour", "day"][step - 1]);
    let encode = |it: &str| it.bytes().map(|it| format!("%{it:02x}")).collect::<String>();
    if let Some(search) = &search {
        written.push_str(&format!("&search={}", encode(search)));
    }
    if let Some(before) = &before {
        written.push_str(&format!("&before={}", before.to_text()));
    }
    let mut again = Query::read(&written);
    assert_eq!(again.text("search"), search);
    assert_eq!(again.number("limit", 1..=100, 20), limit);
    assert_eq!(again.choice("step", &[("hour", 1), ("day", 2)]), step);
    assert_eq!(again.parsed("before", Cursor::parse), before);
    assert!(again.finish().is_ok());
    let names = text.split('&').filter(|it| !it.is_empty()).map(|it| it.split('=').next().unwrap());
    let names: Vec<_> = names.collect();
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
}

pub fn cursor(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(cursor) = Cursor::parse(text) {
        // A cursor round-trips.
        assert_eq!(Cursor::parse(&cursor.to_text()), Ok(cursor));
    }
    if let Ok(reason) = laurel::admin::Decision::read_reason(text) {
        assert!(!reason.is_empty() && !reason.contains('\0') && reason.len() <= text.len());
    }
}

pub fn forwarded(data: &[u8]) {
    let mut input = Input(data);
    let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let is_trusted = |it: &IpAddr| match it {
        IpAddr::V4(it) => it.octets()[0] == 10,
        IpAddr::V6(it) => it.octets()[0] == 0xfd,
    };
    let mut address = || match input.byte() % 4 {
        0 => IpAddr::from([10, 0, 0, input.byte()]),
        1 => IpAddr::from([192, 0, 2, input.byte()]),
        2 => IpAddr::from([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, input.byte()]),
        _ => IpAddr::from([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, input.byte()]),
    };
    let (peer, one, two) = (address(), address(), address());
    let mut headers = HeaderMap::new();
    let sent = input.rest();
    for line in sent.split(|it| *it == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append("x-forwarded-for", value);
        }
    }
    assert!(is_trusted(&peer) || client(peer, &headers, &trusted) == peer, "an untrusted peer is ignored");
    // The entries of trusted proxies, at the end, count first.
    headers.append("x-forwarded-for", HeaderValue::from_str(&format!("{one}, {two}")).unwrap());
    let found = client(peer, &headers, &trusted);
    if let Some(first) = [peer, two, one].into_iter().find(|it| !is_trusted(it)) {
        assert_eq!(found, first);
    }
}
