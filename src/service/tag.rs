//! Token tagging: finds labelled spans (entities) in texts.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::context::RequestContext;
use super::handle::{Service, Target};
use super::input::Inputs;
use super::operation::{Answer, Operation, RequestOption, Results, TaskOperation};
use super::windowed::{ScoredText, slice};
use crate::error::ServiceError;
use crate::fields::Aggregation;
use crate::heads::tag::{Entity, Grouping, TaggedToken, entities, looks_like_continuation};
use crate::registry::LoadedModel;
use crate::task::Task;
use crate::text::{OffsetEncoding, OffsetMap, TokenizedText};

/// The label of tokens outside of entities. transformers omits it by default.
pub(super) const IGNORED_LABELS: &[&str] = &["O"];

/// Texts to tag, and options.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TagRequest {
    /// A text or a list of texts.
    pub text: Inputs<String>,
    /// The name or an alias of a model of this task, optionally followed by `@` and a version. If absent, the task's
    /// default model.
    pub model: Option<String>,
    /// How tokens are joined into entities, as with transformers' aggregation strategy of the same name. With `none`,
    /// each token is an entity with its full label.
    #[schemars(extend("default" = Aggregation::default()))]
    pub aggregation: Option<Aggregation>,
    #[schemars(extend("default" = OffsetEncoding::default()))]
    pub offsets: Option<OffsetEncoding>,
}

/// The entities of one text.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Tagging {
    /// The entities, in the order of the text. Empty for a text of white space.
    pub entities: Vec<TaggedEntity>,
}

/// An entity.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TaggedEntity {
    /// The entity's label.
    pub label: String,
    /// The model's confidence, from 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub score: f32,
    /// The start offset in the text as sent.
    pub start: usize,
    /// The end offset, exclusive.
    pub end: usize,
    /// The entity's part of the text, as sent.
    pub text: String,
}

impl Operation for TagRequest {
    type Output = Results<Tagging>;

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
        let aggregation = self.aggregation.or(defaults.aggregation);
        let aggregation = aggregation.unwrap_or_default();
        let encoding = self.offsets.or(defaults.offsets).unwrap_or_default();
        let width = model.info.labels.len();
        let decode = move |model: &LoadedModel, text: &ScoredText| {
            decode(model, text, aggregation, encoding)
        };
        let texts = self.text.into_items();
        let outcome = service
            .score_tokens(&model, texts, width, context, decode)
            .await?;
        Ok(Answer::of_model(&model, outcome))
    }
}

impl TaskOperation for TagRequest {
    const TASK: Task = Task::Tag;
    const OPTIONS: &'static [RequestOption] = &[
        RequestOption::string("aggregation"),
        RequestOption::string("offsets"),
    ];
    type Result = Tagging;
}

fn decode(
    model: &LoadedModel,
    scored: &ScoredText,
    aggregation: Aggregation,
    encoding: OffsetEncoding,
) -> Tagging {
    let ScoredText { text, tokens, .. } = scored;
    let tagged: Vec<TaggedToken<'_>> = (0..tokens.ids.len())
        .map(|token| TaggedToken {
            logits: scored.row(token),
            bytes: tokens.offsets[token].clone(),
            continues_word: continues_word(model, text, tokens, token),
        })
        .collect();
    let offsets = OffsetMap::new(text, encoding);
    let entity = |entity: Entity<'_>| {
        let range = offsets.convert(entity.bytes.clone());
        let text = slice(text, entity.bytes).to_owned();
        TaggedEntity {
            label: entity.label.to_owned(),
            score: entity.score,
            start: range.start,
            end: range.end,
            text,
        }
    };
    let entities = entities(
        &tagged,
        &model.info.labels,
        IGNORED_LABELS,
        aggregation,
        Grouping::Scheme(model.info.scheme),
    );
    Tagging {
        entities: entities.into_iter().map(entity).collect(),
    }
}

/// Whether a token continues a word. Follows transformers' pipeline, so that the answers are the same.
pub(super) fn continues_word(
    model: &LoadedModel,
    text: &str,
    tokens: &TokenizedText,
    token: usize,
) -> bool {
    let id = tokens.ids[token];
    let surface = slice(text, tokens.offsets[token].clone());
    let piece = model.tokenizer.token(id).unwrap_or_default();
    looks_like_continuation(&piece, surface, model.tokenizer.unknown_id() == Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::json;
    use crate::service::testing::{Fixture, context};

    async fn entities_of(body: &str) -> Vec<(String, usize, usize, String)> {
        let fixture = Fixture::new(Task::Tag);
        let request: TagRequest = json::parse(body.as_bytes()).unwrap();
        let answer = fixture.service.answer(request, &context()).await.unwrap();
        let entities = answer
            .output
            .results
            .into_iter()
            .flat_map(|result| result.entities);
        entities
            .map(|entity| (entity.label, entity.start, entity.end, entity.text))
            .collect()
    }

    #[tokio::test]
    async fn entities_slice_the_text_as_it_was_sent() {
        assert_eq!(
            entities_of(r#"{"text": "東 Foxes over"}"#).await,
            [("X".into(), 2, 7, "Foxes".into())]
        );
        assert_eq!(
            entities_of(r#"{"text": "東 Foxes", "offsets": "utf8", "aggregation": "none"}"#).await,
            [
                ("B-X".into(), 4, 7, "Fox".into()),
                ("I-X".into(), 7, 9, "es".into())
            ]
        );
    }

    #[tokio::test]
    async fn entities_hold_across_windows() {
        let text = format!("{}foxes", "over ".repeat(8));
        let body = serde_json::json!({"text": [text, ""]}).to_string();
        assert_eq!(
            entities_of(&body).await,
            [("X".into(), 40, 45, "foxes".into())]
        );
    }
}
