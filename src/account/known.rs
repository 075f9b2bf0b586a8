//! The outside users that this node has seen lately, so that Postgres is asked about each of them once and not at every
//! request. Nothing in it can be wrong: a subject's user, number and name never change.

use std::collections::HashMap;
use std::mem;

use parking_lot::Mutex;
use uuid::Uuid;

/// So many users, and as many again, are kept; about 20 MB.
const GENERATION: usize = 50_000;

/// Who somebody is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownUser {
    /// The user's UUID.
    pub user: Uuid,
    /// The user's serial number.
    pub number: i64,
    /// The name that boards show.
    pub username: String,
}

/// Issuer and subject.
type Key = (String, String);

/// Two generations: when the young one is full it becomes the old one, and what was old is forgotten. Whoever is asked for
/// is young again, so that players who are here stay.
#[derive(Default)]
struct Generations {
    young: HashMap<Key, KnownUser>,
    old: HashMap<Key, KnownUser>,
}

/// The users by issuer and subject.
#[derive(Default)]
pub struct KnownUsers {
    generations: Mutex<Generations>,
}

impl KnownUsers {
    /// Somebody who was here lately.
    pub fn find(&self, issuer: &str, subject: &str) -> Option<KnownUser> {
        let key = (issuer.to_owned(), subject.to_owned());
        let mut generations = self.generations.lock();
        if let Some(found) = generations.young.get(&key) {
            return Some(found.clone());
        }
        let found = generations.old.remove(&key)?;
        generations.put(key, found.clone());
        Some(found)
    }

    /// Remembers somebody.
    pub fn keep(&self, issuer: &str, subject: &str, user: KnownUser) {
        self.generations.lock().put((issuer.to_owned(), subject.to_owned()), user);
    }
}

impl Generations {
    fn put(&mut self, key: Key, user: KnownUser) {
        if self.young.len() >= GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_grows_beyond_two_generations_and_keeps_who_is_here() {
        let known = KnownUsers::default();
        let user = |number| KnownUser { user: Uuid::from_u128(7), number, username: "ada".into() };
        known.keep("a", "here", user(1));
        known.keep("b", "here", user(2));
        for number in 0..5 * GENERATION as i64 {
            known.keep("a", &number.to_string(), user(number));
            if number % 1000 == 0 {
                assert_eq!(known.find("a", "here"), Some(user(1)));
            }
        }
        let generations = known.generations.lock();
        assert!(generations.young.len() <= GENERATION && generations.old.len() <= GENERATION);
        drop(generations);
        assert_eq!(known.find("b", "here"), None);
        assert_eq!(known.find("a", "0"), None);
    }
}
