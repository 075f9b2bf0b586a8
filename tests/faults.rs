//! A short run of the fault suite: every kind of fault once, several in each round.

use std::path::Path;
use std::process::Command;

#[tokio::test]
async fn what_was_acknowledged_survives_every_kind_of_fault() {
    let suite = Path::new(env!("CARGO_BIN_EXE_laurel")).parent().unwrap().join("examples/faults");
    let mut command = Command::new(suite);
    // It has its own stores, and its nodes inherit the environment.
    command.args(["--rounds", "5", "--faults", "4", "--users", "12"]).env_remove("LAUREL_TEST_SHARDS");
    let run = move || command.output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let (said, complaints) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complaints}");
    assert!(said.contains("FullDisk") && said.contains("OldRedis"), "{said}");
}
