//! E.
use crate::egress::Quirks;
use crate::emitter::Emitter;
use crate::sse::Frame;

#[derive(Debug, Default)]
pub(crate) struct Decoder;

impl Decoder {
    pub(crate) fn new(_quirks: Quirks) -> Self {
        Decoder
    }
    pub(crate) fn frame(&mut self, _frame: &Frame, _emitter: &mut Emitter) {}
    pub(crate) fn end(&mut self, _emitter: &mut Emitter) {}
}
