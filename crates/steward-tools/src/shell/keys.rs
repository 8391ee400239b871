//! Names of keys, as a terminal sends them.
//!
//! Knows a small closed set; a name outside of it is an error that lists it.

/// The bytes for a list of names such as `up up enter` or `ctrl-c`.
pub(crate) fn bytes_of(names: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for name in names.split_whitespace() {
        let key = key(&name.to_ascii_lowercase());
        bytes.extend(key.ok_or_else(|| format!("{name:?} is no key; keys are enter tab esc space backspace delete up down left right home end pageup pagedown ctrl-a … ctrl-z"))?);
    }
    if bytes.is_empty() {
        return Err("`keys` names no key".into());
    }
    Ok(bytes)
}

fn key(name: &str) -> Option<Vec<u8>> {
    if let Some(letter) = name.strip_prefix("ctrl-").or_else(|| name.strip_prefix("c-")) {
        let [letter @ b'a'..=b'z'] = letter.as_bytes() else { return None };
        return Some(vec![letter - b'a' + 1]);
    }
    let bytes: &[u8] = match name {
        "enter" | "return" => b"\r",
        "tab" => b"\t",
        "esc" | "escape" => b"\x1b",
        "space" => b" ",
        "backspace" => b"\x7f",
        "delete" => b"\x1b[3~",
        "up" => b"\x1b[A",
        "down" => b"\x1b[B",
        "right" => b"\x1b[C",
        "left" => b"\x1b[D",
        "home" => b"\x1b[H",
        "end" => b"\x1b[F",
        "pageup" => b"\x1b[5~",
        "pagedown" => b"\x1b[6~",
        _ => return None,
    };
    Some(bytes.to_vec())
}

#[cfg(test)]
mod tests;
