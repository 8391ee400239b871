use super::*;

fn parsed(line: &str) -> Option<(usize, usize, bool, bool)> {
    Mapping::parse(line.as_bytes()).map(|part| (part.start, part.end, part.is_private_data, part.is_file))
}

#[test]
fn parts_of_memory_are_told_apart() {
    assert_eq!(
        parsed("7f00-7fff rw-p 00000000 00:00 0 "),
        Some((0x7f00, 0x7fff, true, false)),
        "private data without a name"
    );
    assert_eq!(
        parsed("10-20 rw-p 00000000 00:00 0                          [heap]"),
        Some((0x10, 0x20, true, false))
    );
    assert_eq!(
        parsed("10-20 rw-p 00000000 00:00 0                          [stack]"),
        Some((0x10, 0x20, false, false))
    );
    assert_eq!(
        parsed("10-20 rw-p 00001000 fe:01 77                         /usr/bin/x"),
        Some((0x10, 0x20, false, true))
    );
    assert_eq!(parsed("10-20 r--p 00000000 00:00 0 "), Some((0x10, 0x20, false, false)));
    assert_eq!(parsed("nonsense"), None);
}

#[test]
fn the_list_of_children_has_a_path() {
    let mut path = [0; 64];
    write_children_path(&mut path, libc::pid_t::MAX);
    let text = std::ffi::CStr::from_bytes_until_nul(&path).expect("it ends");
    assert_eq!(text, c"/proc/2147483647/task/2147483647/children");
}
