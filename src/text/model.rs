//! The tokenizer's model, with a faster `WordPiece`.

use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};
use tokenizers::models::TrainerWrapper;
use tokenizers::{Model, ModelWrapper, Result, Token};

use super::word_piece::WordPiece;

/// Gives the same tokens as the wrapped model.
#[derive(Deserialize)]
#[serde(try_from = "ModelWrapper")]
pub struct TextModel {
    model: ModelWrapper,
    /// Present if the model is `WordPiece`.
    word_piece: Option<WordPiece>,
}

impl TextModel {
    /// Whether the model is `WordPiece`.
    pub(super) fn is_word_piece(&self) -> bool {
        self.word_piece.is_some()
    }
}

impl TryFrom<ModelWrapper> for TextModel {
    type Error = tokenizers::Error;

    fn try_from(model: ModelWrapper) -> Result<Self> {
        let word_piece = match &model {
            ModelWrapper::WordPiece(model) => Some(WordPiece::try_new(model)?),
            ModelWrapper::BPE(_) | ModelWrapper::WordLevel(_) | ModelWrapper::Unigram(_) => None,
        };
        Ok(Self { model, word_piece })
    }
}

impl Serialize for TextModel {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.model.serialize(serializer)
    }
}

impl Debug for TextModel {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.model.fmt(formatter)
    }
}

impl Model for TextModel {
    type Trainer = TrainerWrapper;

    fn tokenize(&self, word: &str) -> Result<Vec<Token>> {
        match &self.word_piece {
            Some(word_piece) => word_piece.tokenize(word),
            None => self.model.tokenize(word),
        }
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.model.token_to_id(token)
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.model.id_to_token(id)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        self.model.get_vocab()
    }

    fn get_vocab_size(&self) -> usize {
        self.model.get_vocab_size()
    }

    fn save(&self, folder: &Path, prefix: Option<&str>) -> Result<Vec<PathBuf>> {
        self.model.save(folder, prefix)
    }

    fn get_trainer(&self) -> TrainerWrapper {
        self.model.get_trainer()
    }
}
