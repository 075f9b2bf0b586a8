//! What is done with an input, and what has to hold: one function a fuzz target. `fuzz/targets/` gives them what libFuzzer makes,
//! `tests/fuzz/kept.rs` the inputs that are kept in `fuzz/corpus/`.

pub mod engine;
pub mod engine_http;
pub mod files;
pub mod http;
pub mod packets;
pub mod replies;
pub mod signed;
pub mod tokens;
pub mod websocket;

/// A driver.
pub type Driver = fn(&[u8]);

/// Every target by its name, which is also that of its file in `fuzz/corpus/`.
pub const ALL: [(&str, Driver); 21] = [
    ("act_token", tokens::act_token),
    ("admob", signed::admob),
    ("anti_spam", tokens::anti_spam),
    ("attestation", signed::attestation),
    ("catalogue", files::catalogue),
    ("config", files::config),
    ("cursor", http::cursor),
    ("deflate", websocket::deflate),
    ("digest", http::digest),
    ("engine_http", engine_http::http),
    ("engine_session", engine::session),
    ("fields", http::fields),
    ("forwarded", http::forwarded),
    ("frames", websocket::frames),
    ("handshake", websocket::handshake),
    ("issuers", files::issuers),
    ("key_files", files::keys),
    ("login", tokens::login),
    ("packets", packets::packets),
    ("query", http::query),
    ("replies", replies::replies),
];

/// An input that is read piece by piece; at its end there are zeros.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// So many bytes, or what is left.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (piece, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        piece
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// What is before the first byte of this kind, and what is behind it.
pub fn halves(data: &[u8], at: u8) -> (&[u8], &[u8]) {
    match data.iter().position(|it| *it == at) {
        Some(place) => (&data[..place], &data[place + 1..]),
        None => (&[], data),
    }
}
