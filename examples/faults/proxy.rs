//! A TCP proxy between one node and one store. It can cut, drop, hold or slow down the traffic.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What a proxy does with traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyMode {
    /// Forwards everything.
    Pass,
    /// Closes all connections, new ones too.
    Cut,
    /// Keeps connections open and accepts new ones, but loses their bytes. Connections that lost bytes are closed when the mode ends.
    Drop,
    /// Holds the bytes back until the mode ends, so that requests that timed out are executed late.
    Hold,
    /// Delays each read by this time.
    Slow(Duration),
}

/// The proxy ends with this value.
pub struct Proxy {
    pub port: u16,
    mode: watch::Sender<ProxyMode>,
}

impl Proxy {
    pub async fn start(to_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, watched) = watch::channel(ProxyMode::Pass);
        tokio::spawn(accept(listener, to_port, watched));
        Self { port, mode }
    }

    /// Changes the mode for current and new connections.
    pub fn set(&self, mode: ProxyMode) {
        self.mode.send_replace(mode);
    }
}

async fn accept(listener: TcpListener, to_port: u16, mut mode: watch::Receiver<ProxyMode>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            changed = mode.changed() => match changed { Ok(()) => continue, Err(_) => return },
        };
        if let Ok((client, _)) = accepted {
            tokio::spawn(forward(client, to_port, mode.clone()));
        }
    }
}

async fn forward(client: TcpStream, to_port: u16, mut mode: watch::Receiver<ProxyMode>) {
    if !wait_until_forwarding(&mut mode).await || *mode.borrow() == ProxyMode::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", to_port)).await else { return };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = mode.clone();
    tokio::select! {
        () = forward_direction(from_client, to_server, mode.clone()) => {}
        () = forward_direction(from_server, to_client, mode) => {}
        _ = cut.wait_for(|mode| *mode == ProxyMode::Cut) => {}
    }
}

/// Waits until bytes are not dropped or held. Returns false if the proxy has ended.
async fn wait_until_forwarding(mode: &mut watch::Receiver<ProxyMode>) -> bool {
    mode.wait_for(|mode| !matches!(mode, ProxyMode::Drop | ProxyMode::Hold)).await.is_ok()
}

/// Forwards one direction until its end.
async fn forward_direction(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<ProxyMode>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        let now = *mode.borrow_and_update();
        match now {
            ProxyMode::Pass | ProxyMode::Cut => {}
            ProxyMode::Slow(wait) => tokio::time::sleep(wait).await,
            ProxyMode::Hold => {
                wait_until_forwarding(&mut mode).await;
            }
            ProxyMode::Drop => {
                wait_until_forwarding(&mut mode).await;
                return;
            }
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
