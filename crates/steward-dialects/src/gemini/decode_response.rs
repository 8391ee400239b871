//! Reads a Gemini answer that came as one body. A list of answers, as a stream without events gives it, is read in order.

use serde_json::Value;

use super::decode_stream::Decoder;
use crate::emitter::Emitter;

/// Reads the answer. It has the form of a stream's pieces.
pub(crate) fn decode_response(value: Value, emitter: &mut Emitter) {
    let mut decoder = Decoder::default();
    match value {
        Value::Array(pieces) => pieces.iter().for_each(|piece| decoder.piece(piece, emitter)),
        piece => decoder.piece(&piece, emitter),
    }
    decoder.end(emitter);
}
