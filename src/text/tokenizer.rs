//! The tokenizer of a checkpoint: from text to token ids, each with its byte range in the text.
//!
//! # Special tokens in a text
//! A text that spells out a special token, such as `a [SEP] b`, gets that token's id, as in transformers: the ids are
//! equal, token for token. It counts as a token of the text, with offsets and a score. It never moves the bounds of a
//! sequence, which the server sets by position. So a text can confuse the model only about itself. A checkpoint with
//! `"split_special_tokens": true` in `tokenizer_config.json` treats special tokens as plain text.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};
use tokenizers::{
    Decoder, DecoderWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl,
};

use super::added_tokens::added_tokens;
use super::cost::Rules;
use super::definition::{self, Definition};
use super::error::TokenizerError;
use super::model::TextModel;
use super::normalizer::TextNormalizer;
use super::tokenized_text::TokenizedText;
use super::tokenizer_config::FAST_CLASS;
use super::word_cache::WordCache;
use crate::panics::{Panic, caught};

/// A tokenizer, as tokenizer.json describes it.
type HuggingFaceTokenizer = TokenizerImpl<
    TextModel,
    TextNormalizer,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// A text that any valid tokenizer can process.
const PROBE: &str = "A text, read once.";

#[derive(Debug)]
pub struct Tokenizer {
    inner: HuggingFaceTokenizer,
    /// `None` if the words of a text can't be tokenized one by one.
    words: Option<WordCache>,
    rules: Rules,
    special_tokens: SpecialTokens,
    unknown_id: Option<u32>,
    vocabulary_size: usize,
    /// Present if the model has fewer rows than there are ids: the number of rows, and the id of the unknown token,
    /// which replaces all ids from there on.
    beyond: Option<(u32, u32)>,
    max_tokens: Option<usize>,
    /// The settings of special tokens for a `tokenizer_config.json`.
    settings: Map<String, Value>,
}

/// The tokens that enclose a sequence: `[CLS] A [SEP]`, or `[CLS] A [SEP] B [SEP]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecialTokens {
    /// The first token of a sequence.
    pub cls: u32,
    /// The last token of each text in a sequence.
    pub sep: u32,
}

impl Tokenizer {
    /// Loads the tokenizer of a model folder: tokenizer.json, or else vocab.txt, with the settings of
    /// `tokenizer_config.json`. Truncation and padding set in tokenizer.json are switched off.
    ///
    /// # Errors
    /// If a file is missing, unreadable or not an ELECTRA tokenizer's; the error names it.
    pub fn from_folder(folder: &Path) -> Result<Self, TokenizerError> {
        let definition = definition::read(folder)?;
        Self::from_definition(&definition, &definition.json.to_string())
    }

    /// Builds the tokenizer of a definition, given as JSON and as the text of that JSON.
    pub(super) fn from_definition(
        definition: &Definition,
        text: &str,
    ) -> Result<Self, TokenizerError> {
        let Definition {
            json,
            source,
            max_tokens,
            settings,
        } = definition;
        let invalid = |reason: String| TokenizerError::Invalid {
            path: source.clone(),
            reason,
        };
        // The tokenizers library panics on some definitions that contradict themselves.
        let panicked = |Panic { message, place }| {
            invalid(format!(
                "it contradicts itself, and the tokenizers library fails on it: {message} ({place})"
            ))
        };
        let inner: HuggingFaceTokenizer = caught(|| serde_json::from_str(text))
            .map_err(panicked)?
            .map_err(|error| invalid(format!("it does not define a tokenizer: {error}")))?;
        let id = |token: &str| inner.token_to_id(token);

        for added in added_tokens(json) {
            let content = added["content"].as_str().unwrap_or_default();
            if id(content).map(u64::from) != added["id"].as_u64() {
                return Err(invalid(format!(
                    "the added token {content:?} has the id {} in the file, but the vocabulary gives it another: \
                     ids of added tokens must follow those of the vocabulary without a gap",
                    added["id"]
                )));
            }
        }
        let unknown_token = json["model"]["unk_token"].as_str();
        let unknown_id = unknown_token.and_then(id);
        if let (Some(token), None) = (unknown_token, unknown_id) {
            return Err(invalid(format!(
                "its unknown token {token:?} is not in the vocabulary; \
                 name the right one as \"unk_token\" in tokenizer_config.json or tokenizer.json"
            )));
        }
        // Some defects appear only when a text is tokenized.
        caught(|| inner.encode(PROBE, false))
            .map_err(panicked)?
            .map_err(|error| invalid(format!("it can't tokenize a text: {error}")))?;
        let vocabulary_size = inner
            .get_vocab(true)
            .into_values()
            .max()
            .map_or(0, |id| id as usize + 1);
        Ok(Self {
            special_tokens: caught(|| special_tokens(&inner))
                .map_err(panicked)?
                .map_err(invalid)?,
            words: words_stand_alone(&inner).then(WordCache::new),
            rules: rules(&inner),
            inner,
            unknown_id,
            vocabulary_size,
            beyond: None,
            max_tokens: *max_tokens,
            settings: settings.clone(),
        })
    }

    /// Returns the tokenizer as a tokenizer.json that needs no other file.
    ///
    /// # Errors
    /// [`TokenizerError::Json`], if a part of it can't be serialized. This does not happen to a tokenizer that was
    /// read.
    pub fn to_json(&self) -> Result<String, TokenizerError> {
        self.inner
            .to_string(false)
            .map_err(|error| TokenizerError::Json {
                reason: error.to_string(),
            })
    }

    /// Returns a `tokenizer_config.json` for the file of [`Self::to_json`]. It tells the server the longest sequence,
    /// and makes transformers use tokenizer.json unchanged. `most_tokens` is the model's limit.
    #[must_use]
    pub fn config_json(&self, most_tokens: usize) -> String {
        let mut config = self.settings.clone();
        config.insert("tokenizer_class".to_owned(), FAST_CLASS.into());
        config.insert(
            "model_max_length".to_owned(),
            self.max_tokens(most_tokens).into(),
        );
        Value::Object(config).to_string()
    }

    /// The longest sequence for a model that takes `most_tokens`, special tokens included. `model_max_length` in
    /// `tokenizer_config.json` may set a lower limit.
    #[must_use]
    pub fn max_tokens(&self, most_tokens: usize) -> usize {
        self.max_tokens
            .map_or(most_tokens, |limit| limit.min(most_tokens))
    }

    /// Returns all tokens of `text`, without enclosing special tokens.
    ///
    /// # Errors
    /// [`TokenizerError::Text`], if the tokenizer fails.
    pub fn tokenize(&self, text: &str) -> Result<TokenizedText, TokenizerError> {
        match &self.words {
            Some(words) => words.tokenize(text, |unknown| self.encode(unknown)),
            None => self.encode(text),
        }
    }

    /// Estimates how long [`Self::tokenize`] takes for a text of `bytes` bytes.
    ///
    /// Texts whose estimates add up to at most 100 µs take at most a few hundred microseconds, even if they are made to
    /// be slow and the processor's caches are cold. English takes a fortieth to four fifths of its estimate. This holds for
    /// the release profile. A tokenizer with other rules than BERT's is estimated at one second per text.
    #[must_use]
    pub fn estimate(&self, bytes: usize) -> Duration {
        self.rules.estimate(bytes)
    }

    fn encode(&self, text: &str) -> Result<TokenizedText, TokenizerError> {
        let failed = |reason: String| TokenizerError::Text { reason };
        // The panic's message is omitted, because it may quote the text.
        let panicked = |panic: Panic| failed(format!("the library panics at {}", panic.place));
        let encoding = caught(|| self.inner.encode(text, false))
            .map_err(panicked)?
            .map_err(|error| failed(error.to_string()))?;
        let mut ids = encoding.get_ids().to_vec();
        if let Some((rows, unknown)) = self.beyond {
            for id in ids.iter_mut().filter(|id| **id >= rows) {
                *id = unknown;
            }
        }
        Ok(TokenizedText {
            ids,
            offsets: encoding
                .get_offsets()
                .iter()
                .map(|&(start, end)| whole_characters(text, start..end))
                .collect(),
            words: encoding.get_word_ids().to_vec(),
        })
    }

    /// The tokens that enclose a sequence.
    #[must_use]
    pub fn special_tokens(&self) -> SpecialTokens {
        self.special_tokens
    }

    /// The token with an id, in the vocabulary's spelling, such as `##ing`.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<String> {
        let added = self.inner.get_added_vocabulary().get_added_tokens_decoder();
        added
            .get(&id)
            .map(|token| token.content.clone())
            .or_else(|| self.inner.id_to_token(id))
    }

    /// Joins pieces as the tokenizer's decoder does: without `##`, and with spaces between words.
    ///
    /// # Errors
    /// [`TokenizerError::Text`], if the tokenizer fails.
    pub fn join(&self, pieces: Vec<String>) -> Result<String, TokenizerError> {
        let Some(decoder) = self.inner.get_decoder() else {
            return Ok(pieces.join(" "));
        };
        decoder
            .decode(pieces)
            .map_err(|error| TokenizerError::Text {
                reason: error.to_string(),
            })
    }

    /// The id of words that the vocabulary can't spell.
    #[must_use]
    pub fn unknown_id(&self) -> Option<u32> {
        self.unknown_id
    }

    /// The highest id of any token plus one: the least number of rows in the embedding matrix.
    #[must_use]
    pub fn vocabulary_size(&self) -> usize {
        self.vocabulary_size
    }

    /// Adapts the tokenizer to a model with `rows` rows in its word embedding. Added tokens beyond these rows were
    /// never trained: in a text, the unknown token replaces them.
    ///
    /// # Errors
    /// [`TokenizerError::Vocabulary`], if a token of the vocabulary itself, or a special token of every sequence, has
    /// no row.
    pub fn for_rows(mut self, rows: usize) -> Result<Self, TokenizerError> {
        if self.vocabulary_size <= rows {
            return Ok(self);
        }
        let mismatch = TokenizerError::Vocabulary {
            tokens: self.vocabulary_size,
            rows,
        };
        let has_row = |id: u32| usize::try_from(id).is_ok_and(|id| id < rows);
        let vocabulary_fits = self.inner.get_vocab(false).into_values().all(has_row);
        let SpecialTokens { cls, sep } = self.special_tokens;
        let unknown = self.unknown_id.filter(|id| has_row(*id));
        let (Some(unknown), true, Ok(limit)) = (
            unknown,
            vocabulary_fits && has_row(cls) && has_row(sep),
            u32::try_from(rows),
        ) else {
            return Err(mismatch);
        };
        let added = self.inner.get_added_vocabulary().get_added_tokens_decoder();
        let mut beyond: Vec<_> = added.iter().filter(|(id, _)| !has_row(**id)).collect();
        beyond.sort_by_key(|(id, _)| **id);
        let tokens: Vec<&str> = beyond
            .iter()
            .map(|(_, token)| token.content.as_str())
            .collect();
        tracing::warn!(
            rows,
            ?tokens,
            "the tokenizer has tokens without an embedding in the model; texts get the unknown token in their place"
        );
        self.vocabulary_size = rows;
        self.beyond = Some((limit, unknown));
        // Cached words could contain such an id.
        self.words = self.words.is_some().then(WordCache::new);
        Ok(self)
    }

    /// Whether this tokenizer is what [`Self::for_rows`] returns for `rows`; `None` stands for no limit.
    pub(super) fn is_for_rows(&self, rows: Option<usize>) -> bool {
        match self.beyond {
            None => rows.is_none_or(|rows| self.vocabulary_size <= rows),
            Some(_) => rows == Some(self.vocabulary_size),
        }
    }
}

/// The tokens that the post-processor adds to texts, or the reason why they are not ELECTRA's.
fn special_tokens(tokenizer: &HuggingFaceTokenizer) -> Result<SpecialTokens, String> {
    let ids = |encoding: tokenizers::Result<tokenizers::Encoding>| {
        encoding
            .map(|encoding| encoding.get_ids().to_vec())
            .map_err(|error| error.to_string())
    };
    let single = ids(tokenizer.encode("", true))?;
    let pair = ids(tokenizer.encode(("", ""), true))?;
    match (single.as_slice(), pair.as_slice()) {
        (&[cls, sep], pair) if pair == [cls, sep, sep] => {
            let unknown = [cls, sep].into_iter().find(|id| tokenizer.id_to_token(*id).is_none());
            match unknown {
                None => Ok(SpecialTokens { cls, sep }),
                Some(id) => Err(format!(
                    "its post-processor encloses texts in the id {id}, which no token of the vocabulary has"
                )),
            }
        }
        ([], _) => Err(
            "nothing says which tokens start and end a sequence: give it a post-processor, \
             or name \"cls_token\" and \"sep_token\" in tokenizer_config.json as the vocabulary spells them"
                .to_owned(),
        ),
        _ => Err(format!(
            "its post-processor encloses a text in the tokens {single:?} and a pair in {pair:?}, \
             but ELECTRA takes [CLS] A [SEP] and [CLS] A [SEP] B [SEP]"
        )),
    }
}

/// Whether the tokens of a word do not depend on its context.
fn words_stand_alone(tokenizer: &HuggingFaceTokenizer) -> bool {
    let (Some(normalizer), Some(pre_tokenizer)) =
        (tokenizer.get_normalizer(), tokenizer.get_pre_tokenizer())
    else {
        return false;
    };
    let added_tokens = tokenizer.get_added_tokens_decoder();
    WordCache::suits(normalizer, pre_tokenizer, added_tokens.values())
}

/// The rules by which the time of a text is estimated.
fn rules(tokenizer: &HuggingFaceTokenizer) -> Rules {
    let normalizer = tokenizer.get_normalizer();
    let pre_tokenizer = tokenizer.get_pre_tokenizer();
    let is_bert = normalizer.is_some_and(TextNormalizer::is_bert)
        && matches!(
            pre_tokenizer,
            Some(PreTokenizerWrapper::BertPreTokenizer(_))
        )
        && tokenizer.get_model().is_word_piece();
    if is_bert { Rules::Bert } else { Rules::Other }
}

/// Widens a range to character boundaries of the text, so that slicing never fails.
fn whole_characters(text: &str, bytes: Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(bytes.start);
    start..text.ceil_char_boundary(bytes.end).max(start)
}

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod tests;
