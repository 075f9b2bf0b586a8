//! Property tests of every parser of external input, with arbitrary bytes and with changed valid inputs. A parser must not panic, a
//! changed token must be refused, and a refused request must change nothing. `LAUREL_FUZZ_CASES` is the number of inputs per parser.
//! The property tests of private parsers are in `src/`.

mod bodies;
mod change;
mod corpus;
mod files;
mod numbers;
mod packets;
mod sockets;
mod tokens;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseResult, TestError, TestRunner};
use tokio::runtime::{Builder, Runtime};

const CASES: u32 = 32;
/// Time limit for shrinking a failing input.
const SHRINK_MS: u32 = 30_000;

/// Runs a property on the usual number of inputs times `factor`.
fn fuzz<S: Strategy>(factor: f64, inputs: S, property: impl Fn(S::Value) -> TestCaseResult) {
    let usual = std::env::var("LAUREL_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let cases = (f64::from(usual) * factor) as u32;
    let config = Config { cases, failure_persistence: None, max_shrink_time: SHRINK_MS, ..Config::default() };
    match TestRunner::new(config).run(&inputs, property) {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => panic!("{why}\n{:.4000}", format!("{input:?}")),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// The runtime for properties that need a node.
fn runtime() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}
