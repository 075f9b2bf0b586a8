//! The document in other programs: a linter, and generators of clients, which are compiled and run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::deploy::tools::{output_of, tool};
use crate::harness::{TestStores, assert_ledger_matches};

/// Accepted findings of the linter: rule, place and reason.
const ACCEPTED: [(&str, &str, &str); 9] = [
    ("no-path-trailing-slash", "~1socket.io~1", "Socket.IO's clients request this path"),
    ("operation-2xx-response", "~1api~1v1~1ws/get/responses", "a 101 opens a WebSocket"),
    ("operation-4xx-response", "~1healthz/get/responses", ALWAYS_VALID),
    ("operation-4xx-response", "~1readyz/get/responses", ALWAYS_VALID),
    ("operation-4xx-response", "~1readyz~1awards/get/responses", ALWAYS_VALID),
    ("operation-4xx-response", "~1metrics/get/responses", ALWAYS_VALID),
    ("operation-4xx-response", "~1.well-known~1laurel-receipts.json/get/responses", ALWAYS_VALID),
    ("operation-4xx-response", "~1openapi.json/get/responses", ALWAYS_VALID),
    ("operation-4xx-response", "~1asyncapi.json/get/responses", ALWAYS_VALID),
];
const ALWAYS_VALID: &str = "no request is invalid";

fn repository_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Writes the document into a folder. Returns its path.
fn write_document(folder: &Path) -> PathBuf {
    let path = folder.join("openapi.json");
    fs::write(&path, laurel::http::openapi().to_string()).unwrap();
    path
}

#[test]
fn the_linter_reports_only_accepted_findings() {
    let folder = tempfile::tempdir().unwrap();
    let mut linter = Command::new(repository_path("tests/http/openapi/node_modules/.bin/redocly"));
    linter
        .args(["lint", "--extends=recommended-strict", "--format=json", "--max-problems=1000"])
        .arg(write_document(folder.path()))
        .envs([("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true"), ("REDOCLY_TELEMETRY", "off")]);
    let output = linter.output().expect("make test-deps installs it");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = report["problems"].as_array().unwrap();
    let mut found: Vec<_> = problems
        .iter()
        .map(|problem| (&problem["ruleId"], &problem["location"][0]["pointer"]))
        .map(|(rule, place)| (rule.as_str().unwrap(), place.as_str().unwrap().trim_start_matches("#/paths/")))
        .collect();
    let mut accepted: Vec<_> = ACCEPTED.iter().map(|(rule, place, _)| (*rule, *place)).collect();
    found.sort_unstable();
    accepted.sort_unstable();
    assert_eq!(found, accepted, "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_clients_compile_and_play() {
    let stores = TestStores::new().await;
    let node = stores.start_process(&[]).await;
    let folder = stores.folder.path();
    let document = write_document(folder);
    let mut generator = tool("openapi-generator-cli");
    generator.args(["batch", "--fail-fast", "--"]);
    for name in ["typescript-fetch", "python"] {
        let config = folder.join(format!("generate-{name}.json"));
        let settings =
            json!({ "generatorName": name, "inputSpec": document, "outputDir": folder.join(name) });
        fs::write(&config, settings.to_string()).unwrap();
        generator.arg(config);
    }
    output_of(&mut generator);

    for name in laurel::http::openapi()["components"]["schemas"].as_object().unwrap().keys() {
        let model = folder.join("typescript-fetch/models").join(name).with_extension("ts");
        assert!(model.exists(), "the client has no type {name}");
    }
    fs::copy(repository_path("tests/http/openapi/play.ts"), folder.join("play.ts")).unwrap();
    let mut compiler = Command::new(repository_path("clients/typescript/node_modules/.bin/tsc"));
    compiler.current_dir(folder).args(["--strict", "--target", "es2022", "--module", "commonjs", "play.ts"]);
    output_of(&mut compiler);
    output_of(Command::new("node").arg(folder.join("play.js")).arg(&node.base));

    let script = repository_path("tests/http/openapi/play.py");
    output_of(tool("python").arg(script).arg(folder.join("python")).arg(document).arg(&node.base));
    assert_ledger_matches(&stores).await;
}
