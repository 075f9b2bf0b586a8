//! Names of seeded users, as players might choose them.

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

/// The name at a place in a series without repetition. Neighbours differ in both words; a number comes in when all pairs are used up.
pub fn seed_name(place: u64) -> String {
    let (first, second) = (FIRST.len() as u64, SECOND.len() as u64);
    let (round, pair) = (place / (first * second), place % (first * second));
    let (head, tail) = (FIRST[(pair % first) as usize], SECOND[((pair / first + pair) % second) as usize]);
    if round == 0 { format!("{head}{tail}") } else { format!("{head}{tail}{round}") }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::account::Username;

    #[test]
    fn names_are_short_distinct_and_those_of_players() {
        let mut all = HashSet::new();
        for place in 0..200_000 {
            let name = seed_name(place);
            assert!(name.len() <= 15 && Username::parse(&name).is_ok(), "{name}");
            assert!(all.insert(name.to_lowercase()), "{name} comes twice");
        }
        // No matter which of them stand side by side on a board, their beginnings tell them apart.
        let pairs: HashSet<String> = (0..1024).map(|it| seed_name(it).chars().take(9).collect()).collect();
        assert_eq!(pairs.len(), 1024);
        for place in 0..10_000 {
            let (one, other) = (seed_name(place), seed_name(place + 1));
            assert_ne!(one[..3], other[..3], "{one} {other}");
        }
    }
}
