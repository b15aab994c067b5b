//! From token ids to text, and back.

use crate::InferenceError;
use std::path::Path;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{Model, Tokenizer};

/// What a token adds to the text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// One byte of a character that has no token of its own.
    Byte(u8),
    /// Start, end, and the like.
    Nothing,
}

/// The pieces of a `tokenizer.json` of the SentencePiece kind, as Llama and Moonshine have it.
pub(super) struct Vocabulary {
    pieces: Vec<Piece>,
}

impl Vocabulary {
    /// Reads the file, which must name each of `size` ids.
    pub fn read(path: &Path, size: usize) -> Result<Self, InferenceError> {
        let tokenizer = Tokenizer::from_bytes(InferenceError::read(path)?)
            .map_err(|error| InferenceError::bad_file(path, error))?;
        let special = tokenizer.get_added_tokens_decoder();
        let pieces = (0..size as u32)
            .map(|id| {
                if special.get(&id).is_some_and(|token| token.special) {
                    return Ok(Piece::Nothing);
                }
                let token = tokenizer.id_to_token(id).ok_or_else(|| {
                    InferenceError::bad_file(path, format!("no token has the id {id}; the model knows {size}"))
                })?;
                Ok(byte(&token).map_or_else(|| Piece::Text(token.replace('\u{2581}', " ")), Piece::Byte))
            })
            .collect::<Result<_, InferenceError>>()?;
        Ok(Self { pieces })
    }

    /// The tokens of each of some phrases, as they stand within a text. The file may lack the byte pairs that go together;
    /// SentencePiece numbers its pieces in the order in which pairs make them, so that the pieces tell.
    pub fn tokens(&self, phrases: &[impl AsRef<str>]) -> Result<Vec<Vec<u32>>, InferenceError> {
        if phrases.is_empty() {
            return Ok(Vec::new());
        }
        let name = |piece: &Piece| match piece {
            Piece::Text(text) => Some(text.clone()),
            Piece::Byte(byte) => Some(format!("<0x{byte:02X}>")),
            Piece::Nothing => None,
        };
        // Of pieces that are alike, the first.
        let named = self.pieces.iter().enumerate().rev().filter_map(|(id, piece)| Some((name(piece)?, id as u32)));
        let vocabulary: Vocab = named.collect();
        let halves = |piece: &Piece| {
            let Piece::Text(text) = piece else { return Vec::new() };
            let cuts = text.char_indices().skip(1).map(|(at, _)| text.split_at(at));
            let pairs = cuts.filter(|(a, b)| vocabulary.contains_key(*a) && vocabulary.contains_key(*b));
            pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
        };
        let merges: Vec<(String, String)> = self.pieces.iter().flat_map(halves).collect();
        let bad = |error: tokenizers::Error| InferenceError::BadRequest(format!("the vocabulary: {error}"));
        let pairs = BPE::builder().vocab_and_merges(vocabulary, merges).byte_fallback(true).build().map_err(bad)?;
        let spelled = |phrase: &str| phrase.split_whitespace().flat_map(|word| [" ", word]).collect::<String>();
        let tokens = phrases.iter().map(|phrase| pairs.tokenize(&spelled(phrase.as_ref())));
        tokens.map(|tokens| Ok(tokens.map_err(bad)?.iter().map(|token| token.id).collect())).collect()
    }

    /// What each token adds: laid end to end, the text, with its leading space. A character that is spelled in bytes
    /// belongs to its last byte; bytes that are no character become U+FFFD.
    pub fn texts(&self, tokens: &[u32]) -> Vec<String> {
        let mut texts = vec![String::new(); tokens.len()];
        let mut bytes: Vec<u8> = Vec::new();
        for (i, &token) in tokens.iter().enumerate() {
            let piece = self.pieces.get(token as usize).unwrap_or(&Piece::Nothing);
            if let Piece::Byte(byte) = piece {
                bytes.push(*byte);
                if let Ok(whole) = std::str::from_utf8(&bytes) {
                    whole.clone_into(&mut texts[i]);
                    bytes.clear();
                }
                if bytes.len() < 4 && i + 1 < tokens.len() {
                    continue;
                }
            }
            if !bytes.is_empty() {
                // The bytes before this token stay no character.
                let last = if matches!(piece, Piece::Byte(_)) { i } else { i - 1 };
                texts[last] = String::from_utf8_lossy(&bytes).into_owned();
                bytes.clear();
            }
            if let Piece::Text(text) = piece {
                texts[i].clone_from(text);
            }
        }
        texts
    }
}

/// The byte that a token such as `<0x0A>` stands for.
fn byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    let hex = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        let bytes = [0xC3, 0xA9, 0xFF].map(Piece::Byte);
        let mut pieces = vec![Piece::Nothing, Piece::Text(" call".to_owned()), Piece::Text("er".to_owned())];
        pieces.extend(bytes);
        Vocabulary { pieces }
    }

    #[test]
    fn pieces_keep_their_space() {
        assert_eq!(vocabulary().texts(&[1, 2, 0, 1]), [" call", "er", "", " call"]);
    }

    #[test]
    fn words_become_the_pairs_of_the_least_ids() {
        let texts = ["ab", " a", " ab", "b", "a", " ", "c"].map(|text| Piece::Text(text.to_owned()));
        let vocabulary = Vocabulary { pieces: texts.into_iter().chain([0xC3, 0xA9].map(Piece::Byte)).collect() };
        // The pair "ab" goes before " a", and " ab" joins what is left.
        assert_eq!(vocabulary.tokens(&["ab", " ab  acé ", " "]).unwrap(), [vec![2], vec![2, 1, 6, 7, 8], vec![]]);
        assert!(vocabulary.tokens(&[] as &[&str]).unwrap().is_empty());
    }

    #[test]
    fn spelled_characters_come_out_whole() {
        assert_eq!(vocabulary().texts(&[1, 3, 4, 2]), [" call", "", "é", "er"]);
    }

    #[test]
    fn stray_bytes_lose_nothing_around_them() {
        assert_eq!(vocabulary().texts(&[1, 3, 2]), [" call", "\u{FFFD}", "er"]);
        assert_eq!(vocabulary().texts(&[5]), ["\u{FFFD}"]);
        assert_eq!(vocabulary().texts(&[3]), ["\u{FFFD}"]);
        assert_eq!(vocabulary().texts(&[99]), [""]);
        assert_eq!(vocabulary().texts(&[5, 3, 4, 5, 1]).concat(), "\u{FFFD}é\u{FFFD} call");
    }

    #[test]
    fn only_two_hex_digits_are_a_byte() {
        assert_eq!(byte("<0x0A>"), Some(10));
        for token in ["<0x0A", "<0xA>", "<0x00A>", "0x0A", "<0xzz>", "<0x+1>"] {
            assert_eq!(byte(token), None, "{token}");
        }
    }
}
