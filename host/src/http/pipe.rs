//! A body that is fed from elsewhere on the same thread: towards the client or towards an upstream.
//!
//! Bounds: the feeder is expected to ask [`PipeSender::has_room`] before it takes more from its own source; the pipe
//! itself never refuses.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::{Notify, mpsc};

/// Above this many bytes a pipe asks its feeder to wait.
const HIGH_WATER: usize = 256 * 1024;

/// The message was broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("broken off")]
pub(crate) struct Broken;

#[derive(Default)]
struct Level {
    bytes: Cell<usize>,
    sunk: Notify,
}

/// The feeding end.
pub(crate) struct PipeSender {
    frames: mpsc::UnboundedSender<Result<Frame<Bytes>, Broken>>,
    level: Rc<Level>,
}

impl PipeSender {
    pub(crate) fn data(&self, data: Vec<u8>) {
        if !data.is_empty() {
            self.level.bytes.set(self.level.bytes.get() + data.len());
            let _ = self.frames.send(Ok(Frame::data(data.into())));
        }
    }

    pub(crate) fn trailers(&self, trailers: HeaderMap) {
        let _ = self.frames.send(Ok(Frame::trailers(trailers)));
    }

    /// Breaks the message off, so that the peer can tell that it is not complete.
    pub(crate) fn break_off(&self) {
        let _ = self.frames.send(Err(Broken));
    }

    pub(crate) fn has_room(&self) -> bool {
        self.level.bytes.get() < HIGH_WATER
    }

    /// What is to be awaited until there is room again.
    pub(crate) fn room(&self) -> impl Future<Output = ()> + use<> {
        let level = Rc::clone(&self.level);
        async move {
            while level.bytes.get() >= HIGH_WATER {
                level.sunk.notified().await;
            }
        }
    }
}

/// The body that is fed.
pub(crate) struct PipeBody {
    frames: Option<mpsc::UnboundedReceiver<Result<Frame<Bytes>, Broken>>>,
    level: Rc<Level>,
    /// Dropped with the body: whoever holds something here learns when the reader is gone.
    pub(crate) keeps: Option<Box<dyn std::any::Any>>,
}

/// A pipe.
pub(crate) fn pipe() -> (PipeSender, PipeBody) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let level = Rc::<Level>::default();
    (
        PipeSender {
            frames: sender,
            level: Rc::clone(&level),
        },
        PipeBody {
            frames: Some(receiver),
            level,
            keeps: None,
        },
    )
}

impl PipeBody {
    /// No body at all.
    pub(crate) fn empty() -> Self {
        Self {
            frames: None,
            level: Rc::default(),
            keeps: None,
        }
    }

    /// A body that is there already.
    pub(crate) fn full(data: Vec<u8>) -> Self {
        if data.is_empty() {
            return Self::empty();
        }
        let (sender, body) = pipe();
        sender.data(data);
        body
    }
}

impl Body for PipeBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some(frames) = &mut self.frames else {
            return Poll::Ready(None);
        };
        let frame = std::task::ready!(frames.poll_recv(cx));
        match &frame {
            Some(Ok(frame)) => {
                let size = frame.data_ref().map_or(0, Bytes::len);
                self.level
                    .bytes
                    .set(self.level.bytes.get().saturating_sub(size));
                self.level.sunk.notify_one();
            }
            Some(Err(_)) => {}
            None => self.frames = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.frames.is_none() {
            SizeHint::with_exact(0)
        } else {
            SizeHint::default()
        }
    }
}
