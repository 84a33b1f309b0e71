//! Bodies of answers: as they are, or made up piece by piece, so that large ones cost no memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};

use super::media::{Content, Medium};

/// Bytes per frame of a body that is made up.
const PIECE: u64 = 64 << 10;

/// A body of known size.
pub(super) struct Streamed {
    /// Where the next frame begins.
    at: u64,
    content: Content,
}

impl From<Bytes> for Streamed {
    fn from(bytes: Bytes) -> Self {
        Self {
            at: 0,
            content: Content::Bytes(bytes),
        }
    }
}

impl Streamed {
    fn left(&self) -> u64 {
        let all = match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Pattern(all) => *all,
        };
        all - self.at
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let left = self.left();
        if left == 0 {
            return Poll::Ready(None);
        }
        let (from, bytes) = match &self.content {
            Content::Bytes(bytes) => (self.at, bytes.clone()),
            Content::Pattern(_) => {
                let piece = self.at..self.at + left.min(PIECE);
                (self.at, piece.map(|n| (n % 251) as u8).collect())
            }
        };
        self.at = from + bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

/// As `media/get` answers.
pub(super) fn response(medium: Medium) -> hyper::Response<Streamed> {
    let mut response = hyper::Response::new(Streamed {
        at: 0,
        content: medium.content,
    });
    let headers = response.headers_mut();
    // Names and types come from requests; what cannot be a header is left out.
    if let Ok(value) = HeaderValue::try_from(medium.content_type) {
        headers.insert(CONTENT_TYPE, value);
    }
    let disposition = format!("attachment; filename=\"{}\"", medium.filename);
    if let Ok(value) = HeaderValue::try_from(disposition) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}
