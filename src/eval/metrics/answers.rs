//! Answers to questions: exact match and F1 as SQuAD's own scripts have them, and for SQuAD 2.0 what the best threshold for
//! "no answer" would give.

use std::collections::HashMap;

use super::ratio;
use crate::eval::scores::{Score, Scores, count, number, share};
use crate::numbers::float;

/// What was answered to a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered<'a> {
    /// Answers that are right; none where the context does not answer the question.
    pub gold: &'a [String],
    /// The best span.
    pub span: &'a str,
    /// How likely it is that there is no answer.
    pub no_answer_score: f32,
    /// Whether "no answer" wins over the best span.
    pub no_answer: bool,
}

/// How well questions were answered. Exact match and F1 are 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerScores {
    /// Over all questions: where some have no answer, of what is answered when "no answer" may win, else of the best spans.
    pub all: Mean,
    /// Present where some questions have no answer.
    pub unanswerable: Option<Unanswerable>,
}

/// Means over some questions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    /// How many.
    pub questions: usize,
    /// The share whose answer is right but for case, punctuation, articles and white space.
    pub exact: f64,
    /// The mean F1 of the answers' words.
    pub f1: f64,
}

/// What SQuAD 2.0 tells beside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unanswerable {
    /// Of the questions with an answer.
    pub has_answer: Mean,
    /// Of the questions without.
    pub no_answer: Mean,
    /// The best share of exact matches that a threshold gives: above it, `no_answer_score` means "no answer".
    pub best_exact: Best,
    /// The same of F1.
    pub best_f1: Best,
}

/// The best that a threshold gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// The mean score with it.
    pub value: f64,
    /// The threshold.
    pub threshold: f32,
}

impl AnswerScores {
    /// Scores the answers to all questions.
    #[must_use]
    pub fn new(answered: &[Answered]) -> Self {
        if answered.iter().all(|answered| !answered.gold.is_empty()) {
            let judged = answered.iter().map(|answered| {
                let Answered { gold, span, .. } = answered;
                best_of(*gold, |gold| judge(gold, span, EmptyAnswers::NeverRight))
            });
            return Self {
                all: Mean::of(judged),
                unanswerable: None,
            };
        }
        let spans: Vec<Judged> = answered
            .iter()
            .map(|answered| answered.judge(answered.span))
            .collect();
        let served: Vec<Judged> = answered
            .iter()
            .map(|answered| {
                answered.judge(if answered.no_answer {
                    ""
                } else {
                    answered.span
                })
            })
            .collect();
        let split = |wanted: bool| {
            let judged = answered.iter().zip(&served);
            Mean::of(
                judged
                    .filter(|(answered, _)| answered.has_answer() == wanted)
                    .map(|(_, judged)| *judged),
            )
        };
        Self {
            all: Mean::of(served.iter().copied()),
            unanswerable: Some(Unanswerable {
                has_answer: split(true),
                no_answer: split(false),
                best_exact: best_threshold(answered, &spans, |judged| judged.exact),
                best_f1: best_threshold(answered, &spans, |judged| judged.f1),
            }),
        }
    }

    /// All of it.
    #[must_use]
    pub fn scores(&self) -> Scores {
        let mut overall: Vec<Score> =
            vec![share("exact", self.all.exact), share("f1", self.all.f1)];
        if let Some(scores) = self.unanswerable {
            overall.extend([
                count("has_answer", scores.has_answer.questions),
                share("has_answer_exact", scores.has_answer.exact),
                share("has_answer_f1", scores.has_answer.f1),
                count("no_answer", scores.no_answer.questions),
                share("no_answer_exact", scores.no_answer.exact),
                share("no_answer_f1", scores.no_answer.f1),
                share("best_exact", scores.best_exact.value),
                number(
                    "best_exact_threshold",
                    Some(scores.best_exact.threshold.into()),
                ),
                share("best_f1", scores.best_f1.value),
                number("best_f1_threshold", Some(scores.best_f1.threshold.into())),
            ]);
        }
        Scores {
            overall,
            ..Scores::default()
        }
    }
}

impl Answered<'_> {
    /// Whether the question counts as one with an answer.
    fn has_answer(&self) -> bool {
        !self.gold.is_empty()
    }

    /// By the rules of SQuAD 2.0: right answers of nothing but articles and punctuation are none, and nothing is the right
    /// answer where there is none.
    fn judge(&self, answer: &str) -> Judged {
        let mut right = self
            .gold
            .iter()
            .filter(|gold| !normalized(gold).is_empty())
            .peekable();
        if right.peek().is_none() {
            return judge("", answer, EmptyAnswers::RightIfBoth);
        }
        best_of(right, |gold| judge(gold, answer, EmptyAnswers::RightIfBoth))
    }
}

impl Mean {
    fn of(judged: impl Iterator<Item = Judged>) -> Self {
        let (mut questions, mut exact, mut f1) = (0, 0.0, 0.0);
        for judged in judged {
            questions += 1;
            exact += judged.exact;
            f1 += judged.f1;
        }
        let count = float(questions).max(1.0);
        Self {
            questions,
            exact: exact / count,
            f1: f1 / count,
        }
    }
}

/// An answer's exact match, 0 or 1, and its F1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Judged {
    exact: f64,
    f1: f64,
}

/// The F1 of answers of which one has no words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EmptyAnswers {
    /// SQuAD 1.1: 0.
    NeverRight,
    /// SQuAD 2.0: 1 where neither has any.
    RightIfBoth,
}

/// The best over the right answers, exact match and F1 each for itself.
fn best_of<'a>(
    gold: impl IntoIterator<Item = &'a String>,
    judge: impl Fn(&str) -> Judged,
) -> Judged {
    gold.into_iter()
        .map(|gold| judge(gold))
        .fold(Judged::default(), |best, judged| Judged {
            exact: best.exact.max(judged.exact),
            f1: best.f1.max(judged.f1),
        })
}

fn judge(gold: &str, answer: &str, empty: EmptyAnswers) -> Judged {
    let (gold, answer) = (normalized(gold), normalized(answer));
    let exact = if gold == answer { 1.0 } else { 0.0 };
    let words = |text: &str| text.split(' ').filter(|word| !word.is_empty()).count();
    let (in_gold, in_answer) = (words(&gold), words(&answer));
    let f1 = if empty == EmptyAnswers::RightIfBoth && (in_gold == 0 || in_answer == 0) {
        exact
    } else {
        ratio(2 * common_words(&gold, &answer), in_gold + in_answer)
    };
    Judged { exact, f1 }
}

/// How many words both have, each as often as the one that has it less often.
fn common_words(left: &str, right: &str) -> usize {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in left.split_whitespace() {
        *counts.entry(word).or_default() += 1;
    }
    let mut common = 0;
    for word in right.split_whitespace() {
        if let Some(left) = counts.get_mut(word)
            && *left > 0
        {
            *left -= 1;
            common += 1;
        }
    }
    common
}

/// Lower case, without ASCII's punctuation, without articles, words separated by single spaces.
fn normalized(answer: &str) -> String {
    let lower: String = answer
        .to_lowercase()
        .chars()
        .filter(|letter| !letter.is_ascii_punctuation())
        .collect();
    let is_word = |letter: char| letter.is_alphanumeric();
    let mut kept = String::with_capacity(lower.len());
    // A word ends where its letters do: of `the–end` the article goes too.
    let letters: Vec<char> = lower.chars().collect();
    for run in letters.chunk_by(|left, right| is_word(*left) == is_word(*right)) {
        let run: String = run.iter().collect();
        if matches!(run.as_str(), "a" | "an" | "the") {
            kept.push(' ');
        } else {
            kept.push_str(&run);
        }
    }
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where to draw the line: starting from no answer to any question, spans are let in by rising `no_answer_score`, and what
/// is right or wrong by it is counted up.
fn best_threshold(answered: &[Answered], spans: &[Judged], score: impl Fn(&Judged) -> f64) -> Best {
    let mut order: Vec<(&Answered, &Judged)> = answered.iter().zip(spans).collect();
    order.sort_by(|(left, _), (right, _)| left.no_answer_score.total_cmp(&right.no_answer_score));
    let unanswerable = answered
        .iter()
        .filter(|answered| !answered.has_answer())
        .count();
    let mut current = float(unanswerable);
    let (mut best, mut threshold) = (current, 0.0);
    for (answered, judged) in order {
        if answered.has_answer() {
            current += score(judged);
        } else if !answered.span.is_empty() {
            current -= 1.0;
        }
        if current > best {
            (best, threshold) = (current, answered.no_answer_score);
        }
    }
    Best {
        value: best / float(answered.len().max(1)),
        threshold,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::eval::metrics::golden;

    /// A question of the golden file as it was answered.
    struct Case {
        gold: Vec<String>,
        span: String,
        no_answer_score: f32,
        no_answer: bool,
    }

    fn scores(case: &Value) -> AnswerScores {
        let cases: Vec<Case> = case["questions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|question| Case {
                gold: golden::read(&question["gold"]),
                span: golden::read(&question["span"]),
                no_answer_score: golden::read(&question["no_answer_score"]),
                no_answer: golden::read(&question["no_answer"]),
            })
            .collect();
        let answered: Vec<Answered> = cases
            .iter()
            .map(|case| Answered {
                gold: &case.gold,
                span: &case.span,
                no_answer_score: case.no_answer_score,
                no_answer: case.no_answer,
            })
            .collect();
        AnswerScores::new(&answered)
    }

    #[test]
    fn answers_are_normalized_as_by_squads_scripts() {
        for case in golden::cases("normalized") {
            let text: String = golden::read(&case["text"]);
            assert_eq!(normalized(&text), case["normalized"], "{case}");
        }
    }

    #[test]
    fn answers_are_scored_as_by_squads_scripts() {
        for case in golden::cases("answers") {
            let found = scores(&case);
            golden::assert_near(Some(found.all.exact), &case["exact"], "exact");
            golden::assert_near(Some(found.all.f1), &case["f1"], "f1");
            let Some(parts) = found.unanswerable else {
                assert!(case["has_answer_exact"].is_null(), "{case}");
                continue;
            };
            for (name, found) in [
                ("has_answer_exact", parts.has_answer.exact),
                ("has_answer_f1", parts.has_answer.f1),
                ("no_answer_exact", parts.no_answer.exact),
                ("no_answer_f1", parts.no_answer.f1),
                ("best_exact", parts.best_exact.value),
                ("best_exact_threshold", parts.best_exact.threshold.into()),
                ("best_f1", parts.best_f1.value),
                ("best_f1_threshold", parts.best_f1.threshold.into()),
            ] {
                golden::assert_near(Some(found), &case[name], &format!("{name} of {case}"));
            }
        }
    }
}
