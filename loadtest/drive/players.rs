//! Who plays: the logins of a file, and the user whom each names.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memmem;

/// The length of a user's UUID.
const ID: usize = 36;

pub struct Players {
    /// One login a line.
    text: String,
    /// Where in the text each login is.
    spans: Vec<(usize, usize)>,
    ids: Vec<[u8; ID]>,
}

impl Players {
    /// As `laurel seed --tokens` wrote them.
    pub fn read(file: &Path) -> Self {
        let text =
            std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let (mut spans, mut ids) = (Vec::new(), Vec::new());
        for line in text.lines().filter(|it| !it.is_empty()) {
            let from = line.as_ptr() as usize - text.as_ptr() as usize;
            spans.push((from, from + line.len()));
            ids.push(user(line));
        }
        assert!(!spans.is_empty(), "{} has no login", file.display());
        Self { text, spans, ids }
    }

    pub fn count(&self) -> usize {
        self.spans.len()
    }

    pub fn login(&self, place: usize) -> &[u8] {
        let (from, to) = self.spans[place];
        &self.text.as_bytes()[from..to]
    }

    pub fn id(&self, place: usize) -> &[u8] {
        &self.ids[place]
    }

    /// Puts the first of the board's users who has a login here behind all others, and says whether there is one.
    pub fn put_last(&mut self, board: &[u8]) -> bool {
        let mut best = None;
        for place in 0..self.ids.len() {
            let shown = memmem::find(board, &self.ids[place]);
            best = best.max(shown.map(|it| (std::cmp::Reverse(it), place)));
        }
        if let Some((_, place)) = best {
            let last = self.ids.len() - 1;
            self.ids.swap(place, last);
            self.spans.swap(place, last);
        }
        best.is_some()
    }
}

/// The user's id is the claim `sub` of a login.
fn user(login: &str) -> [u8; ID] {
    let claims = login.split('.').nth(1).and_then(|it| URL_SAFE_NO_PAD.decode(it).ok());
    let claims = claims.unwrap_or_else(|| panic!("no login: {login}"));
    let from = memmem::find(&claims, b"\"sub\":\"").expect("a login names its user") + 7;
    *claims[from..].first_chunk().expect("a user's id is a UUID")
}
