//! Merges the replies of several servers.

use redis::Value;

use super::routing::without_prefix;

/// Merges replies: adds integers, concatenates arrays and INFO texts, takes the greatest of numeric texts, else the first reply that is not
/// nil.
pub fn merge(words: &[&str], replies: Vec<Value>) -> Value {
    if words[..2.min(words.len())] == ["PUBSUB", "NUMSUB"] {
        return merge_subscribers(replies);
    }
    let merge_two = |merged: Value, next: Value| match (merged, next) {
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
        (merged, _) => merged,
    };
    replies.into_iter().reduce(merge_two).unwrap()
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Merges arrays of channels and their numbers of subscribers, in turn.
fn merge_subscribers(replies: Vec<Value>) -> Value {
    let merge_two = |merged: Value, next: Value| {
        let (Value::Array(a), Value::Array(b)) = (merged, next) else { panic!("not a list of channels") };
        Value::Array(a.into_iter().zip(b).map(|(a, b)| merge(&[], vec![a, b])).collect())
    };
    replies.into_iter().reduce(merge_two).unwrap()
}

/// The reply of KEYS, without prefixes.
pub fn without_prefixes(keys: Vec<String>) -> Value {
    Value::Array(keys.iter().map(|key| Value::BulkString(without_prefix(key).as_bytes().to_vec())).collect())
}
