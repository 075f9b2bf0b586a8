//! The inputs that coverage-guided fuzzing has found (`fuzz/`), each at its driver: so they hold without its tools, too.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use data_encoding::BASE64;

#[path = "../../fuzz/drivers/mod.rs"]
mod drivers;

#[test]
fn what_was_found_before_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, driver) in drivers::ALL {
        let kept = std::fs::read_to_string(folder.join(format!("{name}.base64"))).unwrap();
        assert!(kept.lines().count() > 0, "{name}");
        for line in kept.lines() {
            let input = BASE64.decode(line.as_bytes()).unwrap();
            if let Err(why) = catch_unwind(AssertUnwindSafe(|| driver(&input))) {
                eprintln!("{name}: {}", input.escape_ascii());
                resume_unwind(why);
            }
        }
    }
    let files = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(files, drivers::ALL.len(), "a corpus without a driver");
}
