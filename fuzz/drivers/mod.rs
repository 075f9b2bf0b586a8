//! The fuzz drivers: one function per target, which checks the target's invariants on an input. `fuzz/targets/` runs them on libFuzzer's
//! inputs, `tests/fuzz/corpus.rs` on those in `fuzz/corpus/`.

pub mod engine;
pub mod engine_http;
pub mod files;
pub mod http;
pub mod packets;
pub mod replies;
pub mod signed;
pub mod tokens;
pub mod websocket;

/// Checks the invariants of a target on one input.
pub type Driver = fn(&[u8]);

/// All targets by name, which is also the name of the file in `fuzz/corpus/`.
pub const ALL: [(&str, Driver); 22] = [
    ("act_token", tokens::act_token),
    ("admob", signed::admob),
    ("anti_spam", tokens::anti_spam),
    ("attestation", signed::attestation),
    ("boards", files::boards),
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

/// Reads an input piece by piece. After its end, bytes are zero.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// The next `count` bytes, or fewer at the end.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// The parts before and after the first `separator`. Without a separator, the first part is empty.
pub fn split(data: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == separator) {
        Some(index) => (&data[..index], &data[index + 1..]),
        None => (&[], data),
    }
}
