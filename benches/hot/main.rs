//! Times of the hot functions of an award, of a changed board and of the ledger: `make bench-micro`. The load of the machine is in the slower
//! samples, so compare the fastest ones. `make instructions` shows their share of an award.

mod award;
mod board;
mod ledger;

fn main() {
    divan::main();
}

/// The id of a test user.
fn user(place: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + place)
}

/// The default settings, with a secret.
fn config() -> laurel::config::Config {
    let secret = ("JWT_SECRET".into(), "a secret of a benchmark, and of nothing else".into());
    laurel::config::load([secret]).expect("the defaults are complete")
}

/// A RESP array of bulk strings.
fn bulk_strings(words: &[impl AsRef<str>]) -> String {
    let bulk_string = |word: &str| format!("${}\r\n{word}\r\n", word.len());
    let words: Vec<String> = words.iter().map(|word| bulk_string(word.as_ref())).collect();
    format!("*{}\r\n{}", words.len(), words.concat())
}
