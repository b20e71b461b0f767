//! The body of a request, which has to arrive in time: what has come so far takes memory.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::error::refuse;

/// A body that fails if it has not ended in time.
struct Timely {
    body: Body,
    until: Pin<Box<Sleep>>,
}

/// `body`, failing with DEADLINE_EXCEEDED unless it ends within `wait`.
pub(crate) fn within(wait: Duration, body: Body) -> Body {
    Body::new(Timely { body, until: Box::pin(tokio::time::sleep(wait)) })
}

impl HttpBody for Timely {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_pending() {
            ready!(self.until.as_mut().poll(cx));
            let too_slow = refuse(Code::DeadlineExceeded, "REQUEST_TOO_SLOW", "the request did not arrive in time");
            return Poll::Ready(Some(Err(too_slow)));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
