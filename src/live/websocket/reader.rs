//! What a client's bytes say: frames (RFC 6455, section 5), put together to messages, unpacked where it packs them (RFC 7692).
//! Without input or output of its own, and without a buffer while nothing is half read: clients are many, and say little.

use std::io::Cursor;

use bytes::{Buf, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::{Limits, frame, packed};

/// Close codes (RFC 6455, section 7.4.1).
pub const PROTOCOL_ERROR: u16 = 1002;
/// Text that is no UTF-8, or what was not packed.
pub const NOT_CONSISTENT: u16 = 1007;
pub const TOO_BIG: u16 = 1009;

/// RFC 6455, section 5.5.
const MAX_CONTROL_BYTES: usize = 125;

/// A message whose last frame has not come.
struct Begun {
    is_text: bool,
    is_packed: bool,
    frames: usize,
    bytes: BytesMut,
}

/// A client's half of a conversation.
pub struct Reader {
    /// What was read and is no whole frame yet.
    unread: BytesMut,
    begun: Option<Box<Begun>>,
    limits: Limits,
}

/// What the bytes say.
pub enum Said {
    /// A message; a ping and a close have been answered in the replies.
    Message(Message),
    /// More is to be read.
    Unfinished,
}

impl Reader {
    /// For a client from whom so much has been read already.
    pub fn new(read: &[u8], limits: Limits) -> Self {
        Self { unread: read.into(), begun: None, limits }
    }

    /// Room for what is read next.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.unread
    }

    /// Lets go of the buffer, if nothing is in it.
    pub fn rest(&mut self) {
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
    }

    /// The next message of what was read. Answers of the protocol are appended to `replies`.
    ///
    /// # Errors
    /// The code to close with: the client broke the protocol.
    pub fn next(&mut self, replies: &mut Vec<u8>) -> Result<Said, u16> {
        while let Some((header, payload)) = self.frame()? {
            let message = match header.opcode {
                OpCode::Control(kind) => Some(control(kind, payload, replies)?),
                OpCode::Data(kind) => self.data(kind, &header, &payload)?,
            };
            if let Some(message) = message {
                return Ok(Said::Message(message));
            }
        }
        Ok(Said::Unfinished)
    }

    /// The next whole frame, unmasked.
    fn frame(&mut self) -> Result<Option<(FrameHeader, Bytes)>, u16> {
        let mut cursor = Cursor::new(&self.unread);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|_| PROTOCOL_ERROR)? else {
            return Ok(None);
        };
        let (begin, length) = (cursor.position() as usize, usize::try_from(length).map_err(|_| TOO_BIG)?);
        let packed = self.limits.packed && matches!(header.opcode, OpCode::Data(Data::Text | Data::Binary));
        let Some(mask) = header.mask.filter(|_| !header.rsv2 && !header.rsv3 && (packed || !header.rsv1))
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

    /// A message, if this frame is the last one of it.
    fn data(&mut self, kind: Data, header: &FrameHeader, payload: &Bytes) -> Result<Option<Message>, u16> {
        let mut message = match (kind, self.begun.take()) {
            (Data::Continue, Some(begun)) => begun,
            (Data::Text | Data::Binary, None) => Box::new(Begun {
                is_text: kind == Data::Text,
                is_packed: header.rsv1,
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
            self.begun = Some(message);
            return Ok(None);
        }
        let bytes = match message.is_packed {
            true => packed::unpack(&message.bytes, self.limits.max_message_bytes)?,
            false => message.bytes.freeze(),
        };
        if !message.is_text {
            return Ok(Some(Message::Binary(bytes)));
        }
        Ok(Some(Message::Text(Utf8Bytes::try_from(bytes).map_err(|_| NOT_CONSISTENT)?)))
    }
}

fn control(kind: Control, payload: Bytes, replies: &mut Vec<u8>) -> Result<Message, u16> {
    Ok(match kind {
        Control::Ping => {
            replies.extend_from_slice(&frame::bytes(Frame::pong(payload.clone())));
            Message::Ping(payload)
        }
        Control::Pong => Message::Pong(payload),
        Control::Reserved(_) => return Err(PROTOCOL_ERROR),
        Control::Close => {
            let code = close_code(&payload)?;
            replies.extend_from_slice(&frame::close(code.map(|it| (it, ""))));
            Message::Close(None)
        }
    })
}

/// The code of a close frame, which has two bytes of it and then text, or nothing at all.
fn close_code(payload: &[u8]) -> Result<Option<u16>, u16> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(PROTOCOL_ERROR) };
    };
    let code = u16::from_be_bytes(*code);
    if !CloseCode::from(code).is_allowed() {
        return Err(PROTOCOL_ERROR);
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(NOT_CONSISTENT);
    }
    Ok(Some(code))
}
