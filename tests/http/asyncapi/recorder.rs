//! Compares messages on the wire with the document, and records which documented messages have been received.

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::http::openapi::driver::close;

pub struct Recorder {
    pub document: Value,
    /// Channel and message, or channel and close code.
    recorded: BTreeSet<(String, String)>,
}

/// A message of the document.
pub struct Message {
    pub key: String,
    definition: Value,
}

impl Recorder {
    pub fn new() -> Self {
        Self { document: laurel::http::asyncapi(), recorded: BTreeSet::new() }
    }

    pub fn channels(&self) -> Vec<String> {
        self.document["channels"].as_object().unwrap().keys().cloned().collect()
    }

    /// The messages of a channel that a node sends, or that it receives.
    pub fn messages(&self, channel: &str, action: &str) -> Vec<Message> {
        let operations = self.document["operations"].as_object().unwrap().values();
        let of_channel = format!("#/channels/{channel}");
        let matching = operations
            .filter(|operation| operation["action"] == action && operation["channel"]["$ref"] == of_channel);
        let references = matching.flat_map(|operation| operation["messages"].as_array().unwrap());
        let message = |message: &Value| {
            let reference = message["$ref"].as_str().unwrap();
            let definition = self.document.pointer(reference.trim_start_matches('#')).unwrap().clone();
            Message { key: reference.rsplit('/').next().unwrap().to_owned(), definition }
        };
        references.map(message).collect()
    }

    /// Checks a message of the node. Returns its name in the document and its payload.
    #[track_caller]
    pub fn sent(&mut self, channel: &str, text: &str) -> (String, Value) {
        self.find(channel, "send", text)
    }

    /// Checks a message of a client: tests send documented messages only.
    #[track_caller]
    pub fn received(&mut self, channel: &str, text: &str) {
        self.find(channel, "receive", text);
    }

    #[track_caller]
    fn find(&mut self, channel: &str, action: &str, text: &str) -> (String, Value) {
        let messages = self.messages(channel, action);
        let parse = |message: &Message| {
            message.read(text).map(|payload| (message.key.clone(), self.problems(message, &payload), payload))
        };
        let parsed: Vec<_> = messages.iter().filter_map(parse).collect();
        let mut valid: Vec<_> = parsed.iter().filter(|(_, problems, _)| problems.is_empty()).collect();
        assert_eq!(valid.len(), 1, "{channel}: {text:?} is not one of the messages: {parsed:#?}");
        let (key, _, payload) = valid.remove(0).clone();
        self.recorded.insert((channel.to_owned(), key.clone()));
        (key, payload)
    }

    /// Adds the records of another recorder.
    pub fn add(&mut self, other: Self) {
        self.recorded.extend(other.recorded);
    }

    /// Checks a close frame.
    #[track_caller]
    pub fn closed(&mut self, channel: &str, code: u16, reason: &str) {
        let closes = self.document["channels"][channel]["x-closes"].as_array().unwrap();
        let matches = |close: &&Value| {
            let documented = close["reason"].as_str().unwrap();
            close["code"] == code && without_digits(documented) == without_digits(reason)
        };
        let close =
            closes.iter().find(matches).unwrap_or_else(|| panic!("{code} {reason:?} is not documented"));
        self.recorded.insert((channel.to_owned(), close.to_string()));
    }

    /// Checks that every message of both directions and every close code has been recorded.
    pub fn assert_complete(&self) {
        let mut missing = Vec::new();
        for channel in self.channels() {
            let both = [self.messages(&channel, "send"), self.messages(&channel, "receive")];
            let keys = both.into_iter().flatten().map(|it| it.key);
            let closes = self.document["channels"][&channel]["x-closes"].as_array().unwrap();
            let closes = closes.iter().filter(|it| it["code"].is_number()).map(Value::to_string);
            let all = keys.chain(closes).map(|key| (channel.clone(), key));
            missing.extend(all.filter(|entry| !self.recorded.contains(entry)));
        }
        assert_eq!(missing, [], "never recorded");
    }

    /// The differences between a payload and its schema. Undocumented fields count.
    pub fn problems(&self, message: &Message, payload: &Value) -> Vec<String> {
        let schema = &message.definition["payload"];
        if schema.is_null() {
            return Vec::new();
        }
        self.validator(schema).iter_errors(payload).map(|it| it.to_string()).collect()
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut root = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "allOf": [schema],
            "components": self.document["components"],
        });
        close(&mut root);
        jsonschema::options().should_validate_formats(true).build(&root).unwrap()
    }
}

impl Message {
    pub fn examples(&self) -> Vec<Value> {
        self.definition["examples"].as_array().into_iter().flatten().map(|it| it["payload"].clone()).collect()
    }

    pub fn has_payload(&self) -> bool {
        self.definition["payload"].is_object()
    }

    /// The payload of a text, if the rest of the text matches this message.
    fn read(&self, text: &str) -> Option<Value> {
        let wire = self.definition["x-wire"].as_str().unwrap();
        let Some((before, after)) = wire.split_once("{payload}") else {
            return (wire == text).then_some(Value::Null);
        };
        let payload = text.strip_prefix(before)?.strip_suffix(after)?;
        if self.definition["contentType"] == "text/plain" {
            return Some(payload.into());
        }
        serde_json::from_str(payload).ok()
    }
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|it| !it.is_ascii_digit()).collect()
}
