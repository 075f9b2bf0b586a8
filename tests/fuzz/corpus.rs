//! Runs every fuzz driver on its corpus (`fuzz/corpus`), without libFuzzer.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use data_encoding::BASE64;

#[path = "../../fuzz/drivers/mod.rs"]
mod drivers;

#[test]
fn every_corpus_input_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, driver) in drivers::ALL {
        let corpus = std::fs::read_to_string(folder.join(format!("{name}.base64"))).unwrap();
        assert!(corpus.lines().count() > 0, "{name}");
        for line in corpus.lines() {
            let input = BASE64.decode(line.as_bytes()).unwrap();
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| driver(&input))) {
                eprintln!("{name}: {}", input.escape_ascii());
                resume_unwind(panic);
            }
        }
    }
    let files = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(files, drivers::ALL.len(), "every corpus has a driver");
}
