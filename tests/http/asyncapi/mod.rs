//! The AsyncAPI document: compared with AsyncAPI's schema and with the messages of a node.

mod messages;
mod recorder;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use self::recorder::Recorder;

#[test]
fn the_document_matches_the_asyncapi_schema() {
    let specs =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/node_modules/@asyncapi/specs/schemas");
    let schema = std::fs::read(specs.join("3.0.0-without-$id.json")).expect("make test installs it");
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let document = laurel::http::asyncapi();
    let problems: Vec<_> =
        validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    // The validator refuses a misspelled field.
    let mut wrong = document;
    wrong["channels"]["stream"]["adress"] = "/".into();
    assert!(!validator.is_valid(&wrong));
}

#[test]
fn every_reference_resolves() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = laurel::http::asyncapi();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 30);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

#[test]
fn every_message_has_a_valid_example() {
    let recorder = Recorder::new();
    for channel in recorder.channels() {
        let both = [recorder.messages(&channel, "send"), recorder.messages(&channel, "receive")];
        for message in both.into_iter().flatten() {
            let examples = message.examples();
            assert_eq!(!examples.is_empty(), message.has_payload(), "{channel}: {}", message.key);
            for example in examples {
                let problems = recorder.problems(&message, &example);
                assert!(problems.is_empty(), "{channel}: {}: {problems:#?}", message.key);
            }
        }
    }
}

#[test]
fn the_asyncapi_command_needs_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_laurel"));
    let output = command.arg("asyncapi").current_dir(folder.path()).output().unwrap();
    assert!(output.status.success());
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), laurel::http::asyncapi());
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "a store was created");
}
