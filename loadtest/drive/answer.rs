//! What of an HTTP answer has to be known: its status, where its body is, and where it ends.

use memchr::{memchr, memmem};

pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// The answer that bytes begin with. None: more has to come.
pub fn read(bytes: &[u8]) -> Option<Answer<'_>> {
    let head = memmem::find(bytes, b"\r\n\r\n")?;
    let status =
        bytes.get(9..12)?.iter().fold(0, |number, digit| number * 10 + u16::from(digit.wrapping_sub(b'0')));
    let from = head + 4;
    let length = from + if matches!(status, 204 | 304) { 0 } else { content_length(&bytes[..head + 2]) };
    (bytes.len() >= length).then(|| Answer { status, body: &bytes[from..length] })
}

/// Servers that know an answer's length say it; no chunks are read.
fn content_length(mut head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    while let Some(end) = memchr(b'\n', head) {
        let (line, rest) = head.split_at(end);
        if line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME) {
            let digits = line[NAME.len()..].iter().filter(|it| it.is_ascii_digit());
            return digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
        }
        head = &rest[1..];
    }
    panic!("an answer came without its length")
}
