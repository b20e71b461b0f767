//! The HTTP client under the S3 store, which believes no answer that it can check.
//!
//! object_store holds a range against the answer's headers on the first request only; when it takes
//! up a broken body again, a server that ignores `Range` would send other bytes than asked for.

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

/// Makes clients that check each answer to a range request.
#[derive(Debug, Default)]
pub(crate) struct CheckedConnector;

impl HttpConnector for CheckedConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(CheckedService { inner }))
    }
}

#[derive(Debug)]
struct CheckedService {
    inner: HttpClient,
}

#[async_trait]
impl HttpService for CheckedService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let asked = request.headers().get("range").and_then(|value| value.to_str().ok()).and_then(asked_range);
        let response = self.inner.execute(request).await?;
        if let Some(asked) = asked
            && response.status().is_success()
        {
            let header = response.headers().get("content-range").and_then(|value| value.to_str().ok());
            check(asked, response.status().as_u16(), header)
                .map_err(|text| HttpError::new(HttpErrorKind::Decode, std::io::Error::other(text)))?;
        }
        Ok(response)
    }
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
