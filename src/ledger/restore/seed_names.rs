//! Usernames of seeded users. They look like names that players choose.

const FIRST: [&str; 32] = [
    "Amber", "Bold", "Brave", "Bright", "Calm", "Clever", "Cosmic", "Daring", "Eager", "Frosty", "Gentle",
    "Golden", "Happy", "Hidden", "Jolly", "Keen", "Lucky", "Lunar", "Merry", "Mighty", "Misty", "Noble",
    "Proud", "Swift", "Quiet", "Rapid", "Rusty", "Shiny", "Silent", "Solar", "Sunny", "Witty",
];
const SECOND: [&str; 32] = [
    "Turtle", "Falcon", "Osprey", "Ferret", "Walrus", "Condor", "Dragon", "Panda", "Badger", "Heron",
    "Eagle", "Jaguar", "Parrot", "Puffin", "Owl", "Hawk", "Raven", "Tiger", "Crane", "Koala", "Salmon",
    "Moose", "Fox", "Cobra", "Lynx", "Bison", "Bear", "Yak", "Gecko", "Comet", "Wolf", "Otter",
];

/// The name at `index` in a series without duplicates. Neighbors differ in both words. Once all 1024 pairs are used, names get a number.
pub fn seed_name(index: u64) -> String {
    let (first, second) = (FIRST.len() as u64, SECOND.len() as u64);
    let (round, pair) = (index / (first * second), index % (first * second));
    let (head, tail) = (FIRST[(pair % first) as usize], SECOND[((pair / first + pair) % second) as usize]);
    if round == 0 { format!("{head}{tail}") } else { format!("{head}{tail}{round}") }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::account::Username;

    #[test]
    fn names_are_short_and_distinct() {
        let mut all = HashSet::new();
        for index in 0..200_000 {
            let name = seed_name(index);
            assert!(name.len() <= 15 && Username::parse(&name).is_ok(), "{name}");
            assert!(all.insert(name.to_lowercase()), "{name} is a duplicate");
        }
        // The first 9 characters tell any two of them apart on a board.
        let pairs: HashSet<String> =
            (0..1024).map(|index| seed_name(index).chars().take(9).collect()).collect();
        assert_eq!(pairs.len(), 1024);
        for index in 0..10_000 {
            let (name, next) = (seed_name(index), seed_name(index + 1));
            assert_ne!(name[..3], next[..3], "{name} {next}");
        }
    }
}
