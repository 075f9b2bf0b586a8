//! What goes over a client's connection, as bytes: no more of it is read than a client has to know.

/// WebSocket's kinds of frames.
pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The whole unit that bytes begin with: what it holds, and how many bytes it takes. None: more has to come.
pub type Unit<'a> = Option<(&'a [u8], usize)>;

/// A head of HTTP, without the empty line that ends it.
pub fn head(bytes: &[u8]) -> Unit<'_> {
    let end = find(bytes, b"\r\n\r\n")?;
    Some((&bytes[..end], end + 4))
}

/// A chunk of a body that is sent in chunks.
pub fn chunk(bytes: &[u8]) -> Unit<'_> {
    let line = find(bytes, b"\r\n")?;
    let length = std::str::from_utf8(&bytes[..line]).ok().and_then(|it| usize::from_str_radix(it, 16).ok());
    let (from, length) = (line + 2, length.expect("a chunk's length"));
    let whole = from + length + 2;
    (bytes.len() >= whole).then(|| (&bytes[from..from + length], whole))
}

/// A frame of a WebSocket, as a server sends it: whole and without a mask.
pub fn frame(bytes: &[u8]) -> Unit<'_> {
    let length = *bytes.get(1)?;
    assert!(bytes[0] & 0x80 != 0 && length < 127, "no frame that the node sends");
    let (from, length) = match length {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        short => (2, usize::from(short)),
    };
    let whole = from + length;
    (bytes.len() >= whole).then(|| (&bytes[from..whole], whole))
}

/// A frame as a client sends it. Its mask is nought, which leaves the payload as it is.
pub fn masked(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = match payload.len() {
        short @ 0..126 => vec![0x80 | kind, 0x80 | short as u8],
        long => {
            let [high, low] = (long as u16).to_be_bytes();
            vec![0x80 | kind, 0x80 | 126, high, low]
        }
    };
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A text frame as a server sends it.
pub fn unmasked(payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    assert!(payload.len() > 125);
    [&[0x80 | TEXT, 126, high, low], payload].concat()
}

/// A board's version. It stands behind the rows, so it is looked for from the end.
pub fn version(board: &[u8]) -> u64 {
    const NAME: &[u8] = b"\"version\":";
    let at = board.windows(NAME.len()).rposition(|it| it == NAME).expect("a board has a version");
    let digits = board[at + NAME.len()..].iter().take_while(|it| it.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// The number after a text, if there is one.
pub fn number_after(text: &[u8], name: &[u8]) -> Option<u64> {
    let digits = &text[find(text, name)? + name.len()..];
    let end = digits.iter().position(|it| !it.is_ascii_digit()).unwrap_or(digits.len());
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|it| it == part)
}
