//! Text to token ids and back, with the vocabulary that the model file carries.
//!
//! Every token is a run of bytes, so text is put together from bytes and given out only at character borders.
//! Never lets the text of a conversation become a control token.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use candle_core::{Result, bail};
use tokenizers::Tokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;

/// The vocabulary.
pub(crate) struct Tokens {
    tokenizer: Tokenizer,
    bytes: Vec<u8>,
    ends: Vec<u32>,
    is_control: Vec<bool>,
    /// How a conversation is written for this model.
    pub(crate) template: Template,
    stops: Vec<u32>,
}

/// How a conversation is written for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Template {
    /// `<|im_start|>role … <|im_end|>`; also taken where the file's own form is not known.
    ChatMl,
    /// `<|start_header_id|>role<|end_header_id|> … <|eot_id|>`.
    Llama3,
}

impl Tokens {
    /// Reads the vocabulary out of the file's header.
    pub(crate) fn read(content: &Content) -> Result<Tokens> {
        let mut tokenizer = Tokenizer::from_gguf(content)?;
        let split = content.metadata.get("tokenizer.ggml.pre").and_then(|value| value.to_string().ok());
        // The reader puts a space before every text for splits it does not know; this family neither wants one nor joins digits.
        if let Some("smollm") = split.map(String::as_str) {
            let steps = vec![Digits::new(true).into(), ByteLevel::new(false, false, true).into()];
            tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
        } else if matches!(split.map(String::as_str), None | Some("gpt-2" | "gpt2" | "default")) {
            tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, false, true)));
        }
        let pieces = match content.metadata.get("tokenizer.ggml.tokens") {
            Some(Value::Array(pieces)) => pieces,
            Some(_) | None => bail!("the file holds no vocabulary"),
        };
        let kinds = match content.metadata.get("tokenizer.ggml.token_type") {
            Some(Value::Array(kinds)) => kinds.as_slice(),
            Some(_) | None => &[],
        };
        let (bytes, ends, is_control) = spell(pieces, kinds)?;
        let mut tokens = Tokens {
            tokenizer,
            bytes,
            ends,
            is_control,
            template: Template::ChatMl,
            stops: Vec::new(),
        };
        if tokens.id("<|start_header_id|>").is_some() {
            tokens.template = Template::Llama3;
        }
        let declared = content
            .metadata
            .get("tokenizer.ggml.eos_token_id")
            .and_then(|value| value.to_u32().ok());
        let known = ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "</s>"];
        tokens.stops = known.iter().filter_map(|name| tokens.id(name)).chain(declared).collect();
        Ok(tokens)
    }

    /// The bytes of a token; control tokens have none.
    pub(crate) fn bytes_of(&self, id: u32) -> &[u8] {
        let index = id as usize;
        let Some(end) = self.ends.get(index) else { return &[] };
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start as usize..*end as usize]
    }

    /// Does this token end an answer?
    pub(crate) fn is_stop(&self, id: u32) -> bool {
        self.stops.contains(&id)
    }

    /// Is it a mark of the template and not text?
    pub(crate) fn is_control(&self, id: u32) -> bool {
        self.is_control.get(id as usize).copied().unwrap_or(true)
    }

    /// The ids of plain text. What looks like a control token in it stays text.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let harmless = text.replace("<|", "< |");
        self.encode_marked(&harmless)
    }

    fn encode_marked(&self, text: &str) -> Result<Vec<u32>> {
        match self.tokenizer.encode_fast(text, false) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(problem) => bail!("the text cannot be cut into tokens: {problem}"),
        }
    }

    /// The ids of a conversation of (role, text), ending where the assistant is to speak.
    pub(crate) fn encode_chat(&self, messages: &[(&str, &str)]) -> Result<Vec<u32>> {
        let (before, between, after) = match self.template {
            Template::ChatMl => ("<|im_start|>", "\n", "<|im_end|>"),
            Template::Llama3 => ("<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"),
        };
        let mut ids = Vec::new();
        if self.template == Template::Llama3 {
            ids.extend(self.id("<|begin_of_text|>"));
        }
        for (role, text) in messages {
            ids.extend(self.encode_marked(&format!("{before}{role}{between}"))?);
            ids.extend(self.encode(text)?);
            ids.extend(self.encode_marked(after)?);
            if self.template == Template::ChatMl {
                ids.extend(self.encode_marked("\n")?);
            }
        }
        ids.extend(self.encode_marked(&format!("{before}assistant{between}"))?);
        Ok(ids)
    }

    fn id(&self, name: &str) -> Option<u32> {
        self.tokenizer.token_to_id(name)
    }
}

/// The bytes of every token in one run, where each ends, and which are control tokens.
fn spell(pieces: &[Value], kinds: &[Value]) -> Result<(Vec<u8>, Vec<u32>, Vec<bool>)> {
    let letters = byte_letters();
    let (mut bytes, mut ends, mut is_control) = (Vec::new(), Vec::with_capacity(pieces.len()), Vec::with_capacity(pieces.len()));
    for (index, piece) in pieces.iter().enumerate() {
        // 1 is plain text in llama.cpp's list of token types; files without the list hold text only.
        let kind = kinds.get(index).and_then(|kind| kind.to_i32().ok()).unwrap_or(1);
        is_control.push(kind != 1);
        if kind == 1 {
            for letter in piece.to_string()?.chars() {
                match letters.get(&letter) {
                    Some(byte) => bytes.push(*byte),
                    None => bytes.extend(letter.to_string().bytes()),
                }
            }
        }
        ends.push(bytes.len() as u32);
    }
    Ok((bytes, ends, is_control))
}

/// Byte-level vocabularies write each byte as one printable letter; this is the way back.
fn byte_letters() -> HashMap<char, u8> {
    let is_printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 256u32;
    let mut letters = HashMap::new();
    for byte in 0..=u8::MAX {
        let letter = if is_printable(byte) {
            char::from(byte)
        } else {
            next += 1;
            char::from_u32(next - 1).expect("the letters from 256 to 323 exist")
        };
        letters.insert(letter, byte);
    }
    letters
}

/// Puts bytes together and gives out text at character borders, holding back what may become a stop text.
pub(crate) struct TextStream<'a> {
    stops: &'a [String],
    held: Vec<u8>,
    is_ended: bool,
}

impl<'a> TextStream<'a> {
    /// A stream that ends at any of `stops`.
    pub(crate) fn new(stops: &'a [String]) -> Self {
        TextStream {
            stops,
            held: Vec::new(),
            is_ended: false,
        }
    }

    /// Has a stop text come?
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Takes bytes and gives the text that is certain now.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        for stop in self.stops.iter().filter(|stop| !stop.is_empty()) {
            if let Some(at) = find(&self.held, stop.as_bytes()) {
                self.is_ended = true;
                self.held.truncate(at);
                return self.finish();
            }
        }
        let whole = whole_characters(&self.held);
        let certain = whole - self.waiting_for_stop(whole);
        let rest = self.held.split_off(certain);
        let ready = std::mem::replace(&mut self.held, rest);
        String::from_utf8_lossy(&ready).into_owned()
    }

    /// Gives what was held back.
    pub(crate) fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.held);
        String::from_utf8_lossy(&rest[..whole_characters(&rest)]).into_owned()
    }

    /// How many bytes at the end of the first `len` could be the beginning of a stop text.
    fn waiting_for_stop(&self, len: usize) -> usize {
        let seen = &self.held[..len];
        let longest = |stop: &String| {
            (1..=stop.len().min(len))
                .rev()
                .find(|n| seen.ends_with(&stop.as_bytes()[..*n]))
                .unwrap_or(0)
        };
        self.stops.iter().map(longest).max().unwrap_or(0)
    }
}

/// The length without a character that is only begun at the end.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(problem) if problem.error_len().is_none() => problem.valid_up_to(),
        Err(_) => bytes.len(),
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests;
