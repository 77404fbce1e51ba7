//! Answers to questions: exact match and F1 as SQuAD's own scripts compute them. For SQuAD 2.0 also the scores at the
//! best threshold for "no answer".

use std::collections::HashMap;

use super::ratio;
use crate::eval::scores::{Score, Scores, count, number, share};
use crate::numbers::float;

/// A question's right answers, and the model's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered<'a> {
    /// Right answers. Empty if the context does not answer the question.
    pub gold: &'a [String],
    pub span: &'a str,
    /// The probability that the model gives to "no answer".
    pub no_answer_score: f32,
    /// Whether "no answer" scores higher than the best span.
    pub no_answer: bool,
}

/// The scores of all answers. Exact match and F1 are 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerScores {
    /// Over all questions. If some have no answer, "no answer" counts where it wins. Otherwise the best spans count.
    pub all: Mean,
    /// Present if some questions have no answer.
    pub unanswerable: Option<Unanswerable>,
}

/// Means over a set of questions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    pub questions: usize,
    /// The share of answers that match exactly, ignoring case, punctuation, articles and white space.
    pub exact: f64,
    /// The mean F1 over the words of the answers.
    pub f1: f64,
}

/// The additional scores of SQuAD 2.0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unanswerable {
    /// Over the questions with an answer.
    pub has_answer: Mean,
    /// Over the questions without one.
    pub no_answer: Mean,
    /// The best share of exact matches over all thresholds. If `no_answer_score` is above the threshold, the answer is
    /// "no answer".
    pub best_exact: Best,
    /// The best mean F1 over all thresholds.
    pub best_f1: Best,
}

/// The best score over all thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// The mean score at the threshold.
    pub value: f64,
    pub threshold: f32,
}

impl AnswerScores {
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

    /// Follows the rules of SQuAD 2.0: right answers that consist of articles and punctuation only are dropped. If no
    /// right answer is left, the empty answer is right.
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

/// The F1 if the right answer or the given one has no words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EmptyAnswers {
    /// SQuAD 1.1: 0.
    NeverRight,
    /// SQuAD 2.0: 1 if neither has any.
    RightIfBoth,
}

/// The maximum over the right answers, of exact match and of F1 separately.
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

/// The size of the multiset intersection of both texts' words.
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

/// Lower case, without ASCII punctuation and articles, with single spaces between words.
fn normalized(answer: &str) -> String {
    let lower: String = answer
        .to_lowercase()
        .chars()
        .filter(|letter| !letter.is_ascii_punctuation())
        .collect();
    let is_word = |letter: char| letter.is_alphanumeric();
    let mut kept = String::with_capacity(lower.len());
    // A word ends at its last letter: in `the–end`, the article is removed too.
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

/// Finds the best threshold. Starts with "no answer" to every question, admits spans by rising `no_answer_score`, and
/// keeps a running sum of the score.
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

    /// A question of the golden file, with its answer.
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
