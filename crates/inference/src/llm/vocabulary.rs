//! Tokens and their bytes, and how a model wants to be spoken to.

use super::Prompt;
use super::weights::Gguf;
use crate::InferenceError;
use candle_core::quantized::gguf_file::Value;
use std::collections::HashMap;
use std::path::Path;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer};

/// How `tokenizer.ggml.pre` parts a text before its bytes are paired: the pattern of the model's own tokenizer.json.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA_BPE: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// `tokenizer.ggml.token_type`: control tokens and those that a user added.
const CONTROL: u64 = 3;
const ADDED: u64 = 4;

/// How turns of a chat are marked. What the vocabulary has decides: architectures are shared by models of several styles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chat {
    /// Qwen and others: `<|im_start|>`.
    Ml,
    /// Llama 3: `<|start_header_id|>`.
    Llama3,
    /// Gemma: `<start_of_turn>`; it has no system turn.
    Gemma,
    /// Phi 3: `<|user|>`.
    Phi3,
    /// None of these: the texts alone.
    Plain,
}

/// A tokenizer that also knows each token's bytes.
pub(super) struct Vocabulary {
    tokenizer: Tokenizer,
    /// The bytes of all tokens, end to end; special tokens have none.
    bytes: Vec<u8>,
    /// Where each token's bytes end.
    ends: Vec<u32>,
    chat: Chat,
}

impl Vocabulary {
    /// From `tokenizer.json` where the folder has one, else from what the .gguf file at `path` says.
    pub(super) fn load(folder: &Path, path: &Path, gguf: &Gguf) -> Result<Self, InferenceError> {
        let json = folder.join("tokenizer.json");
        let (file, mut tokenizer) = if json.is_file() {
            let tokenizer = Tokenizer::from_bytes(InferenceError::read(&json)?);
            (&*json, tokenizer.map_err(|error| InferenceError::bad_file(&json, error))?)
        } else {
            (path, from_gguf(gguf).map_err(|reason| InferenceError::bad_file(path, reason))?)
        };
        let plain = tokenizer.with_padding(None).with_truncation(None).map(|_| ());
        plain.map_err(|error| InferenceError::bad_file(file, error))?;
        // What was said in a call may look like a mark of the chat, and is none.
        tokenizer.set_encode_special_tokens(true);
        Ok(Self::new(tokenizer))
    }

    fn new(tokenizer: Tokenizer) -> Self {
        let vocabulary = tokenizer.get_vocab(true);
        let count = vocabulary.values().max().map_or(0, |&last| last as usize + 1);
        let mut names = vec![""; count];
        for (name, &id) in &vocabulary {
            names[id as usize] = name;
        }
        let special: Vec<u32> =
            tokenizer.get_added_tokens_decoder().iter().filter(|(_, token)| token.special).map(|(&id, _)| id).collect();
        let added = tokenizer.get_added_tokens_decoder();
        let alphabet = byte_level();
        // A vocabulary of bytes writes every space as Ġ and has no ▁; one of SentencePiece the other way round.
        let levels = names.iter().filter(|name| name.contains('\u{120}')).count();
        let pieces = names.iter().filter(|name| name.contains('\u{2581}')).count();
        let byte_level = levels >= pieces;
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(count));
        for (id, name) in names.iter().enumerate() {
            let id = id as u32;
            if added.contains_key(&id) && !special.contains(&id) {
                bytes.extend_from_slice(name.as_bytes());
            } else if !special.contains(&id) {
                spell(name, byte_level.then_some(&alphabet), &mut bytes);
            }
            ends.push(bytes.len() as u32);
        }
        let has = |name: &str| tokenizer.token_to_id(name).is_some();
        let chat = if has("<|im_start|>") {
            Chat::Ml
        } else if has("<|start_header_id|>") {
            Chat::Llama3
        } else if has("<start_of_turn>") {
            Chat::Gemma
        } else if has("<|user|>") && has("<|end|>") {
            Chat::Phi3
        } else {
            Chat::Plain
        };
        Self { tokenizer, bytes, ends, chat }
    }

    /// The bytes of a token; none of one that the vocabulary lacks, or that only marks something.
    pub(super) fn bytes(&self, token: usize) -> &[u8] {
        let start = token.checked_sub(1).map_or(0, |before| self.ends.get(before).copied().unwrap_or(0));
        self.ends.get(token).map_or(&[], |&end| &self.bytes[start as usize..end as usize])
    }

    /// The token ids of a text, without any that mark its ends.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>, InferenceError> {
        let encoded = self.tokenizer.encode_fast(text, false);
        let encoded =
            encoded.map_err(|error| InferenceError::BadRequest(format!("a prompt cannot be tokenized: {error}")))?;
        Ok(encoded.get_ids().to_vec())
    }

    /// The token ids of a prompt in the model's style, up to where its answer begins.
    pub(super) fn prompt(&self, prompt: &Prompt) -> Result<Vec<u32>, InferenceError> {
        let (system, user) = (&*prompt.system, &*prompt.user);
        let mut ids: Vec<u32> = Vec::new();
        let mark = |name: &str, ids: &mut Vec<u32>| ids.extend(self.tokenizer.token_to_id(name));
        let say = |text: &str, ids: &mut Vec<u32>| -> Result<(), InferenceError> {
            ids.extend(self.encode(text)?);
            Ok(())
        };
        match self.chat {
            Chat::Ml => {
                for (role, text) in [("system", system), ("user", user)] {
                    mark("<|im_start|>", &mut ids);
                    say(&format!("{role}\n{text}"), &mut ids)?;
                    mark("<|im_end|>", &mut ids);
                    say("\n", &mut ids)?;
                }
                mark("<|im_start|>", &mut ids);
                say("assistant\n", &mut ids)?;
                // A model that thinks first has done so already: what its own template writes for `enable_thinking=False`.
                if self.tokenizer.token_to_id("<think>").is_some() {
                    mark("<think>", &mut ids);
                    say("\n\n", &mut ids)?;
                    mark("</think>", &mut ids);
                    say("\n\n", &mut ids)?;
                }
            }
            Chat::Llama3 => {
                mark("<|begin_of_text|>", &mut ids);
                for (role, text) in [("system", Some(system)), ("user", Some(user)), ("assistant", None)] {
                    mark("<|start_header_id|>", &mut ids);
                    say(role, &mut ids)?;
                    mark("<|end_header_id|>", &mut ids);
                    say("\n\n", &mut ids)?;
                    if let Some(text) = text {
                        say(text, &mut ids)?;
                        mark("<|eot_id|>", &mut ids);
                    }
                }
            }
            Chat::Gemma => {
                mark("<bos>", &mut ids);
                mark("<start_of_turn>", &mut ids);
                say(&format!("user\n{system}\n\n{user}"), &mut ids)?;
                mark("<end_of_turn>", &mut ids);
                say("\n", &mut ids)?;
                mark("<start_of_turn>", &mut ids);
                say("model\n", &mut ids)?;
            }
            Chat::Phi3 => {
                for (role, text) in [("<|system|>", system), ("<|user|>", user)] {
                    mark(role, &mut ids);
                    say(&format!("\n{text}"), &mut ids)?;
                    mark("<|end|>", &mut ids);
                    say("\n", &mut ids)?;
                }
                mark("<|assistant|>", &mut ids);
                say("\n", &mut ids)?;
            }
            Chat::Plain => {
                mark("<s>", &mut ids);
                say(&format!("{system}\n\n{user}\n\n"), &mut ids)?;
            }
        }
        Ok(ids)
    }
}

/// GPT-2's letters for bytes: printable bytes stand for themselves, the others for letters from 256 on.
/// `bytes_to_unicode` of <https://github.com/openai/gpt-2/blob/master/src/encoder.py>.
fn byte_level() -> HashMap<char, u8> {
    let plain = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut other = 0;
    (0..=255u8)
        .map(|byte| {
            if plain(byte) {
                return (char::from(byte), byte);
            }
            other += 1;
            (char::from_u32(255 + other).unwrap_or_default(), byte)
        })
        .collect()
}

/// Adds a token's bytes: by the alphabet of a vocabulary of bytes, or as SentencePiece writes them (▁ is a space, <0x0A> a
/// byte). A name that the alphabet lacks has none.
fn spell(name: &str, alphabet: Option<&HashMap<char, u8>>, bytes: &mut Vec<u8>) {
    let Some(alphabet) = alphabet else {
        let byte = name.strip_prefix("<0x").and_then(|name| name.strip_suffix('>'));
        match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(name.replace('\u{2581}', " ").as_bytes()),
        }
        return;
    };
    let start = bytes.len();
    for letter in name.chars() {
        let Some(&byte) = alphabet.get(&letter) else {
            bytes.truncate(start);
            return;
        };
        bytes.push(byte);
    }
}

/// The tokenizer that a .gguf file carries: byte-level pairs, with the way of Qwen or Llama 3 to part a text.
fn from_gguf(gguf: &Gguf) -> Result<Tokenizer, String> {
    let way_out = "put the model's tokenizer.json beside it";
    let text = |key: &str| gguf.get(key).and_then(|value| value.to_string().ok()).map_or("", String::as_str);
    let list = |key: &str| match gguf.get(key) {
        Some(Value::Array(values)) => Ok(values),
        _ => Err(format!("{key} is missing; {way_out}")),
    };
    let model = text("tokenizer.ggml.model");
    if model != "gpt2" {
        return Err(format!("its tokenizer is of the kind `{model}`, which is not read from a .gguf file; {way_out}"));
    }
    let pattern = match text("tokenizer.ggml.pre") {
        "qwen2" => QWEN2,
        "llama-bpe" | "llama3" => LLAMA_BPE,
        other => return Err(format!("tokenizer.ggml.pre is `{other}`, which is not known; {way_out}")),
    };
    let names = list("tokenizer.ggml.tokens")?.iter().map(|name| name.to_string().cloned());
    let names: Vec<String> = names.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let kinds = list("tokenizer.ggml.token_type")?
        .iter()
        .map(|kind| kind.to_u32().map(u64::from).or_else(|_| kind.to_i32().map(|k| k as u64)));
    let kinds: Vec<u64> = kinds.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let merges = list("tokenizer.ggml.merges")?.iter().filter_map(|pair| pair.to_string().ok()?.split_once(' '));
    let merges: Vec<(String, String)> = merges.map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
    let vocabulary: Vocab = names.iter().cloned().zip(0u32..).collect();
    let bad = |error: tokenizers::Error| format!("{error}; {way_out}");
    let model = BPE::builder().vocab_and_merges(vocabulary, merges).build().map_err(bad)?;
    let mut tokenizer = Tokenizer::new(model);
    let split =
        Split::new(SplitPattern::Regex(pattern.into()), SplitDelimiterBehavior::Isolated, false).map_err(bad)?;
    tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![
        PreTokenizerWrapper::Split(split),
        PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, false)),
    ])));
    let of = |kind: u64| names.iter().zip(&kinds).filter(move |(_, k)| **k == kind).map(|(name, _)| name);
    let control: Vec<AddedToken> = of(CONTROL).map(|name| AddedToken::from(name.as_str(), true)).collect();
    tokenizer.add_special_tokens(control).map_err(bad)?;
    let added: Vec<AddedToken> = of(ADDED).map(|name| AddedToken::from(name.as_str(), false)).collect();
    tokenizer.add_tokens(added).map_err(bad)?;
    Ok(tokenizer)
}
