//! How spans go to the collector: over the same HTTP client as everything else. The SDK exports from a thread of its own, which
//! has no reactor, so the request runs on the node's.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

/// A collector's answer is a few bytes; one that is longer is not read.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Sends requests to the collector.
#[derive(Debug)]
pub struct Collector {
    client: reqwest::Client,
    runtime: Handle,
}

impl Collector {
    /// Who gives up after a time-out.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(timeout: Duration) -> Result<Self, String> {
        let client = reqwest::Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none());
        let client = client.no_proxy().build().map_err(|error| error.to_string())?;
        Ok(Self { client, runtime: Handle::current() })
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { send(&client, request).await }).await?
    }
}

async fn send(client: &reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let answer = client.execute(request.try_into()?).await?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = answer.status();
    if answer.content_length().is_some_and(|it| it <= MAX_ANSWER_BYTES) {
        *response.body_mut() = answer.bytes().await?;
    }
    Ok(response)
}
