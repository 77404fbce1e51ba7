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

/// What to look at, and how.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscriminateRequest {
    /// A text, or a list of texts.
    pub text: Inputs<String>,
    /// The name or an alias of a model of this task, or either with `@` and a version. Where it is absent, the task's default.
    pub model: Option<String>,
    /// A score above it is called fake.
    #[schemars(extend("default" = Threshold::default().get()))]
    pub threshold: Option<Threshold>,
    /// Tokens of the model's vocabulary, or words as its tokenizer splits them; a word has the highest score of its tokens.
    #[schemars(extend("default" = Level::default()))]
    pub level: Option<Level>,
    #[schemars(extend("default" = OffsetEncoding::default()))]
    pub offsets: Option<OffsetEncoding>,
}

/// What was found in one text, in its order; nothing for a text of white space.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Discrimination {
    /// At level token.
    Tokens(
        /// Every token.
        Vec<ScoredToken>,
    ),
    /// At level word.
    Words(
        /// Every word.
        Vec<ScoredWord>,
    ),
}

/// One token and its score.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ScoredToken {
    /// As the vocabulary spells it: `##ing`.
    pub token: String,
    /// Where it starts in the text as it was sent.
    pub start: usize,
    /// Where it ends: the place after its last character.
    pub end: usize,
    /// The probability that it replaced another one.
    #[schemars(range(min = 0, max = 1))]
    pub score: f32,
    /// Whether the score is above the threshold.
    pub fake: bool,
}

/// One word and its score.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ScoredWord {
    /// Its stretch of the text.
    pub word: String,
    /// Where it starts in the text as it was sent.
    pub start: usize,
    /// Where it ends: the place after its last character.
    pub end: usize,
    /// The highest score of its tokens.
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
        RequestOption::plain("threshold"),
        RequestOption::word("level"),
        RequestOption::word("offsets"),
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
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::service::json;
    use crate::service::testing::{Fixture, MAX_TOKENS, context};

    async fn ask(fixture: &Fixture, body: &str) -> serde_json::Value {
        let request: DiscriminateRequest = json::parse(body.as_bytes()).unwrap();
        let answer = fixture.service.answer(request, &context()).await.unwrap();
        serde_json::to_value(answer.output.results).unwrap()
    }

    #[tokio::test]
    async fn tokens_have_their_place_score_and_verdict() {
        let fixture = Fixture::new(Task::Discriminate);
        let results = ask(&fixture, r#"{"text": "the fake foxes"}"#).await;
        let tokens = results[0]["tokens"].as_array().unwrap();
        let facts: Vec<_> = tokens
            .iter()
            .map(|token| {
                (
                    token["token"].as_str().unwrap(),
                    token["start"].as_u64().unwrap(),
                    token["fake"] == true,
                )
            })
            .collect();
        assert_eq!(
            facts,
            [
                ("the", 0, false),
                ("fake", 4, true),
                ("fox", 9, false),
                ("##es", 12, false)
            ]
        );
        assert!((tokens[1]["score"].as_f64().unwrap() - 0.982_013_8).abs() < 1e-6);
        assert_eq!(tokens[3]["end"], 14);
    }

    #[tokio::test]
    async fn words_join_their_tokens_and_offsets_follow_the_encoding() {
        let fixture = Fixture::new(Task::Discriminate);
        let words = |encoding: &str| {
            format!(r#"{{"text": "é foxes 東", "level": "word", "offsets": "{encoding}"}}"#)
        };
        for (encoding, expected) in [("codepoint", [2, 7]), ("utf8", [3, 8]), ("utf16", [2, 7])] {
            let results = ask(&fixture, &words(encoding)).await;
            let word = &results[0]["words"][1];
            assert_eq!(word["word"], "foxes");
            assert_eq!([&word["start"], &word["end"]], expected, "{encoding}");
        }
    }

    #[tokio::test]
    async fn the_threshold_decides_what_is_fake() {
        let fixture = Fixture::new(Task::Discriminate);
        let results = ask(&fixture, r#"{"text": "fake", "threshold": 0.99}"#).await;
        assert_eq!(results[0]["tokens"][0]["fake"], false);
        let results = ask(&fixture, r#"{"text": "the", "threshold": 0}"#).await;
        assert_eq!(results[0]["tokens"][0]["fake"], true);
    }

    #[tokio::test]
    async fn empty_texts_have_no_tokens_and_run_nothing() {
        let fixture = Fixture::new(Task::Discriminate);
        let results = ask(&fixture, "{\"text\": [\"\", \" \\t\\n\", \"fake\"]}").await;
        let counts: Vec<_> = results
            .as_array()
            .unwrap()
            .iter()
            .map(|result| result["tokens"].as_array().unwrap().len())
            .collect();
        assert_eq!(counts, [0, 0, 1]);
        assert_eq!(
            fixture.model.runs.load(std::sync::atomic::Ordering::SeqCst),
            1
        );
    }

    #[tokio::test]
    async fn a_long_text_is_scored_whole_and_in_order() {
        let fixture = Fixture::new(Task::Discriminate);
        let length = MAX_TOKENS * 5 + 3;
        let text: Vec<&str> = (0..length)
            .map(|index| if index % 7 == 3 { "fake" } else { "fox" })
            .collect();
        let results = ask(
            &fixture,
            &serde_json::json!({"text": text.join(" ")}).to_string(),
        )
        .await;
        let tokens = results[0]["tokens"].as_array().unwrap();
        assert_eq!(tokens.len(), length);
        for (index, token) in tokens.iter().enumerate() {
            assert_eq!(token["fake"], index % 7 == 3, "token {index}");
        }
        assert!(fixture.model.runs.load(std::sync::atomic::Ordering::SeqCst) > 5);
    }

    #[tokio::test]
    async fn what_cannot_be_answered_has_its_code() {
        let limits = Limits {
            max_inputs: 2,
            max_text_bytes: 8,
            ..Limits::default()
        };
        let fixture = Fixture::with(Task::Discriminate, limits, 64);
        for (body, code) in [
            (r#"{"text": []}"#, "empty_input"),
            (r#"{"text": ["a", "a", "a"]}"#, "too_many_inputs"),
            (r#"{"text": ["a", "too long for it"]}"#, "text_too_long"),
            (r#"{"text": "a", "model": "other"}"#, "model_not_found"),
        ] {
            let request: DiscriminateRequest = json::parse(body.as_bytes()).unwrap();
            let error = fixture
                .service
                .answer(request, &context())
                .await
                .unwrap_err();
            assert_eq!(error.code(), code, "{body}");
        }
    }
}
