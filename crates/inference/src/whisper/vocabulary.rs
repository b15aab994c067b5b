//! From token ids to text and back.

use super::config::Marks;
use crate::InferenceError;
use crate::text::whole_characters;
use std::collections::HashMap;
use std::path::Path;
use tokenizers::Tokenizer;

/// A `tokenizer.json` of the byte-level kind, as GPT-2 and Whisper have it.
pub(super) struct Vocabulary {
    tokenizer: Tokenizer,
    /// What each token of text stands for; the marks stand for nothing.
    pieces: Vec<Vec<u8>>,
    /// By the order of their tokens.
    languages: Vec<String>,
}

impl Vocabulary {
    /// Reads the file, which must name each token of text.
    pub fn read(path: &Path, marks: Marks) -> Result<Self, InferenceError> {
        let bad = |reason: String| InferenceError::bad_file(path, reason);
        let tokenizer = Tokenizer::from_bytes(InferenceError::read(path)?)
            .map_err(|error| InferenceError::bad_file(path, error))?;
        let name = |id: u32| tokenizer.id_to_token(id).ok_or_else(|| bad(format!("no token has the id {id}")));
        let bytes: HashMap<char, u8> = byte_characters().collect();
        let piece = |id: u32| {
            let token = name(id)?;
            let byte = |c| bytes.get(&c).copied();
            token.chars().map(byte).collect::<Option<_>>().ok_or_else(|| bad(format!("the token {id} is no bytes")))
        };
        let pieces = (0..marks.end).map(piece).collect::<Result<_, _>>()?;
        let language = |nth: u32| {
            let token = name(marks.first_language + nth)?;
            let code = token.strip_prefix("<|").and_then(|token| token.strip_suffix("|>"));
            code.map(str::to_owned).ok_or_else(|| bad(format!("the token {token} names no language")))
        };
        let languages = (0..marks.languages.unwrap_or(0)).map(language).collect::<Result<_, _>>()?;
        Ok(Self { tokenizer, pieces, languages })
    }

    /// What each token adds: laid end to end, the text. A character belongs to its last byte's token.
    pub fn texts(&self, tokens: &[u32]) -> Vec<String> {
        let mut bytes = Vec::new();
        let mut texts: Vec<String> = Vec::with_capacity(tokens.len());
        for token in tokens {
            bytes.extend(self.pieces.get(*token as usize).into_iter().flatten());
            texts.push(whole_characters(&mut bytes));
        }
        if let Some(last) = texts.last_mut() {
            last.push_str(&String::from_utf8_lossy(&bytes));
        }
        texts
    }

    /// The tokens of a text.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>, InferenceError> {
        let encoded = self.tokenizer.encode_fast(text, false);
        let encoded = encoded.map_err(|error| InferenceError::BadRequest(format!("the prompt is no text: {error}")))?;
        Ok(encoded.get_ids().to_vec())
    }

    /// Language codes, in the order of their tokens.
    pub fn languages(&self) -> &[String] {
        &self.languages
    }
}

/// How the byte-level kind writes bytes as characters (openai/gpt-2, `src/encoder.py`, `bytes_to_unicode`): those that can
/// be seen stand for themselves, the others for characters from U+0100 on.
fn byte_characters() -> impl Iterator<Item = (char, u8)> {
    let mut others = 0x100;
    (0..=255u8).map(move |byte| {
        let character = match byte {
            b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
            _ => {
                others += 1;
                char::from_u32(others - 1).unwrap_or_default()
            }
        };
        (character, byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_characters_that_the_published_files_use() {
        let of = |byte: u8| byte_characters().find(|(_, known)| *known == byte).unwrap().0;
        assert_eq!([b'a', b' ', b'\n', 0xC3, 0xAD].map(of), ['a', 'Ġ', 'Ċ', 'Ã', 'Ń']);
    }
}
