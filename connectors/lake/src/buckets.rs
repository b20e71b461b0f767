//! The buckets that the credentials may list.
//!
//! object_store reads one bucket; the list of buckets is one request of its own, signed by the
//! library's authorizer (API reference of Amazon S3, `ListBuckets`).

use std::time::Duration;

use bytes::Bytes;
use meesh_base::{Error, Result};
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpError, HttpRequest, HttpRequestBody};
use object_store::path::Path;

use crate::error::{Subject, store_error};

const ATTEMPTS: u32 = 3;

/// Asks an S3 server for its buckets, always over the same client and with the same credentials.
#[derive(Debug)]
pub(crate) struct BucketList {
    /// The catalog's name.
    pub(crate) catalog: String,
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) credentials: AwsCredentialProvider,
    pub(crate) client: HttpClient,
}

impl BucketList {
    /// Names of all buckets, sorted.
    ///
    /// # Errors
    /// `Denied` when the credentials may not list buckets; `SourceUnavailable` when the server does not
    /// answer as an S3 server does.
    pub(crate) async fn names(&self) -> Result<Vec<String>> {
        let mut attempt = 1;
        let (status, body) = loop {
            match self.ask().await? {
                Ok((status, _)) if status >= 500 && attempt < ATTEMPTS => {}
                Err(_) if attempt < ATTEMPTS => {}
                Ok(answer) => break answer,
                Err(text) => return Err(self.unavailable(text)),
            }
            tokio::time::sleep(Duration::from_millis(100) * 2u32.pow(attempt)).await;
            attempt += 1;
        };
        let text = String::from_utf8_lossy(&body);
        let message = || text_of(&text, "Message").unwrap_or_else(|| format!("status {status}"));
        match status {
            200 => Ok(bucket_names(&text)),
            401 | 403 => {
                let (path, source) = (Path::default().to_string(), message().into());
                Err(store_error(self.subject(), object_store::Error::PermissionDenied { path, source }))
            }
            _ => Err(self.unavailable(message())),
        }
    }

    /// Status and body of one answer, or why there is none and another attempt may help.
    async fn ask(&self) -> Result<Result<(u16, Bytes), String>> {
        let credential = self.credentials.get_credential().await.map_err(|error| store_error(self.subject(), error))?;
        let uri = format!("{}/", self.endpoint).parse();
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = uri.map_err(|_| self.unavailable("the endpoint is not a URL".to_owned()))?;
        AwsAuthorizer::new(&credential, "s3", &self.region).authorize(&mut request, None);
        let answer = async {
            let response = self.client.execute(request).await?;
            let status = response.status().as_u16();
            Ok((status, response.into_body().bytes().await?))
        };
        Ok(answer.await.map_err(|error: HttpError| error.to_string()))
    }

    fn subject(&self) -> Subject<'_> {
        Subject { catalog: &self.catalog, source: &self.endpoint, what: "the list of buckets" }
    }

    fn unavailable(&self, text: String) -> Error {
        Error::source_unavailable(format!("catalog {:?}: {} does not list its buckets", self.catalog, self.endpoint))
            .with_detail(text)
            .with_hint("name buckets in lake.root")
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
