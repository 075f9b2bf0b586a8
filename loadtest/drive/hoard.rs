//! Tokens that one run is given and a later one redeems, so that each of the two requests is measured alone.

use std::collections::VecDeque;

#[derive(Default)]
pub struct Hoard {
    /// Whether tokens are put away.
    pub fills: bool,
    bytes: Vec<u8>,
    /// The user of each token, and where its bytes are.
    spans: VecDeque<(usize, usize, usize)>,
    taken: (usize, usize),
}

impl Hoard {
    pub fn count(&self) -> usize {
        self.spans.len()
    }

    /// Keeps a token, if that is wanted.
    pub fn put(&mut self, user: usize, token: &[u8]) {
        if self.fills {
            self.spans.push_back((user, self.bytes.len(), self.bytes.len() + token.len()));
            self.bytes.extend_from_slice(token);
        }
    }

    /// Takes the next token out, and says whose it is. None: there is none, or they are still collected.
    pub fn take(&mut self) -> Option<usize> {
        if self.fills {
            return None;
        }
        let (user, from, to) = self.spans.pop_front()?;
        self.taken = (from, to);
        Some(user)
    }

    /// The token that was taken last.
    pub fn token(&self) -> &[u8] {
        &self.bytes[self.taken.0..self.taken.1]
    }
}
