//! Tests of [`super`].

use super::*;

/// The ids and answers in a file.
fn answers(text: &str) -> Vec<(String, Vec<String>)> {
    let questions = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    questions
        .into_iter()
        .map(|question| (question.id, question.answers))
        .collect()
}

fn answer(id: &str, answers: &[&str]) -> (String, Vec<String>) {
    let answers = answers.iter().map(|answer| (*answer).to_owned());
    (id.to_owned(), answers.collect())
}

#[test]
fn questions_of_all_paragraphs_are_read() {
    let questions = read(
        r#"{"version": "v2.0", "data": [{"title": "t", "paragraphs": [
                {"context": "A b.", "qas": [
                    {"id": "1", "question": "What?", "answers": [{"text": "A", "answer_start": 0}, {"text": "A b", "answer_start": 0}]},
                    {"id": "2", "question": "Why?", "answers": [], "is_impossible": true}]},
                {"context": "C.", "qas": [{"id": "3", "question": "Who?", "answers": [{"text": "C"}]}]}]}]}"#,
    )
    .unwrap();
    let ids: Vec<&str> = questions
        .iter()
        .map(|question| question.id.as_str())
        .collect();
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(questions[0].answers, ["A", "A b"]);
    assert!(questions[1].answers.is_empty());
    assert_eq!(&*questions[2].context, "C.");
}

#[test]
fn rows_of_data_sets_are_read() {
    let row = |id: &str, text: &str| {
        format!(
            r#"{{"id": {id}, "title": "t", "context": "A b.", "question": "What?", "answers": {{"text": {text}, "answer_start": [0]}}}}"#
        )
    };
    let (first, second) = (row("7", r#"["A", "A b"]"#), row("\"x\"", "[]"));
    let expected = [answer("7", &["A", "A b"]), answer("x", &[])];
    for file in [
        format!("{first}\n{second}\n"),
        format!("{first}\r\n\r\n{second}"),
        format!("[{first},\n{second}]"),
        format!("{{\"data\": [{first}, {second}]}}"),
    ] {
        assert_eq!(answers(&file), expected, "{file}");
        assert_eq!(&*read(&file).unwrap()[0].context, "A b.");
    }
}

/// A file of one question, with these fields beside its text.
fn asked(fields: &str) -> String {
    format!(
        "{{\"data\": [{{\"paragraphs\": [{{\"context\": \"A b.\", \"qas\": [\n{{\"question\": \"What?\"{fields}}}]}}]}}]}}"
    )
}

#[test]
fn ids_and_answers_are_taken_as_people_have_them() {
    for (fields, expected) in [
        (
            r#", "id": 5, "answers": [{"text": "A"}]"#,
            answer("5", &["A"]),
        ),
        (r#", "answers": ["A", "b"]"#, answer("1", &["A", "b"])),
        (
            r#", "answers": {"text": "A", "answer_start": 0}"#,
            answer("1", &["A"]),
        ),
        (
            r#", "answers": {"text": ["A"], "answer_start": [0]}"#,
            answer("1", &["A"]),
        ),
        (
            r#", "answers": [], "is_impossible": false"#,
            answer("1", &[]),
        ),
        (r#", "is_impossible": true"#, answer("1", &[])),
        (
            r#", "is_impossible": true, "answers": null, "plausible_answers": [{"text": "A"}]"#,
            answer("1", &[]),
        ),
        (
            r#", "answers": [], "plausible_answers": []"#,
            answer("1", &[]),
        ),
    ] {
        assert_eq!(answers(&asked(fields)), [expected], "{fields}");
    }
}

#[test]
fn a_question_that_cannot_be_scored_is_refused_by_its_name() {
    for (fields, reason) in [
        (r#", "id": 5"#, "the question `5` has no `answers`"),
        (
            r#", "id": "a", "answers": null"#,
            "the question `a` has no `answers`",
        ),
        ("", "a question without an `id` has no `answers`"),
        (
            r#", "id": "a", "answers": [{"text": "A"}], "is_impossible": true"#,
            "the question `a` has answers",
        ),
        (r#", "answers": [5]"#, "`answers` is a list"),
        (
            r#", "id": [], "answers": []"#,
            "an `id` is a string or a number",
        ),
    ] {
        let error = read(&asked(fields)).unwrap_err();
        assert_eq!(error.line, 2, "{error}");
        assert!(error.reason.contains(reason), "{error}");
    }
}

#[test]
fn errors_quote_no_text_and_little_of_an_id() {
    let long = "x at line 7, expected ".repeat(10_000);
    for (file, reason) in [
        (
            asked(&format!(", \"id\": \"{long}\"")),
            "…` has no `answers`",
        ),
        (
            format!("{{\"data\": \"{long}\"}}"),
            "invalid type: a string, expected a sequence",
        ),
        (
            format!("\"{long}\""),
            "a string, expected an object with `data`",
        ),
    ] {
        let error = read(&file).unwrap_err().reason;
        assert!(error.contains(reason), "{error}");
        assert!(error.chars().count() < 500, "{error}");
    }
}

#[test]
fn what_is_no_such_file_is_refused_by_its_line() {
    let row = r#"{"id": "1", "question": "What?", "context": "A", "answers": {"text": ["A"]}}"#;
    for (text, line, reason) in [
        ("{\n\"data\": [{}]}", 2, "`paragraphs`"),
        ("{}", 1, "`data`"),
        ("[5]", 1, "invalid type"),
        (
            "[\n{\"question\": \"What?\", \"answers\": []}]",
            2,
            "`context`",
        ),
        ("{\"data\": [\n", 2, "EOF"),
        ("plain text", 1, "expected value"),
        (&format!("{row}\n{{\"question\": \"What?\"\n"), 3, "EOF"),
        (&format!("{row}\n{row}\nplain"), 3, "expected value"),
    ] {
        let error = read(text).unwrap_err();
        assert_eq!(error.line, line, "{error}");
        assert!(error.reason.contains(reason), "{error}");
    }
}
