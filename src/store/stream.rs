//! What Redis says of a stream. An entry of the outbox has 18 fields; to keep them in a map of texts cost the ledger more than to write
//! the entry, so they stay where they lie.

use redis::{FromRedisValue, ParsingError, Value};

/// An entry of a stream.
pub struct Item {
    /// Its place.
    pub id: String,
    /// Names and values in turn.
    fields: Vec<Value>,
}

/// Entries of one stream, in their order.
pub struct Items(pub Vec<Item>);

impl Item {
    fn of(value: Value) -> Option<Self> {
        let Value::Array(mut halves) = value else { return None };
        let (Value::Array(fields), Value::BulkString(id)) = (halves.pop()?, halves.pop()?) else {
            return None;
        };
        Some(Self { id: String::from_utf8(id).ok()?, fields })
    }

    /// All that is in it, as it lies there: of one of ours its text, of any other its names and values with blanks between.
    pub fn raw(&self) -> Vec<u8> {
        let bytes = |it: &Value| match it {
            Value::BulkString(bytes) => bytes.clone(),
            other => format!("{other:?}").into_bytes(),
        };
        match self.fields.as_slice() {
            [Value::BulkString(name), text] if name == b"entry" => bytes(text),
            fields => fields.iter().map(bytes).collect::<Vec<_>>().join(&b' '),
        }
    }

    /// A field as it is; `None` if there is no such field, or it is no text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let is_it = |it: &&[Value]| matches!(&it[0], Value::BulkString(known) if known == name.as_bytes());
        match self.fields.chunks_exact(2).find(is_it)? {
            [_, Value::BulkString(text)] => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }
}

impl FromRedisValue for Items {
    /// Reads what `XRANGE` says, and `XREAD` of one stream, which is nothing if nothing came in time.
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let wrong = || ParsingError::from("no entries of a stream");
        let items = match value {
            Value::Nil => Vec::new(),
            Value::Map(mut streams) => match streams.pop() {
                Some((_, Value::Array(items))) => items,
                _ => return Err(wrong()),
            },
            Value::Array(mut items) => match items.first_mut() {
                // Of a stream its name and its entries, of which there may be none; of an entry its place and its fields, of which there
                // is always one, and the first is a text.
                Some(Value::Array(halves)) if names_a_stream(halves) => match halves.pop() {
                    Some(Value::Array(items)) => items,
                    _ => return Err(wrong()),
                },
                _ => items,
            },
            _ => return Err(wrong()),
        };
        items.into_iter().map(Item::of).collect::<Option<_>>().map(Self).ok_or_else(wrong)
    }
}

fn names_a_stream(halves: &[Value]) -> bool {
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
    fn the_entries_of_every_answer_are_read() {
        let entries = || Value::Array(vec![entry("1-0"), entry("2-0")]);
        let by_name = Value::Map(vec![(text("outbox"), entries())]);
        for answer in [entries(), Value::Array(vec![Value::Array(vec![text("outbox"), entries()])]), by_name]
        {
            let Items(items) = Items::from_redis_value(answer).unwrap();
            assert_eq!(items.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["1-0", "2-0"]);
            assert_eq!(items[1].text("at"), Some("2-0"), "in whatever order they are asked for");
            assert_eq!(items[1].text("kind"), Some("issued"));
            assert_eq!(items[1].text("trace"), None);
        }
        let none_of = |name| Value::Array(vec![Value::Array(vec![text(name), Value::Array(Vec::new())])]);
        let none_by_name = Value::Map(vec![(text("outbox"), Value::Array(Vec::new()))]);
        for empty in [Value::Nil, Value::Array(Vec::new()), none_of("outbox"), none_of("1-0"), none_by_name] {
            assert!(Items::from_redis_value(empty).unwrap().0.is_empty());
        }
        for wrong in [Value::Int(1), text("x"), Value::Array(vec![text("1-0")])] {
            assert!(Items::from_redis_value(wrong).is_err());
        }
    }
}
