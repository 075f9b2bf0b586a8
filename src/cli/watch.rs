//! `laurel watch`: prints the events of a node's WebSocket.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use serde_json::Value;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::output::Output;

/// Prints events until the process ends or its output is closed. Reconnects if the connection closes.
pub async fn watch(url: &str, token: &str, output: &mut Output) -> Result<ExitCode> {
    loop {
        let ended = session(url, token, output).await;
        if let Err(error) = ended
            && error.downcast_ref::<tokio_tungstenite::tungstenite::Error>().is_some_and(is_refusal)
        {
            return Err(error);
        }
        output.line("Connection closed, reconnecting");
        if output.has_failed() {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Whether the node refused the handshake with a 4xx status: a retry would not help.
fn is_refusal(error: &tokio_tungstenite::tungstenite::Error) -> bool {
    use tokio_tungstenite::tungstenite::Error::Http;
    matches!(error, Http(response) if response.status().is_client_error())
}

async fn session(url: &str, token: &str, output: &mut Output) -> Result<()> {
    let address = format!("{}/api/v1/ws", url.replacen("http", "ws", 1).trim_end_matches('/'));
    let mut request = address.into_client_request().context("invalid URL")?;
    let header = HeaderValue::from_str(&format!("Bearer {token}")).context("invalid token")?;
    request.headers_mut().insert("Authorization", header);
    let (mut socket, _) = connect_async(request).await?;
    while let Some(message) = socket.next().await {
        if let Message::Text(text) = message? {
            show(&serde_json::from_str(&text).context("the node sent invalid JSON")?, output);
        }
        if output.has_failed() {
            break;
        }
    }
    Ok(())
}

fn show(event: &Value, output: &mut Output) {
    match event["event"].as_str() {
        Some("leaderboard_updated") => {
            output.line(format_args!("\nleaderboard at {}", event["timestamp"].as_str().unwrap_or("?")));
            for row in event["data"].as_array().into_iter().flatten() {
                let number = |name: &str| row[name].as_u64().unwrap_or_default();
                let username = row["username"].as_str().unwrap_or("?");
                let (rank, score) = (number("rank"), number("score"));
                output.line(format_args!("{rank:>4}  {username:<40} {score:>16}"));
            }
        }
        Some(name) => output.line(format_args!("{name} {}", event["data"])),
        None => output.line(event),
    }
}
