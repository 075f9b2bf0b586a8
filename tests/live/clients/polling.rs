//! A Socket.IO client over long polling.

use std::collections::VecDeque;

use serde_json::Value;

#[derive(Clone)]
pub struct Polling {
    client: reqwest::Client,
    url: String,
    /// The session's id.
    pub sid: String,
    /// Received packets that were not read yet.
    packets: VecDeque<String>,
}

impl Polling {
    /// Opens a session; `None` if the node refuses it.
    pub async fn open(base: &str) -> Option<Self> {
        let client = reqwest::Client::new();
        let url = format!("{base}/socket.io/?EIO=4&transport=polling");
        let response = client.get(&url).send().await.ok().filter(|response| response.status() == 200)?;
        let packet: Value = serde_json::from_str(response.text().await.ok()?.strip_prefix('0')?).unwrap();
        let sid = packet["sid"].as_str().unwrap().to_owned();
        Some(Self { client, url: format!("{url}&sid={sid}"), sid, packets: VecDeque::new() })
    }

    /// Sends packets; does nothing if the node was stopped.
    pub async fn send(&mut self, packets: &str) {
        let _ = self.client.post(&self.url).body(packets.to_owned()).send().await;
    }

    /// The next packet, pings and noops left out; `None` after the session ended.
    pub async fn receive(&mut self) -> Option<String> {
        loop {
            if self.packets.is_empty() {
                let packets = self.poll().await?;
                self.packets.extend(packets);
            }
            match self.packets.pop_front()?.as_str() {
                "2" => self.send("3").await,
                "1" => return None,
                "6" => {}
                packet => return Some(packet.to_owned()),
            }
        }
    }

    /// Polls once; `None` if the session has ended.
    pub async fn poll(&self) -> Option<Vec<String>> {
        let response =
            self.client.get(&self.url).send().await.ok().filter(|response| response.status() == 200)?;
        let body = response.text().await.ok()?;
        Some(body.split('\u{1e}').map(str::to_owned).collect())
    }
}
