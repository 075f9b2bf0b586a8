//! Entries of a Redis stream. The fields stay in the reply: copying them to a map cost the ledger more than writing the entry.

use redis::{FromRedisValue, ParsingError, Value};

/// An entry of a stream.
pub struct Item {
    /// The stream id.
    pub id: String,
    /// Alternating names and values.
    fields: Vec<Value>,
}

/// Entries of one stream, in order.
pub struct Items(pub Vec<Item>);

impl Item {
    fn from_value(value: Value) -> Option<Self> {
        let Value::Array(mut halves) = value else { return None };
        let (Value::Array(fields), Value::BulkString(id)) = (halves.pop()?, halves.pop()?) else {
            return None;
        };
        Some(Self { id: String::from_utf8(id).ok()?, fields })
    }

    /// The content as bytes: the text of an outbox entry, or the names and values of any other entry, separated by spaces.
    pub fn raw(&self) -> Vec<u8> {
        let bytes = |value: &Value| match value {
            Value::BulkString(bytes) => bytes.clone(),
            other => format!("{other:?}").into_bytes(),
        };
        match self.fields.as_slice() {
            [Value::BulkString(name), text] if name == b"entry" => bytes(text),
            fields => fields.iter().map(bytes).collect::<Vec<_>>().join(&b' '),
        }
    }

    /// The value of a field; `None` if it is missing or not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        let has_name =
            |pair: &&[Value]| matches!(&pair[0], Value::BulkString(field) if field == name.as_bytes());
        match self.fields.chunks_exact(2).find(has_name)? {
            [_, Value::BulkString(text)] => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }
}

impl FromRedisValue for Items {
    /// Parses the reply of `XRANGE`, or of `XREAD` of one stream, which is nil if no entry came in time.
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let invalid = || ParsingError::from("not the entries of a stream");
        let items = match value {
            Value::Nil => Vec::new(),
            Value::Map(mut streams) => match streams.pop() {
                Some((_, Value::Array(items))) => items,
                _ => return Err(invalid()),
            },
            Value::Array(mut items) => match items.first_mut() {
                // XREAD: a stream has a name and an array of entries. XRANGE: an entry has an id and at least one field, which is a text.
                Some(Value::Array(halves)) if is_stream(halves) => match halves.pop() {
                    Some(Value::Array(items)) => items,
                    _ => return Err(invalid()),
                },
                _ => items,
            },
            _ => return Err(invalid()),
        };
        items.into_iter().map(Item::from_value).collect::<Option<_>>().map(Self).ok_or_else(invalid)
    }
}

fn is_stream(halves: &[Value]) -> bool {
    matches!(halves, [_, Value::Array(items)] if matches!(items.first(), None | Some(Value::Array(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn entry(id: &str) -> Value {
        Value::Array(vec![text(id), Value::Array(vec![text("kind"), text("issued"), text("at"), text(id)])])
    }

    #[test]
    fn parses_every_form_of_reply() {
        let entries = || Value::Array(vec![entry("1-0"), entry("2-0")]);
        let by_name = Value::Map(vec![(text("outbox"), entries())]);
        for answer in [entries(), Value::Array(vec![Value::Array(vec![text("outbox"), entries()])]), by_name]
        {
            let Items(items) = Items::from_redis_value(answer).unwrap();
            assert_eq!(items.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["1-0", "2-0"]);
            assert_eq!(items[1].text("at"), Some("2-0"), "in any order");
            assert_eq!(items[1].text("kind"), Some("issued"));
            assert_eq!(items[1].text("trace"), None);
        }
        let none_of = |name| Value::Array(vec![Value::Array(vec![text(name), Value::Array(Vec::new())])]);
        let none_by_name = Value::Map(vec![(text("outbox"), Value::Array(Vec::new()))]);
        for empty in [Value::Nil, Value::Array(Vec::new()), none_of("outbox"), none_of("1-0"), none_by_name] {
            assert!(Items::from_redis_value(empty).unwrap().0.is_empty());
        }
        for invalid in [Value::Int(1), text("x"), Value::Array(vec![text("1-0")])] {
            assert!(Items::from_redis_value(invalid).is_err());
        }
    }
}
