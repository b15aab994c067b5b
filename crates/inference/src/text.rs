//! Bytes as text.

/// Takes the whole characters off the front of bytes, and leaves what may be the beginning of one; bytes that can be none
/// become U+FFFD.
pub fn whole_characters(bytes: &mut Vec<u8>) -> String {
    let end = match std::str::from_utf8(bytes) {
        Err(e) if e.error_len().is_none() => e.valid_up_to(),
        Ok(_) | Err(_) => bytes.len(),
    };
    let rest = bytes.split_off(end);
    let text = String::from_utf8_lossy(bytes).into_owned();
    *bytes = rest;
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_cut_in_two_comes_whole() {
        let mut bytes = vec![b' ', 0xC3];
        assert_eq!(whole_characters(&mut bytes), " ");
        bytes.push(0xA9);
        assert_eq!(whole_characters(&mut bytes), "é");
        bytes.extend([0xFF, b'a']);
        assert_eq!(whole_characters(&mut bytes), "\u{FFFD}a");
        assert!(bytes.is_empty());
    }
}
