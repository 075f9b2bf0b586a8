//! The bytes of a subscriber's connection. Only what a subscriber needs is parsed.

use memchr::memmem;

/// WebSocket opcodes.
pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The complete unit at the start of some bytes: its content, and how many bytes it takes. None: it is incomplete.
pub type Unit<'a> = Option<(&'a [u8], usize)>;

/// The head of an HTTP response, without the empty line.
pub fn head(bytes: &[u8]) -> Unit<'_> {
    let end = memmem::find(bytes, b"\r\n\r\n")?;
    Some((&bytes[..end], end + 4))
}

/// A chunk of a chunked body.
pub fn chunk(bytes: &[u8]) -> Unit<'_> {
    let line = memmem::find(bytes, b"\r\n")?;
    let length =
        std::str::from_utf8(&bytes[..line]).ok().and_then(|line| usize::from_str_radix(line, 16).ok());
    let (start, length) = (line + 2, length.expect("a chunk begins with its length"));
    let total = start + length + 2;
    (bytes.len() >= total).then(|| (&bytes[start..start + length], total))
}

/// A WebSocket frame from a server: final and without a mask.
pub fn frame(bytes: &[u8]) -> Unit<'_> {
    let length = *bytes.get(1)?;
    assert!(bytes[0] & 0x80 != 0 && length < 127, "a node sends no such frame");
    let (start, length) = match length {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        short => (2, usize::from(short)),
    };
    let total = start + length;
    (bytes.len() >= total).then(|| (&bytes[start..total], total))
}

/// A WebSocket frame from a client. Its mask is 0, which leaves the payload as it is.
pub fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = match payload.len() {
        short @ 0..126 => vec![0x80 | opcode, 0x80 | short as u8],
        long => {
            let [high, low] = (long as u16).to_be_bytes();
            vec![0x80 | opcode, 0x80 | 126, high, low]
        }
    };
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A text frame from a server.
pub fn unmasked_text(payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    assert!(payload.len() > 125);
    [&[0x80 | TEXT, 126, high, low], payload].concat()
}

/// The version of a board. It comes after the rows, so the search starts at the end.
pub fn version(board: &[u8]) -> u64 {
    const NAME: &[u8] = b"\"version\":";
    let at = board.windows(NAME.len()).rposition(|bytes| bytes == NAME).expect("a board has a version");
    number_at(&board[at + NAME.len()..]).expect("a version is a number")
}

/// The number after a text.
pub fn number_after(bytes: &[u8], text: &[u8]) -> Option<u64> {
    number_at(&bytes[memmem::find(bytes, text)? + text.len()..])
}

fn number_at(bytes: &[u8]) -> Option<u64> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..end]).ok()?.parse().ok()
}
