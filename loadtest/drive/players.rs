//! The players of a run: their logins and ids, and tokens that one run collects for the next.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memmem;

/// The length of a user's UUID.
const ID: usize = 36;

pub struct Players {
    /// One login a line.
    text: String,
    /// Each login's place in the text, and its user's UUID.
    logins: Vec<((usize, usize), [u8; ID])>,
}

impl Players {
    /// Reads a file that `laurel seed --tokens` wrote.
    pub fn read(file: &Path) -> Self {
        let text =
            std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut logins = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let start = line.as_ptr() as usize - text.as_ptr() as usize;
            logins.push(((start, start + line.len()), user_id(line)));
        }
        assert!(!logins.is_empty(), "{} has no login", file.display());
        Self { text, logins }
    }

    pub fn count(&self) -> usize {
        self.logins.len()
    }

    pub fn login(&self, place: usize) -> &[u8] {
        let (start, end) = self.logins[place].0;
        &self.text.as_bytes()[start..end]
    }

    pub fn id(&self, place: usize) -> &[u8] {
        &self.logins[place].1
    }

    /// Moves the highest player of this board who has a login here to the end. Returns false if there is none.
    pub fn move_top_player_last(&mut self, board: &[u8]) -> bool {
        let on_board = self.logins.iter().enumerate().filter_map(|(place, (_, id))| {
            let at = memmem::find(board, id)?;
            Some((Reverse(at), place))
        });
        let Some((_, place)) = on_board.max() else { return false };
        let last = self.logins.len() - 1;
        self.logins.swap(place, last);
        true
    }

    /// Lets the next run begin with the player at this place.
    pub fn rotate(&mut self, place: usize) {
        let count = self.count();
        self.logins.rotate_left(place % count);
    }
}

/// The claim `sub` of a login.
fn user_id(login: &str) -> [u8; ID] {
    let claims = login.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
    let claims = claims.unwrap_or_else(|| panic!("not a login: {login}"));
    let start = memmem::find(&claims, b"\"sub\":\"").expect("a login names its user") + 7;
    *claims[start..].first_chunk().expect("a user's id is a UUID")
}

/// Tokens that one run gets and a later one redeems, so that `init` and `finalize` are measured separately.
#[derive(Default)]
pub struct SavedTokens {
    /// Whether tokens are saved; otherwise they are redeemed.
    pub is_saving: bool,
    bytes: Vec<u8>,
    /// The user of each token, and the place of its bytes.
    tokens: VecDeque<(usize, (usize, usize))>,
    taken: (usize, usize),
}

impl SavedTokens {
    pub fn count(&self) -> usize {
        self.tokens.len()
    }

    pub fn save(&mut self, user: usize, token: &[u8]) {
        if self.is_saving {
            self.tokens.push_back((user, (self.bytes.len(), self.bytes.len() + token.len())));
            self.bytes.extend_from_slice(token);
        }
    }

    /// Takes the next token and returns its user. None: there is none, or tokens are still saved.
    pub fn take(&mut self) -> Option<usize> {
        if self.is_saving {
            return None;
        }
        let (user, span) = self.tokens.pop_front()?;
        self.taken = span;
        Some(user)
    }

    /// The token that was taken last.
    pub fn taken(&self) -> &[u8] {
        &self.bytes[self.taken.0..self.taken.1]
    }
}
