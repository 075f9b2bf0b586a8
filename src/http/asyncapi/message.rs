//! One message, as a channel carries it.

use serde_json::{Value, json};

/// Where in the words on the wire the payload stands.
const PAYLOAD: &str = "{payload}";

/// A message.
pub struct Message {
    /// Its name in the document, unique in its channel.
    pub key: &'static str,
    about: Value,
}

impl Message {
    /// A message of this text on the wire, where `{payload}` stands for the payload.
    pub fn new(key: &'static str, name: &str, wire: &str, summary: &str) -> Self {
        Self { key, about: json!({ "name": name, "summary": summary, "x-wire": wire }) }
    }

    /// What it says, with one as it can be.
    pub fn payload(mut self, schema: Value, example: Value) -> Self {
        debug_assert!(self.about["x-wire"].as_str().is_some_and(|it| it.contains(PAYLOAD)));
        self.about["payload"] = schema;
        self.about["examples"] = json!([{ "payload": example }]);
        self
    }

    /// Its payload is no JSON.
    pub fn plain_text(mut self) -> Self {
        self.about["contentType"] = "text/plain".into();
        self
    }

    /// More than the summary says.
    pub fn about(mut self, about: &str) -> Self {
        self.about["description"] = about.into();
        self
    }

    /// As it stands in the document.
    pub fn build(&self) -> Value {
        self.about.clone()
    }
}
