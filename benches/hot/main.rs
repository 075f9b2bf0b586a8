//! What the hot functions of an award and of a board's way to its listeners take, each alone: `make bench-micro`. A busy machine is in
//! the slower samples, so compare the fastest ones. How often an award meets which is told by `make instructions`.

mod award;
mod board;
mod ledger;

fn main() {
    divan::main();
}

/// A user of a board.
fn user(place: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + place)
}

/// Settings as they ship, with a secret.
fn config() -> laurel::config::Config {
    let secret = ("JWT_SECRET".into(), "a secret of a benchmark, and of nothing else".into());
    laurel::config::load([secret]).expect("the defaults are whole")
}

/// The words of RESP of some texts.
fn bulk(words: &[impl AsRef<str>]) -> String {
    let word = |it: &str| format!("${}\r\n{it}\r\n", it.len());
    let words: Vec<String> = words.iter().map(|it| word(it.as_ref())).collect();
    format!("*{}\r\n{}", words.len(), words.concat())
}
