//! The buckets that the credentials may list.
//!
//! object_store reads one bucket; the list of buckets is one request of its own, signed by the
//! library's authorizer (API reference of Amazon S3, `ListBuckets`).

use std::time::Duration;

use meesh_base::{Error, Result};
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpConnector, HttpRequest, HttpRequestBody};
use object_store::path::Path;

use crate::error::{Subject, store_error};
use crate::http::CheckedConnector;

/// An answer longer than this is not a list of buckets.
const ANSWER_BYTES_MAX: usize = 16 << 20;
const ATTEMPTS: u32 = 3;

/// Names of all buckets, sorted.
///
/// # Errors
/// `Denied` when the credentials may not list buckets; `SourceUnavailable` when the server does not
/// answer as an S3 server does.
pub(crate) async fn list_buckets(
    catalog: &str,
    endpoint: &str,
    region: &str,
    credentials: &AwsCredentialProvider,
    options: &ClientOptions,
) -> Result<Vec<String>> {
    let subject = Subject { catalog, source: endpoint, what: "the list of buckets" };
    let client = CheckedConnector.connect(options).map_err(|error| store_error(subject, error))?;
    let unavailable = |text: String| {
        Error::source_unavailable(format!("catalog {catalog:?}: {endpoint} does not list its buckets"))
            .with_detail(text)
            .with_hint("name buckets in lake.root")
    };
    let mut attempt = 1;
    let (status, body) = loop {
        let credential = credentials.get_credential().await.map_err(|error| store_error(subject, error))?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() =
            format!("{endpoint}/").parse().map_err(|_| unavailable("the endpoint is not a URL".to_owned()))?;
        AwsAuthorizer::new(&credential, "s3", region).authorize(&mut request, None);
        let answer = match client.execute(request).await {
            Ok(response) => {
                let status = response.status().as_u16();
                response.into_body().bytes().await.map(|body| (status, body)).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match answer {
            Ok((status, _)) if status >= 500 && attempt < ATTEMPTS => {}
            Err(_) if attempt < ATTEMPTS => {}
            Ok(answer) => break answer,
            Err(text) => return Err(unavailable(text)),
        }
        tokio::time::sleep(Duration::from_millis(100) * 2u32.pow(attempt)).await;
        attempt += 1;
    };
    let text = String::from_utf8_lossy(&body[..body.len().min(ANSWER_BYTES_MAX)]);
    match status {
        200 => Ok(bucket_names(&text)),
        401 | 403 => {
            let source = text_of(&text, "Message").unwrap_or_else(|| format!("status {status}"));
            Err(store_error(
                subject,
                object_store::Error::PermissionDenied { path: Path::default().to_string(), source: source.into() },
            ))
        }
        _ => Err(unavailable(text_of(&text, "Message").unwrap_or_else(|| format!("status {status}")))),
    }
}

/// The `<Name>` of every `<Bucket>`.
fn bucket_names(xml: &str) -> Vec<String> {
    let mut names: Vec<String> = xml.split("<Bucket>").skip(1).filter_map(|bucket| text_of(bucket, "Name")).collect();
    names.sort();
    names
}

/// The text of the first element of this name.
fn text_of(xml: &str, element: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{element}>"))?;
    let (text, _) = rest.split_once(&format!("</{element}>"))?;
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    Some(text.replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_out_of_the_answer() {
        let xml = "<?xml version=\"1.0\"?><ListAllMyBucketsResult><Owner><DisplayName>Name</DisplayName></Owner><Buckets>\
                   <Bucket><Name>web</Name><CreationDate>2026-01-01T00:00:00Z</CreationDate></Bucket>\
                   <Bucket><CreationDate/><Name>raw&amp;co</Name></Bucket></Buckets></ListAllMyBucketsResult>";
        assert_eq!(bucket_names(xml), ["raw&co", "web"]);
        assert!(bucket_names("<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>").is_empty());
    }
}
