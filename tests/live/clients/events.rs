//! A reader of server-sent events (WHATWG HTML, section 9.2), on the bare connection.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Events {
    stream: TcpStream,
    /// The response's head, in lower case.
    pub head: String,
    /// Unread bytes of the chunked body.
    raw: Vec<u8>,
    /// Decoded text that was not read yet.
    text: String,
}

impl Events {
    /// Opens the stream; `None` if the node refuses the connection.
    pub async fn open(base: &str, token: &str, receive_bytes: Option<usize>) -> Option<Self> {
        let bearer =
            if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        Self::open_with(base, "", &bearer, receive_bytes).await
    }

    /// Like `open`, with a query string and header lines.
    pub async fn open_with(
        base: &str,
        query: &str,
        lines: &str,
        receive_bytes: Option<usize>,
    ) -> Option<Self> {
        let stream = super::dial(base, receive_bytes).await?;
        let mut events = Self { stream, head: String::new(), raw: Vec::new(), text: String::new() };
        let request =
            format!("GET /api/v1/leaderboard/stream{query} HTTP/1.1\r\nHost: laurel\r\n{lines}\r\n");
        events.stream.write_all(request.as_bytes()).await.ok()?;
        let body = loop {
            if let Some(end) = events.raw.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            events.read().await?;
        };
        let head: Vec<u8> = events.raw.drain(..body).collect();
        events.head = String::from_utf8(head).unwrap().to_lowercase();
        events.head.starts_with("http/1.1 200").then_some(events)
    }

    /// The next event's data, or `{"event": "retry", "data": ms}`; comments are skipped. `None` at the end.
    pub async fn receive(&mut self) -> Option<Value> {
        loop {
            let block = self.block().await?;
            if let Some(ms) = block.strip_prefix("retry: ") {
                return Some(json!({ "event": "retry", "data": ms.parse::<u64>().unwrap() }));
            }
            if let Some((name, data)) = block.split_once('\n') {
                let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                assert_eq!(name.strip_prefix("event: "), data["event"].as_str());
                return Some(data);
            }
            assert!(block.starts_with(':'), "{block}");
        }
    }

    /// The next block, without its empty line; `None` at the end.
    pub async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                return Some(block);
            }
            while !self.take_chunk()? {
                self.read().await?;
            }
        }
    }

    /// Decodes a chunk (RFC 9112, section 7.1); `None` if it was the last, `false` if it is incomplete.
    fn take_chunk(&mut self) -> Option<bool> {
        let Some(line) = self.raw.windows(2).position(|window| window == b"\r\n") else { return Some(false) };
        let size = std::str::from_utf8(&self.raw[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if self.raw.len() < line + 2 + size + 2 {
            return Some(false);
        }
        let chunk: Vec<u8> = self.raw.drain(..line + 2 + size + 2).skip(line + 2).take(size).collect();
        self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        (size > 0).then_some(true)
    }

    async fn read(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.raw).await {
            Ok(1..) => Some(()),
            _ => None,
        }
    }
}
