//! What a module may see and change of a stream, and when.
//!
//! Headers can be read and changed while their callback runs, and afterwards for as long as the filter holds them.
//! The body is the piece that passes, or all that the filter holds. In `on_log` headers can be read once more.

use std::cell::RefCell;

use super::headers::Headers;
use super::stream::{Stream, Way};
use super::travel::BodyView;
use crate::abi::MapType;

impl Stream {
    /// Whether `on_log` runs: then headers can be read again, and not changed.
    pub(crate) fn is_logging(&self) -> bool {
        self.logging.get()
    }

    /// From now on this filter sees nothing of the request: what resuming does, whichever way is resumed.
    pub(crate) fn hide_request(&self, filter: usize) {
        if let Some((_, step)) = self.decode.step_of(filter) {
            step.sees_headers.set(false);
            step.sees_trailers.set(false);
            if step.sees_body.get() == BodyView::Piece {
                step.sees_body.set(BodyView::Nothing);
            }
        }
    }

    fn map_cell(&self, map: MapType) -> Option<(Way, &RefCell<Option<Headers>>, bool)> {
        Some(match map {
            MapType::RequestHeaders => (Way::Decode, &self.decode.headers, false),
            MapType::RequestTrailers => (Way::Decode, &self.decode.trailers, true),
            MapType::ResponseHeaders => (Way::Encode, &self.encode.headers, false),
            MapType::ResponseTrailers => (Way::Encode, &self.encode.trailers, true),
            _ => return None,
        })
    }

    fn sees(&self, filter: usize, way: Way, trailers: bool) -> bool {
        self.travel(way).step_of(filter).is_some_and(|(_, step)| {
            if trailers {
                step.sees_trailers.get()
            } else {
                step.sees_headers.get()
            }
        })
    }

    /// Reads a map, if the filter may see it now.
    pub(crate) fn with_map<R>(
        &self,
        filter: usize,
        map: MapType,
        use_map: impl FnOnce(&Headers) -> R,
    ) -> Option<R> {
        let (way, cell, trailers) = self.map_cell(map)?;
        let visible = if self.logging.get() {
            map != MapType::RequestTrailers
        } else {
            self.sees(filter, way, trailers)
        };
        if !visible {
            return None;
        }
        cell.borrow().as_ref().map(use_map)
    }

    /// Changes a map, if the filter may see it now.
    pub(crate) fn with_map_mut<R>(
        &self,
        filter: usize,
        map: MapType,
        use_map: impl FnOnce(&mut Headers) -> R,
    ) -> Option<R> {
        let (way, cell, trailers) = self.map_cell(map)?;
        if !self.sees(filter, way, trailers) {
            return None;
        }
        cell.borrow_mut().as_mut().map(use_map)
    }

    /// Reads or changes the body, as far as the filter may see it now.
    pub(crate) fn with_body<R>(
        &self,
        filter: usize,
        way: Way,
        use_body: impl FnOnce(&mut Vec<u8>) -> R,
    ) -> Option<R> {
        let travel = self.travel(way);
        let (_, step) = travel.step_of(filter)?;
        match step.sees_body.get() {
            BodyView::Nothing => None,
            BodyView::Piece => Some(use_body(&mut travel.piece.borrow_mut())),
            BodyView::Held => travel.held.borrow_mut().as_mut().map(use_body),
        }
    }
}
