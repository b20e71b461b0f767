//! The HTTP client under the S3 store, which believes no answer that it can check and waits for none
//! for ever.
//!
//! object_store holds a range against the answer's headers on the first request only; when it takes
//! up a broken body again, a server that ignores `Range` would send other bytes than asked for.
//! And it has one deadline for a whole request; here each part of an answer has its own, below the
//! retries, so that a server that stands still is asked again, and one that says "later" is not taken
//! for one that stands still.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

/// Listings and error documents are shorter.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Makes clients that check each answer to a range request, and wait so long for each part of one.
#[derive(Debug)]
pub(crate) struct CheckedConnector {
    pub(crate) patience: Duration,
}

impl HttpConnector for CheckedConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(CheckedService { inner, patience: self.patience }))
    }
}

/// The server sent nothing for this long.
#[derive(Debug)]
pub(crate) struct Stalled(pub(crate) Duration);

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server sent nothing for {}", meesh_base::format_duration(self.0))
    }
}

impl std::error::Error for Stalled {}

#[derive(Debug)]
struct CheckedService {
    inner: HttpClient,
    patience: Duration,
}

impl CheckedService {
    async fn patiently<T>(&self, part: impl Future<Output = T>) -> Result<T, HttpError> {
        let stalled = |_| HttpError::new(HttpErrorKind::Timeout, Stalled(self.patience));
        tokio::time::timeout(self.patience, part).await.map_err(stalled)
    }

    /// Reads the whole body.
    async fn whole(&self, response: HttpResponse) -> Result<HttpResponse, HttpError> {
        let (head, body) = response.into_parts();
        let mut parts = body.bytes_stream();
        let mut all = BytesMut::new();
        while let Some(part) = self.patiently(parts.next()).await? {
            all.extend_from_slice(&part?);
            if all.len() > ANSWER_BYTES_MAX {
                return Err(broken("the server's answer is too long".to_owned()));
            }
        }
        Ok(HttpResponse::from_parts(head, Bytes::from(all).into()))
    }
}

#[async_trait]
impl HttpService for CheckedService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let asked = request.headers().get("range").and_then(|value| value.to_str().ok()).and_then(asked_range);
        let response = self.patiently(self.inner.execute(request)).await??;
        match asked {
            // Its reader is patient by itself.
            Some(asked) if response.status().is_success() => {
                let header = response.headers().get("content-range").and_then(|value| value.to_str().ok());
                check(asked, response.status().as_u16(), header).map_err(broken)?;
                Ok(response)
            }
            _ => self.whole(response).await,
        }
    }
}

fn broken(text: String) -> HttpError {
    HttpError::new(HttpErrorKind::Decode, std::io::Error::other(text))
}

/// First and last byte of `bytes=a-b`. Other forms of range are not checked: the store asks for
/// none of them here.
fn asked_range(header: &str) -> Option<(u64, u64)> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

fn check(asked: (u64, u64), status: u16, content_range: Option<&str>) -> Result<(), String> {
    if status != 206 {
        return Err(format!("the server answered a request for a range with status {status}, not with the range"));
    }
    let header = content_range.unwrap_or_default();
    let sent = header.trim().strip_prefix("bytes ").and_then(|rest| rest.split('/').next());
    let sent = sent.and_then(|range| range.split_once('-'));
    match sent.and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?))) {
        // The last byte may lie before the one asked for: the object ends there.
        Some((first, last)) if first == asked.0 && last <= asked.1 => Ok(()),
        _ => Err(format!("the server sent {header:?} for bytes {}-{}", asked.0, asked.1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bytes_asked_for_pass() {
        let asked = asked_range("bytes=10-19").unwrap();
        assert!(check(asked, 206, Some("bytes 10-19/100")).is_ok());
        assert!(check(asked, 206, Some("bytes 10-14/15")).is_ok());
        assert!(check(asked, 200, None).is_err());
        assert!(check(asked, 206, None).is_err());
        assert!(check(asked, 206, Some("bytes 0-9/100")).is_err());
        assert!(check(asked, 206, Some("bytes 10-99/100")).is_err());
        assert_eq!(asked_range("bytes=-5"), None);
    }
}
