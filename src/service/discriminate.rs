//! Replaced-token detection: which tokens or words of a text were replaced.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::context::RequestContext;
use super::handle::{Service, Target};
use super::input::Inputs;
use super::operation::{Answer, Operation, RequestOption, Results, TaskOperation};
use super::windowed::{ScoredText, slice};
use crate::error::ServiceError;
use crate::fields::{Level, Threshold};
use crate::heads::discriminate::{self, is_replaced, replaced_probability, score_words};
use crate::registry::LoadedModel;
use crate::task::Task;
use crate::text::{OffsetEncoding, OffsetMap};

/// Texts to check, and options.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscriminateRequest {
    /// A text or a list of texts.
    pub text: Inputs<String>,
    /// The name or an alias of a model of this task, optionally followed by `@` and a version. If absent, the task's
    /// default model.
    pub model: Option<String>,
    /// The score above which a token or a word counts as fake.
    #[schemars(extend("default" = Threshold::default().get()))]
    pub threshold: Option<Threshold>,
    /// The unit that is scored: tokens of the model's vocabulary, or words as its tokenizer splits them. A word's score
    /// is the highest of its tokens.
    #[schemars(extend("default" = Level::default()))]
    pub level: Option<Level>,
    #[schemars(extend("default" = OffsetEncoding::default()))]
    pub offsets: Option<OffsetEncoding>,
}

/// The scores of one text, in the order of the text. Empty for a text of white space.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Discrimination {
    /// With level `token`.
    Tokens(
        /// All tokens.
        Vec<ScoredToken>,
    ),
    /// With level `word`.
    Words(
        /// All words.
        Vec<ScoredWord>,
    ),
}

/// A token and its score.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ScoredToken {
    /// The token as the vocabulary spells it, such as `##ing`.
    pub token: String,
    /// The start offset in the text as sent.
    pub start: usize,
    /// The end offset, exclusive.
    pub end: usize,
    /// The probability that the token replaced another one.
    #[schemars(range(min = 0, max = 1))]
    pub score: f32,
    /// Whether the score is above the threshold.
    pub fake: bool,
}

/// A word and its score.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ScoredWord {
    /// The word, as in the text.
    pub word: String,
    /// The start offset in the text as sent.
    pub start: usize,
    /// The end offset, exclusive.
    pub end: usize,
    /// The highest score of the word's tokens.
    #[schemars(range(min = 0, max = 1))]
    pub score: f32,
    /// Whether the score is above the threshold.
    pub fake: bool,
}

impl Operation for DiscriminateRequest {
    type Output = Results<Discrimination>;

    fn find(&self, service: &Service) -> Target {
        service.find(Self::TASK, self.model.as_deref())
    }

    async fn run(
        self,
        service: &Service,
        model: Arc<LoadedModel>,
        context: &RequestContext,
    ) -> Result<Answer<Self::Output>, ServiceError> {
        self.text.check("text", &model.info.limits)?;
        let defaults = model.info.defaults;
        let level = self.level.or(defaults.level).unwrap_or_default();
        let threshold = self.threshold.or(defaults.threshold);
        let threshold = threshold.unwrap_or_default().get();
        let encoding = self.offsets.or(defaults.offsets).unwrap_or_default();
        let decode = move |model: &LoadedModel, text: &ScoredText| {
            let offsets = OffsetMap::new(&text.text, encoding);
            match level {
                Level::Token => Discrimination::Tokens(tokens(model, text, threshold, &offsets)),
                Level::Word => Discrimination::Words(words(text, threshold, &offsets)),
            }
        };
        let texts = self.text.into_items();
        let outcome = service
            .score_tokens(&model, texts, 1, context, decode)
            .await?;
        Ok(Answer::of_model(&model, outcome))
    }
}

impl TaskOperation for DiscriminateRequest {
    const TASK: Task = Task::Discriminate;
    const OPTIONS: &'static [RequestOption] = &[
        RequestOption::scalar("threshold"),
        RequestOption::string("level"),
        RequestOption::string("offsets"),
    ];
    type Result = Discrimination;
}

fn tokens(
    model: &LoadedModel,
    scored: &ScoredText,
    threshold: f32,
    offsets: &OffsetMap<'_>,
) -> Vec<ScoredToken> {
    let token = |index: usize| {
        let score = replaced_probability(scored.row(index)[0]);
        let range = offsets.convert(scored.tokens.offsets[index].clone());
        let token = model
            .tokenizer
            .token(scored.tokens.ids[index])
            .unwrap_or_default();
        ScoredToken {
            token,
            start: range.start,
            end: range.end,
            score,
            fake: is_replaced(score, threshold),
        }
    };
    (0..scored.tokens.ids.len()).map(token).collect()
}

fn words(scored: &ScoredText, threshold: f32, offsets: &OffsetMap<'_>) -> Vec<ScoredWord> {
    let probabilities: Vec<f32> = (0..scored.tokens.ids.len())
        .map(|token| replaced_probability(scored.row(token)[0]))
        .collect();
    let word = |word: discriminate::WordScore| {
        let bytes = scored.tokens.offsets[word.tokens.start].start
            ..scored.tokens.offsets[word.tokens.end - 1].end;
        let range = offsets.convert(bytes.clone());
        ScoredWord {
            word: slice(&scored.text, bytes).to_owned(),
            start: range.start,
            end: range.end,
            score: word.score,
            fake: is_replaced(word.score, threshold),
        }
    };
    score_words(&probabilities, &scored.tokens.words)
        .into_iter()
        .map(word)
        .collect()
}

#[cfg(test)]
mod tests;
