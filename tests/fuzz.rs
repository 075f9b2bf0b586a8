//! Whatever the outside sends: arbitrary bytes, and valid inputs with changes in them, at every parser that meets it. Nothing
//! panics, nothing that was changed is believed, and what is refused changes nothing. `LAUREL_FUZZ_CASES` sets how many inputs
//! each parser gets; the parsers inside `src/` that no test can reach from here have the same beside them.

mod bodies;
mod change;
mod files;
mod kept;
mod numbers;
mod packets;
mod sockets;
mod tokens;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseResult, TestError, TestRunner};
use tokio::runtime::{Builder, Runtime};

const CASES: u32 = 32;
/// So long a failing input is made smaller.
const SHRINK_MS: u32 = 30_000;

/// Runs a property over so many times the usual number of inputs.
fn fuzz<S: Strategy>(times: f64, inputs: S, property: impl Fn(S::Value) -> TestCaseResult) {
    let usual = std::env::var("LAUREL_FUZZ_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(CASES);
    let cases = (f64::from(usual) * times) as u32;
    let config = Config { cases, failure_persistence: None, max_shrink_time: SHRINK_MS, ..Config::default() };
    match TestRunner::new(config).run(&inputs, property) {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => panic!("{why}\n{:.4000}", format!("{input:?}")),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// Properties over a node ask it from here.
fn runtime() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}
