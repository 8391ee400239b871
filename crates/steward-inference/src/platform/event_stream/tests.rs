use super::*;

fn header(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(name.len()).unwrap()];
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(7);
    bytes.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(value.as_bytes());
    bytes
}

fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let headers: Vec<u8> = headers.iter().flat_map(|(name, value)| header(name, value)).collect();
    let total = PRELUDE_BYTES + headers.len() + payload.len() + SUM_BYTES;
    let mut bytes = u32::try_from(total).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(&u32::try_from(headers.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes.extend_from_slice(&headers);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

fn chunk(event: &str) -> Vec<u8> {
    let payload = json!({ "bytes": STANDARD.encode(event), "p": "abcdefghij" }).to_string();
    let headers = [
        (":event-type", "chunk"),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    message(&headers, payload.as_bytes())
}

fn read(bytes: &[u8], slice: usize) -> Result<String, Garbled> {
    let mut stream = EventStream::default();
    let mut events = Vec::new();
    for piece in bytes.chunks(slice) {
        events.extend(stream.push(piece)?);
    }
    Ok(String::from_utf8(events).unwrap())
}

#[test]
fn a_message_of_the_published_format_is_read() {
    // The empty message of Amazon's own test vectors.
    let empty = [
        0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff,
    ];
    assert_eq!(message(&[], b""), empty);
    assert_eq!(read(&empty, 1).unwrap(), "");
}

#[test]
fn events_come_out_whole_wherever_the_bytes_are_cut() {
    let bytes = [chunk("{\"type\":\"ping\"}"), chunk("{\n\"type\": \"größe\"}")].concat();
    let wanted = "data: {\"type\":\"ping\"}\n\ndata: {\"type\": \"größe\"}\n\n";
    for slice in [1, 2, 3, 7, 64, bytes.len()] {
        assert_eq!(read(&bytes, slice).unwrap(), wanted, "slices of {slice}");
    }
    assert_eq!(read(&bytes[..bytes.len() - 1], 5).unwrap(), "data: {\"type\":\"ping\"}\n\n");
}

#[test]
fn an_exception_becomes_an_error_event() {
    for (name, kind) in [
        ("throttlingException", "rate_limit_error"),
        ("validationException", "invalid_request_error"),
        ("modelTimeoutException", "timeout_error"),
        ("serviceUnavailableException", "overloaded_error"),
        ("internalServerException", "api_error"),
    ] {
        let bytes = message(
            &[(":exception-type", name), (":message-type", "exception")],
            b"{\"message\":\"slow down\"}",
        );
        let wanted = format!("event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":\"slow down\"}}}}\n\n");
        assert_eq!(read(&bytes, 9).unwrap(), wanted);
    }
    let bytes = message(
        &[
            (":message-type", "error"),
            (":error-code", "InternalFailure"),
            (":error-message", "oh"),
        ],
        b"",
    );
    assert!(read(&bytes, 9).unwrap().contains("\"message\":\"oh\""));
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let whole = chunk("{\"type\":\"ping\"}");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let read = read(&bytes, 11);
        // A longer length leaves the message open; the sum over the lengths tells that first.
        assert!(read.is_err(), "byte {at}: {read:?}");
    }
}
