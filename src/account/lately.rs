//! What this node has found out lately and what cannot become wrong, so that it is found out once and not at every request.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

use parking_lot::Mutex;

/// So many values, and as many again, are kept.
const GENERATION: usize = 50_000;

/// Two generations: when the young one is full it becomes the old one, and what was old is forgotten. What is asked for is young
/// again, so that players who are here stay.
struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

/// Values by their keys. A login with what it says is about 600 bytes, so 60 MB at most.
pub struct Lately<K, V> {
    generations: Mutex<Generations<K, V>>,
}

impl<K, V> Default for Lately<K, V> {
    fn default() -> Self {
        Self { generations: Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() }) }
    }
}

impl<K: Eq + Hash, V: Clone> Lately<K, V> {
    /// What was found lately.
    pub fn find<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let mut generations = self.generations.lock();
        if let Some(found) = generations.young.get(key) {
            return Some(found.clone());
        }
        let (key, found) = generations.old.remove_entry(key)?;
        generations.put(key, found.clone());
        Some(found)
    }

    /// Remembers it.
    pub fn keep(&self, key: K, value: V) {
        self.generations.lock().put(key, value);
    }
}

impl<K: Eq + Hash, V> Generations<K, V> {
    fn put(&mut self, key: K, value: V) {
        if self.young.len() >= GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_grows_beyond_two_generations_and_keeps_who_is_here() {
        let known: Lately<String, usize> = Lately::default();
        known.keep("here".into(), 1);
        known.keep("gone".into(), 2);
        for number in 0..5 * GENERATION {
            known.keep(number.to_string(), number);
            if number % 1000 == 0 {
                assert_eq!(known.find("here"), Some(1));
            }
        }
        let generations = known.generations.lock();
        assert!(generations.young.len() <= GENERATION && generations.old.len() <= GENERATION);
        drop(generations);
        assert_eq!(known.find("gone"), None);
        assert_eq!(known.find("0"), None);
    }
}
