//! Bodies, query strings and headers of requests.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue};
use laurel::admin::Cursor;
use laurel::error::Refusal;
use laurel::fuzzing::{Fields, Query, client, key, request_digest};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Input, split};

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

/// The value of an integer in any spelling.
fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap();
            (float == float.trunc() && float.abs() < (1_u64 << 53) as f64).then_some(float as i128)
        }
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// Reads a field with `Fields` and with serde, and compares the values. Returns true if the field is valid. `json` is its text.
fn check_field(fields: &mut Fields<'_>, json: Option<&str>, name: &str, kind: Kind) -> bool {
    let json = json.filter(|json| *json != "null");
    // `None` for a missing field, or for JSON that serde cannot represent.
    let value: Option<Value> = json.and_then(|json| serde_json::from_str(json).ok());
    let number = value.as_ref().and_then(integer);
    match kind {
        Text => {
            let read = fields.text(name, |text| Ok(text.to_owned()));
            assert_eq!(read.as_deref(), value.as_ref().and_then(Value::as_str));
            read.is_some()
        }
        OptionalText => {
            let read = fields.optional_text(name);
            assert_eq!(read, value.as_ref().and_then(Value::as_str).unwrap_or_default());
            json.is_none() || value.is_some_and(|value| value.is_string())
        }
        Points => {
            let read = fields.points(name);
            let is_number = json.is_some_and(|json| {
                json.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
            });
            assert_eq!(
                read,
                is_number.then(|| number.and_then(|number| number.try_into().ok()).unwrap_or(u64::MAX))
            );
            is_number
        }
        OptionalNumber => {
            let read = fields.optional_number(name);
            assert_eq!(read, number.and_then(|number| number.try_into().ok()));
            read.is_some() || json.is_none()
        }
        Signed => {
            let read = fields.signed_number(name);
            assert_eq!(read, number.and_then(|number| number.try_into().ok()));
            read.is_some()
        }
        OptionalObject => {
            let read = fields.optional_object(name);
            assert_eq!(read.as_ref(), value.as_ref().and_then(Value::as_object));
            json.is_none() || value.is_some_and(|value| value.is_object())
        }
    }
}

pub fn fields(data: &[u8]) {
    let mut input = Input(data);
    let body = BODIES[usize::from(input.byte()) % BODIES.len()];
    let text = input.rest();
    let expected: Option<HashMap<String, &RawValue>> = serde_json::from_slice(text).ok();
    let (Ok(mut fields), Some(expected)) = (Fields::read(text), &expected) else {
        return assert!(Fields::read(text).is_err() && expected.is_none());
    };
    let mut is_valid = |(name, kind): &(&str, Kind)| {
        check_field(&mut fields, expected.get(*name).map(|json| json.get()), name, *kind)
    };
    let valid = body.iter().filter(|field| is_valid(field)).count();
    let unknown = expected.keys().filter(|key| !body.iter().any(|(name, _)| name == key)).count();
    let invalid = body.len() - valid + unknown;
    match fields.finish() {
        Ok(()) => assert_eq!(invalid, 0),
        Err(Refusal::Validation(problems)) => {
            assert_eq!(problems.len(), invalid);
            // Error messages truncate the client's input.
            assert!(problems.iter().all(|problem| problem.field.len() < 300 && problem.problem.len() < 300));
        }
        Err(refusal) => panic!("{refusal:?}"),
    }
}

/// True if two values are equal. Spellings of an integer are equal.
fn is_equal(first: &Value, second: &Value) -> bool {
    match (first, second) {
        (Value::Number(_), Value::Number(_)) => {
            let exact = |value: &Value| match value.as_f64() {
                Some(float) if value.is_f64() && float.fract() == 0.0 && float.abs() < 1.9e19 => {
                    Some((float as i128).to_string())
                }
                _ => Some(value.to_string()),
            };
            exact(first) == exact(second)
        }
        (Value::Array(first), Value::Array(second)) => {
            first.len() == second.len()
                && first.iter().zip(second).all(|(first, second)| is_equal(first, second))
        }
        (Value::Object(first), Value::Object(second)) => {
            let has_equal =
                |(name, value): (&String, &Value)| second.get(name).is_some_and(|it| is_equal(value, it));
            first.len() == second.len() && first.iter().all(has_equal)
        }
        _ => first == second,
    }
}

/// The same value with another order of fields and another spelling of integers.
fn respell(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().rev().map(|(name, value)| (name.clone(), respell(value))).collect()
        }
        Value::Array(values) => values.iter().map(respell).collect(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) if integer.unsigned_abs() < 1 << 53 => Value::from(integer as f64),
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}

pub fn digest(data: &[u8]) {
    let (first, second) = split(data, b'\n');
    let read = |json: &[u8]| serde_json::from_slice::<Value>(json).ok();
    let digest = |body: &[u8]| request_digest("update", body);
    let are_equal = match (read(first), read(second)) {
        (Some(first), Some(second)) => is_equal(&first, &second),
        (None, None) => first == second,
        _ => false,
    };
    assert_eq!(digest(first) == digest(second), are_equal);
    if let Some(value) = read(second) {
        let respelled = serde_json::to_string_pretty(&respell(&value)).unwrap();
        assert_eq!(digest(respelled.as_bytes()), digest(second), "{respelled}");
        assert_ne!(request_digest("scores", second), digest(second), "another endpoint");
    }
    if let Ok(value) = HeaderValue::from_bytes(first) {
        let headers = HeaderMap::from_iter([("idempotency-key".parse().unwrap(), value)]);
        let is_valid = (1..=64).contains(&first.len()) && first.iter().all(u8::is_ascii_graphic);
        assert_eq!(key(&headers).is_ok(), is_valid);
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
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
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
    let names = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split('=').next().unwrap());
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
    let is_trusted = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    };
    let mut address = || match input.byte() % 4 {
        0 => IpAddr::from([10, 0, 0, input.byte()]),
        1 => IpAddr::from([192, 0, 2, input.byte()]),
        2 => IpAddr::from([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, input.byte()]),
        _ => IpAddr::from([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, input.byte()]),
    };
    let (peer, first, last) = (address(), address(), address());
    let mut headers = HeaderMap::new();
    let lines = input.rest();
    for line in lines.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append("x-forwarded-for", value);
        }
    }
    assert!(
        is_trusted(&peer) || client(peer, &headers, &trusted) == peer,
        "the header of an untrusted peer is ignored"
    );
    // The client is the last untrusted address.
    headers.append("x-forwarded-for", HeaderValue::from_str(&format!("{first}, {last}")).unwrap());
    let found = client(peer, &headers, &trusted);
    if let Some(expected) = [peer, last, first].into_iter().find(|address| !is_trusted(address)) {
        assert_eq!(found, expected);
    }
}
