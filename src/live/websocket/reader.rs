//! Parses a client's bytes: frames (RFC 6455, section 5), assembled to messages and decompressed (RFC 7692).
//!
//! It does no I/O, and has no buffer unless a frame is incomplete: there are many clients, and they rarely send.

use std::io::Cursor;

use bytes::{Buf, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::{MessageLimits, close, deflate, frame_bytes};

/// Close codes (RFC 6455, section 7.4.1).
pub const PROTOCOL_ERROR: u16 = 1002;
/// Invalid UTF-8, or compressed data that is malformed.
pub const INVALID_PAYLOAD: u16 = 1007;
pub const TOO_BIG: u16 = 1009;

/// RFC 6455, section 5.5.
const MAX_CONTROL_BYTES: usize = 125;

/// A message whose last frame has not arrived.
struct PartialMessage {
    is_text: bool,
    is_compressed: bool,
    frames: usize,
    bytes: BytesMut,
}

/// Parses what one client sends.
pub struct Reader {
    /// Bytes that are no complete frame yet.
    unread: BytesMut,
    partial: Option<Box<PartialMessage>>,
    limits: MessageLimits,
}

impl Reader {
    /// A reader that starts with the bytes read so far.
    pub fn new(read: &[u8], limits: MessageLimits) -> Self {
        Self { unread: read.into(), partial: None, limits }
    }

    /// The buffer to read into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.unread
    }

    /// Frees the buffer if it is empty.
    pub fn shrink(&mut self) {
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
    }

    /// Returns the next complete message; `None` until more is read. Answers to pings and close frames are appended to `replies`.
    ///
    /// # Errors
    /// The close code: the client broke the protocol.
    pub fn next(&mut self, replies: &mut Vec<u8>) -> Result<Option<Message>, u16> {
        while let Some((header, payload)) = self.frame()? {
            let message = match header.opcode {
                OpCode::Control(kind) => Some(control(kind, payload, replies)?),
                OpCode::Data(kind) => self.data(kind, &header, &payload)?,
            };
            if message.is_some() {
                return Ok(message);
            }
        }
        Ok(None)
    }

    /// The next complete frame, unmasked.
    fn frame(&mut self) -> Result<Option<(FrameHeader, Bytes)>, u16> {
        let mut cursor = Cursor::new(&self.unread);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|_| PROTOCOL_ERROR)? else {
            return Ok(None);
        };
        let (begin, length) = (cursor.position() as usize, usize::try_from(length).map_err(|_| TOO_BIG)?);
        let may_compress =
            self.limits.compression && matches!(header.opcode, OpCode::Data(Data::Text | Data::Binary));
        let Some(mask) =
            header.mask.filter(|_| !header.rsv2 && !header.rsv3 && (may_compress || !header.rsv1))
        else {
            return Err(PROTOCOL_ERROR);
        };
        let control = matches!(header.opcode, OpCode::Control(_));
        if control && (!header.is_final || length > MAX_CONTROL_BYTES) {
            return Err(PROTOCOL_ERROR);
        }
        if length > self.limits.max_message_bytes {
            return Err(TOO_BIG);
        }
        if self.unread.len() < begin + length {
            self.unread.reserve(begin + length - self.unread.len());
            return Ok(None);
        }
        self.unread.advance(begin);
        let mut payload = self.unread.split_to(length);
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Ok(Some((header, payload.freeze())))
    }

    /// Adds a data frame, and returns the message if it is the last one.
    fn data(&mut self, kind: Data, header: &FrameHeader, payload: &Bytes) -> Result<Option<Message>, u16> {
        let mut message = match (kind, self.partial.take()) {
            (Data::Continue, Some(partial)) => partial,
            (Data::Text | Data::Binary, None) => Box::new(PartialMessage {
                is_text: kind == Data::Text,
                is_compressed: header.rsv1,
                frames: 0,
                bytes: BytesMut::new(),
            }),
            _ => return Err(PROTOCOL_ERROR),
        };
        message.frames += 1;
        if message.bytes.len() + payload.len() > self.limits.max_message_bytes
            || message.frames > self.limits.max_frames
        {
            return Err(TOO_BIG);
        }
        message.bytes.extend_from_slice(payload);
        if !header.is_final {
            self.partial = Some(message);
            return Ok(None);
        }
        let bytes = match message.is_compressed {
            true => deflate::decompress(&message.bytes, self.limits.max_message_bytes)?,
            false => message.bytes.freeze(),
        };
        if !message.is_text {
            return Ok(Some(Message::Binary(bytes)));
        }
        Ok(Some(Message::Text(Utf8Bytes::try_from(bytes).map_err(|_| INVALID_PAYLOAD)?)))
    }
}

fn control(kind: Control, payload: Bytes, replies: &mut Vec<u8>) -> Result<Message, u16> {
    Ok(match kind {
        Control::Ping => {
            replies.extend_from_slice(&frame_bytes(Frame::pong(payload.clone())));
            Message::Ping(payload)
        }
        Control::Pong => Message::Pong(payload),
        Control::Reserved(_) => return Err(PROTOCOL_ERROR),
        Control::Close => {
            let code = close_code(&payload)?;
            replies.extend_from_slice(&close(code.map(|code| (code, ""))));
            Message::Close(None)
        }
    })
}

/// The code of a close frame: its payload is two bytes of code and then text, or empty.
fn close_code(payload: &[u8]) -> Result<Option<u16>, u16> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(PROTOCOL_ERROR) };
    };
    let code = u16::from_be_bytes(*code);
    if !CloseCode::from(code).is_allowed() {
        return Err(PROTOCOL_ERROR);
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(INVALID_PAYLOAD);
    }
    Ok(Some(code))
}
