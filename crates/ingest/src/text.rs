//! The text of a list, whatever program saved it: UTF-8 or UTF-16, with a byte order mark or without.

use std::borrow::Cow;

/// Bytes that are looked at to tell UTF-16 without a mark: a header of Latin letters fills them.
const LOOKED_AT: usize = 64;

/// The file as UTF-8, where it is UTF-16; else as it is, its byte order mark taken off. An error says what is wrong with it.
pub(crate) fn decode(content: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    match content {
        [0xef, 0xbb, 0xbf, rest @ ..] => Ok(Cow::Borrowed(rest)),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Err("is UTF-32; save it as CSV in UTF-8".into()),
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => {
            // Every other byte of Latin letters in UTF-16 is zero, and no byte of text in UTF-8 is. Names of other scripts may
            // stand among them.
            let start = &content[..content.len().min(LOOKED_AT) & !1];
            let zeros = |from: usize| start.iter().skip(from).step_by(2).filter(|&&byte| byte == 0).count();
            let (even, odd, half) = (zeros(0), zeros(1), start.len() / 4);
            if even > odd * 4 && even >= half {
                wide(content, u16::from_be_bytes)
            } else if odd > even * 4 && odd >= half {
                wide(content, u16::from_le_bytes)
            } else if content.contains(&0) {
                Err("holds zero bytes, which no list has; save it again, as CSV in UTF-8".into())
            } else {
                Ok(Cow::Borrowed(content))
            }
        }
    }
}

fn wide(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Cow<'_, [u8]>, String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let text: Result<String, _> = char::decode_utf16(pairs.iter().map(|&pair| unit(pair))).collect();
    match text {
        // What is not whole may lack a row whose customer denied.
        Ok(text) if rest.is_empty() => Ok(Cow::Owned(text.into_bytes())),
        _ => Err("is UTF-16 that is cut off or broken; save it again, as CSV in UTF-8".into()),
    }
}

/// The text that these bytes most likely are where they are not UTF-8: bytes of Latin-1. For names alone, which must be
/// compared with those of files; a cell that needs it is not trusted.
pub(crate) fn latin(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, mark: bool, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let mark = mark.then_some('\u{feff}');
        mark.into_iter().chain(text.chars()).collect::<String>().encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn every_form_of_unicode() {
        let text = "recording,call_id,customer_consent\nMüller 電話.wav,1,denied\n";
        for mark in [true, false] {
            for unit in [u16::to_le_bytes, u16::to_be_bytes] {
                let bytes = utf16(text, mark, unit);
                assert_eq!(decode(&bytes).unwrap(), text.as_bytes(), "{mark}");
                assert!(decode(&bytes[..bytes.len() - 1]).unwrap_err().contains("UTF-16"));
            }
        }
        assert_eq!(decode(text.as_bytes()).unwrap(), text.as_bytes());
        assert_eq!(decode(format!("\u{feff}{text}").as_bytes()).unwrap(), text.as_bytes());
        let mixed = "recording,customer\u{a0}consent\n電話 三番.wav,denied\n";
        assert_eq!(decode(&utf16(mixed, false, u16::to_be_bytes)).unwrap(), mixed.as_bytes());
        assert!(decode(b"recording,call_id\na.wav,\0\n").unwrap_err().contains("zero bytes"));
        assert_eq!(decode(b"").unwrap(), &b""[..]);
        assert_eq!(decode(b"a\0").unwrap(), &b"a"[..]);
        // Half of a surrogate pair.
        assert!(decode(b"\xff\xfe\x3d\xd8a\0").is_err());
        assert_eq!(latin(b"M\xfcller"), "Müller");
    }
}
