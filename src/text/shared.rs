//! Shares tokenizers between models with the same definition: a vocabulary takes megabytes, and models of one family
//! have the same.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::definition;
use super::error::TokenizerError;
use super::tokenizer::Tokenizer;

/// The tokenizers in use. Cheap to clone; clones share.
#[derive(Clone, Default)]
pub struct SharedTokenizers {
    in_use: Arc<Mutex<Vec<TokenizerInUse>>>,
}

/// A tokenizer that a model may still use.
struct TokenizerInUse {
    definition: String,
    max_tokens: Option<usize>,
    tokenizer: Weak<Tokenizer>,
}

impl SharedTokenizers {
    /// Loads the tokenizer of a model folder as [`Tokenizer::from_folder`] does. `rows` is the number of rows in the
    /// model's word embedding, if known. Returns the tokenizer in use if there is one with the same definition.
    ///
    /// # Errors
    /// As for [`Tokenizer::from_folder`] and [`Tokenizer::for_rows`].
    pub fn of_folder(
        &self,
        folder: &Path,
        rows: Option<usize>,
    ) -> Result<Arc<Tokenizer>, TokenizerError> {
        let definition = definition::read(folder)?;
        let text = definition.json.to_string();
        let max_tokens = definition.max_tokens;
        let known = |in_use: &[TokenizerInUse]| {
            in_use
                .iter()
                .filter(|known| known.definition == text && known.max_tokens == max_tokens)
                .filter_map(|known| known.tokenizer.upgrade())
                .find(|tokenizer| tokenizer.is_for_rows(rows))
        };
        if let Some(tokenizer) = known(&self.in_use()) {
            return Ok(tokenizer);
        }
        // Without the lock: other loads must not wait for this one.
        let tokenizer = Tokenizer::from_definition(&definition, &text)?;
        let tokenizer = Arc::new(match rows {
            Some(rows) => tokenizer.for_rows(rows)?,
            None => tokenizer,
        });
        let mut in_use = self.in_use();
        // Another load may have added an equal one meanwhile.
        if let Some(other) = known(&in_use) {
            return Ok(other);
        }
        in_use.push(TokenizerInUse {
            definition: text,
            max_tokens,
            tokenizer: Arc::downgrade(&tokenizer),
        });
        Ok(tokenizer)
    }

    /// The tokenizers in use; others are forgotten.
    fn in_use(&self) -> MutexGuard<'_, Vec<TokenizerInUse>> {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.retain(|known| known.tokenizer.strong_count() > 0);
        in_use
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, words: &str) {
        std::fs::write(
            folder.join("vocab.txt"),
            format!("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n{words}"),
        )
        .unwrap();
    }

    #[test]
    fn equal_definitions_are_one_tokenizer_while_it_is_in_use() {
        let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
        for (folder, words) in folders.iter().zip(["a\nb", "a\nb", "b\na"]) {
            write(folder.path(), words);
        }
        let shared = SharedTokenizers::default();
        let [first, same, other] =
            [0, 1, 2].map(|index| shared.of_folder(folders[index].path(), None).unwrap());
        assert!(Arc::ptr_eq(&first, &same));
        assert!(!Arc::ptr_eq(&first, &other));
        assert_eq!(first.tokenize("b a").unwrap().ids, [6, 5]);
        assert_eq!(other.tokenize("b a").unwrap().ids, [5, 6]);
        // A tokenizer with another length limit is not shared.
        let limit = r#"{"model_max_length": 16}"#;
        std::fs::write(folders[1].path().join("tokenizer_config.json"), limit).unwrap();
        let shorter = shared.of_folder(folders[1].path(), None).unwrap();
        assert_eq!((first.max_tokens(512), shorter.max_tokens(512)), (512, 16));
        drop((first, same, shorter));
        shared.of_folder(folders[2].path(), None).unwrap();
        assert_eq!(shared.in_use.lock().unwrap().len(), 1);
    }

    #[test]
    fn equal_definitions_loaded_at_the_same_time_are_one_tokenizer() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a\nb");
        let shared = SharedTokenizers::default();
        let start = std::sync::Barrier::new(8);
        let tokenizers = std::thread::scope(|scope| {
            let loads = [(); 8].map(|()| {
                scope.spawn(|| {
                    start.wait();
                    shared.of_folder(folder.path(), None).unwrap()
                })
            });
            loads.map(|load| load.join().unwrap())
        });
        for tokenizer in &tokenizers {
            assert!(Arc::ptr_eq(tokenizer, &tokenizers[0]));
        }
        assert_eq!(shared.in_use.lock().unwrap().len(), 1);
    }
}
