//! Lines, fields and the end of a stream.

use super::{Frame, Framer};

fn check(stream: &str, wanted: &[(&str, &str)]) {
    let wanted: Vec<Frame> = wanted
        .iter()
        .map(|(event, data)| Frame {
            event: (*event).to_owned(),
            data: (*data).to_owned(),
        })
        .collect();
    for size in [1, 2, 3, stream.len().max(1)] {
        let mut framer = Framer::default();
        let mut frames: Vec<Frame> = stream
            .as_bytes()
            .chunks(size)
            .flat_map(|piece| framer.push(piece).expect("small"))
            .collect();
        frames.extend(framer.finish());
        assert_eq!(frames, wanted, "in pieces of {size}");
    }
}

#[test]
fn events_end_at_a_blank_line_of_any_kind() {
    check("data: a\n\ndata: b\r\n\r\ndata: c\r\r", &[("", "a"), ("", "b"), ("", "c")]);
}

#[test]
fn comments_ids_and_retries_are_no_events() {
    check(": ping\n\nid: 1\nretry: 5\n\nevent: x\ndata:y\n\n", &[("x", "y")]);
}

#[test]
fn data_lines_are_joined_and_one_space_is_taken_off() {
    check("data:  a\ndata\ndata:b\n\n", &[("", " a\n\nb")]);
}

#[test]
fn an_event_without_its_blank_line_counts_at_the_end() {
    check("event: x\ndata: a", &[("x", "a")]);
    check("data: a\n", &[("", "a")]);
}

#[test]
fn a_byte_order_mark_is_skipped() {
    check("\u{feff}data: a\n\n", &[("", "a")]);
}

#[test]
fn characters_split_between_pieces_stay_whole() {
    check("data: Grüß 🌍\n\n", &[("", "Grüß 🌍")]);
}
