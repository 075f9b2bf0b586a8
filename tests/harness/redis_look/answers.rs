//! One answer of several.

use redis::Value;

use super::place::bare;

/// Numbers are added, lists and what INFO says put one after another; of other texts that are numbers the greatest counts, of anything
/// else the first that is something.
pub fn merged(words: &[&str], answers: Vec<Value>) -> Value {
    if words[..2.min(words.len())] == ["PUBSUB", "NUMSUB"] {
        return subscribers(answers);
    }
    let sum = |so_far: Value, next: Value| match (so_far, next) {
        (Value::Int(a), Value::Int(b)) => Value::Int(a + b),
        (Value::Array(mut a), Value::Array(b)) => {
            a.extend(b);
            Value::Array(a)
        }
        (Value::BulkString(a), Value::BulkString(b)) if words.first() == Some(&"INFO") => {
            Value::BulkString([a, b].concat())
        }
        (Value::BulkString(a), Value::BulkString(b)) => match (number(&a), number(&b)) {
            (Some(m), Some(n)) if n > m => Value::BulkString(b),
            _ => Value::BulkString(a),
        },
        (Value::Nil, next) => next,
        (so_far, _) => so_far,
    };
    answers.into_iter().reduce(sum).unwrap()
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Channels and their numbers in turn.
fn subscribers(answers: Vec<Value>) -> Value {
    let sum = |so_far: Value, next: Value| {
        let (Value::Array(a), Value::Array(b)) = (so_far, next) else { panic!("no list of channels") };
        Value::Array(a.into_iter().zip(b).map(|(a, b)| merged(&[], vec![a, b])).collect())
    };
    answers.into_iter().reduce(sum).unwrap()
}

pub fn bare_keys(keys: Vec<String>) -> Value {
    Value::Array(keys.iter().map(|it| Value::BulkString(bare(it).as_bytes().to_vec())).collect())
}
