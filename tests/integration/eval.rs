//! `electra eval`, run as a user runs it: the default models on a few labelled inputs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use electra_server::export::Precision;
use serde_json::{Value, json};

use crate::harness::{copy_folder, default_models, electra, exported, project, stderr};

fn labelled(file: &str) -> PathBuf {
    project().join("tests/labelled").join(file)
}

fn eval(models: &Path, model: &str, data: &Path) -> Command {
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    electra(&[
        "eval",
        "--models",
        &text(models),
        model,
        "--data",
        &text(data),
    ])
}

fn run(command: &mut Command) -> Output {
    command.output().expect("an end")
}

/// The scores of the only model in the report.
fn scores(model: &str, file: &str, more: &[&str]) -> Value {
    let output = run(eval(&default_models(), model, &labelled(file))
        .args(more)
        .arg("--json"));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let results = report["results"].as_array().expect("results");
    assert_eq!(results.len(), 1);
    assert_eq!(
        (
            &results[0]["model"],
            &results[0]["precision"],
            &results[0]["device"]
        ),
        (&json!(model), &json!("int8"), &json!("cpu"))
    );
    results[0]["scores"].clone()
}

#[track_caller]
fn assert_near(found: &Value, expected: f64) {
    let number = found.as_f64().expect("a number");
    assert!(
        (number - expected).abs() < 1e-9,
        "{number} instead of {expected}"
    );
}

#[test]
fn texts_are_scored() {
    let scores = scores("electra-mini-sentiment", "sentiment.tsv", &[]);
    assert_near(&scores["accuracy"], 7.0 / 8.0);
    assert_near(&scores["f1"], 8.0 / 9.0);
    assert_near(&scores["by_label"]["negative"]["precision"], 3.0 / 4.0);
    assert_eq!(scores["by_label"]["positive"]["texts"], 5);
}

#[test]
fn chunks_are_scored() {
    let scores = scores("electra-mini-chunker", "chunks.txt", &[]);
    assert_eq!(
        (&scores["words"], &scores["chunks"]),
        (&json!(18), &json!(9))
    );
    assert_near(&scores["precision"], 7.0 / 8.0);
    assert_near(&scores["recall"], 7.0 / 9.0);
    assert_near(&scores["accuracy"], 17.0 / 18.0);
    assert_near(&scores["by_label"]["VP"]["f1"], 1.0);
}

/// Data in another tagging scheme than the model's labels gets the same scores.
#[test]
fn chunks_of_every_scheme_are_scored_alike() {
    let text = std::fs::read_to_string(labelled("chunks.txt")).expect("a file");
    let lines: Vec<&str> = text.lines().collect();
    let in_bilou = |(index, line): (usize, &&str)| {
        let goes_on = lines
            .get(index + 1)
            .is_some_and(|next| next.contains(" I-"));
        if goes_on {
            (*line).to_owned()
        } else {
            line.replace(" B-", " U-").replace(" I-", " L-")
        }
    };
    let bilou: Vec<String> = lines.iter().enumerate().map(in_bilou).collect();
    assert!(bilou.iter().any(|line| line.contains("L-NP")));
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bilou.join("\n")).expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    let model = "electra-mini-chunker";
    assert_eq!(scores(model, path, &[]), scores(model, "chunks.txt", &[]));
}

#[test]
fn answers_are_scored() {
    let scores = scores(
        "electra-mini-qa",
        "questions.json",
        &["--max-answer-tokens", "20"],
    );
    for name in [
        "exact",
        "f1",
        "has_answer_exact",
        "no_answer_exact",
        "best_f1",
    ] {
        assert_near(&scores[name], 1.0);
    }
    assert_eq!(
        (&scores["has_answer"], &scores["no_answer"]),
        (&json!(3), &json!(1))
    );
    let threshold = scores["best_exact_threshold"].as_f64().expect("a number");
    assert!((0.0..0.5).contains(&threshold), "{threshold}");
}

/// The labelled files, rewritten in the formats of other programs, get the same scores.
#[test]
fn files_of_other_programs_are_read_alike() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |model: &str, file: &str, name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        let path = path.to_str().expect("UTF-8");
        assert_eq!(scores(model, path, &[]), scores(model, file, &[]), "{name}");
    };
    let read = |file: &str| std::fs::read_to_string(labelled(file)).expect("a file");

    // As spreadsheets write texts: with a byte order mark, commas, and quotes around each text.
    let rows = read("sentiment.tsv");
    let csv = rows.lines().map(|row| {
        let (text, label) = row.rsplit_once('\t').expect("two columns");
        format!("\"{}\",{label}\r\n", text.replace('"', "\"\""))
    });
    let csv = format!("\u{feff}{}", csv.collect::<String>());
    check(
        "electra-mini-sentiment",
        "sentiment.tsv",
        "sentiment.csv",
        &csv,
    );

    // As CoNLL-U and MultiCoNER write sentences: with tabs, comments and CRLF.
    let chunks = read("chunks.txt").replace(' ', "\t");
    let chunks = chunks.replace("\n\n", "\n\n# id 7 of\tdomain=en\n# text = a b c\n");
    let chunks = chunks.replace('\n', "\r\n");
    check(
        "electra-mini-chunker",
        "chunks.txt",
        "chunks.conllu",
        &chunks,
    );

    // As GermEval and CoNLL-U number words, and as pandas writes a header.
    let mut numbered = String::from("#\thttp://de.wikipedia.org/ [2009-10-17]\n");
    let mut number = 0;
    let chunks = read("chunks.txt");
    for line in chunks.lines() {
        if line.is_empty() || line.starts_with("-DOCSTART-") {
            number = 0;
            numbered += "\n";
            continue;
        }
        if number == 0 {
            numbered += "1-2\tTheold\t_\t_\n";
        }
        number += 1;
        numbered.extend([&number.to_string(), "\t", &line.replace(' ', "\t"), "\n"]);
    }
    check(
        "electra-mini-chunker",
        "chunks.txt",
        "numbered.tsv",
        &numbered,
    );
    let with_header = format!("word\tpos\ttag\n{}", chunks.replace(' ', "\t"));
    check(
        "electra-mini-chunker",
        "chunks.txt",
        "header.tsv",
        &with_header,
    );

    // As Hugging Face's data sets store questions: one row per line, with answers as lists, and numeric ids.
    let questions: Value = serde_json::from_str(&read("questions.json")).expect("JSON");
    let mut rows = Vec::new();
    let articles = questions["data"].as_array().expect("articles").iter();
    for paragraph in articles.flat_map(|article| article["paragraphs"].as_array().expect("a list"))
    {
        for asked in paragraph["qas"].as_array().expect("questions") {
            let answers = asked["answers"].as_array().expect("answers").iter();
            let texts: Vec<&Value> = answers.map(|answer| &answer["text"]).collect();
            let row = json!({
                "id": rows.len(),
                "context": paragraph["context"],
                "question": asked["question"],
                "answers": {"text": texts, "answer_start": vec![0; texts.len()]},
            });
            rows.push(row.to_string());
        }
    }
    check(
        "electra-mini-qa",
        "questions.json",
        "questions.jsonl",
        &rows.join("\n"),
    );
}

#[test]
fn replaced_tokens_are_scored() {
    let scores = scores(
        "electra-mini-discriminator",
        "replaced.jsonl",
        &["--threshold", "0.5"],
    );
    assert_eq!(
        (&scores["tokens"], &scores["replaced"]),
        (&json!(28), &json!(2))
    );
    assert_near(&scores["precision"], 1.0);
    assert_near(&scores["recall"], 0.5);
    let auc = scores["auc"].as_f64().expect("a number");
    assert!((0.9..1.0).contains(&auc), "{auc}");
}

#[test]
fn precisions_stand_side_by_side() {
    let models = tempfile::tempdir().expect("a folder");
    for precision in [Precision::Fp32, Precision::Fp16, Precision::Int8] {
        let folder = models.path().join(precision.to_string());
        copy_folder(&exported("sequence-three-labels", precision), &folder);
    }
    let data = models.path().join("data.tsv");
    let lines = [
        "text\tlabel",
        "the fox\t0",
        "over the dog\t2",
        "a quick one\t1",
    ];
    std::fs::write(&data, lines.join("\n")).expect("a file");
    let output = run(eval(models.path(), "int8", &data).args([
        "--against",
        "fp32",
        "--against",
        "fp16",
        "--labels",
        "a,b,c",
    ]));
    assert!(output.status.success(), "{}", stderr(&output));
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    let words = |line: usize| {
        let line = table.lines().nth(line).unwrap_or_default();
        line.split_whitespace().collect::<Vec<_>>()
    };
    assert!(
        table
            .lines()
            .next()
            .is_some_and(|line| line.ends_with("data.tsv: 3 texts"))
    );
    assert_eq!(
        words(2),
        [
            "int8", "(int8,", "cpu)", "fp32", "(fp32,", "cpu)", "fp16", "(fp16,", "cpu)"
        ]
    );
    let accuracy = words(3);
    assert_eq!((accuracy.len(), accuracy[0]), (4, "accuracy"), "{table}");
    assert_eq!(accuracy[2], accuracy[3], "{table}");
    assert!(table.contains("f1 of b"), "{table}");
    // fp16 is meant for GPUs, so running it on the CPU gives a warning.
    let only_fp16 = run(&mut eval(models.path(), "fp16", &data));
    assert!(
        stderr(&only_fp16).contains("fp16 is for GPUs"),
        "{}",
        stderr(&only_fp16)
    );
}

/// It is unclear whether kept quotes belong to the text, so the user is warned unless a flag says so.
#[test]
fn quotes_that_are_kept_are_warned_of() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "text\tlabel\n\"A warm film\"\t1\n").expect("a file");
    for (more, expected) in [
        (&[][..], true),
        (&["--quotes", "on"], false),
        (&["--quotes", "off"], false),
    ] {
        let mut command = eval(&default_models(), "electra-mini-sentiment", file.path());
        let output = run(command.args(more));
        assert!(output.status.success(), "{}", stderr(&output));
        let is_warned = stderr(&output).contains("--quotes on removes them");
        assert_eq!(is_warned, expected, "{}", stderr(&output));
    }
}

/// Checks the exit code and the message for a file that can't be scored.
#[track_caller]
fn check_mistake(
    file: &Path,
    content: &str,
    model: &str,
    more: &[&str],
    code: i32,
    expected: &[&str],
) {
    std::fs::write(file, content).expect("a file");
    let output = run(eval(&default_models(), model, file).args(more));
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    for expected in expected {
        assert!(
            stderr(&output).contains(expected),
            "{expected} is not in {}",
            stderr(&output)
        );
    }
}

#[test]
fn layouts_that_are_unclear_are_named_with_the_flag_that_decides() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let check = |content: &str, model: &str, more: &[&str], code: i32, expected: &[&str]| {
        check_mistake(file.path(), content, model, more, code, expected);
    };
    let name = file.path().to_str().expect("UTF-8");
    let sentiment = "electra-mini-sentiment";
    check(
        "# The man ran B-NP\nThe B-NP\n",
        "electra-mini-chunker",
        &[],
        1,
        &[name, "line 1", "--comments on"],
    );
    check(
        "# text\n1\tHe\tB-NP\t-\n",
        "electra-mini-chunker",
        &[],
        1,
        &["such as `-`", "--label-column"],
    );
    check(
        "text\tlabel\nfine\t\"positive\"\n",
        sentiment,
        &[],
        1,
        &[
            name,
            "line 2",
            "WARN",
            "line=2",
            "To remove quotes around cells, use --quotes on",
        ],
    );
    check(
        "New York B-NP\nis O\n",
        "electra-mini-chunker",
        &[],
        1,
        &[name, "line 2", "--separator"],
    );
    check(
        "#fun B-TAG\nis O\n",
        "electra-mini-chunker",
        &[],
        1,
        &[name, "line 1", "--comments on"],
    );
    check("PAR1\u{15}", sentiment, &[], 1, &[name, "a Parquet file"]);
}

#[test]
fn mistakes_name_the_file_and_the_line() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let check = |content: &str, model: &str, more: &[&str], code: i32, expected: &[&str]| {
        check_mistake(file.path(), content, model, more, code, expected);
    };
    let name = file.path().to_str().expect("UTF-8");
    let sentiment = "electra-mini-sentiment";
    check(
        "text\tlabel\nfine\t1\nfine\tgreat\n",
        sentiment,
        &[],
        1,
        &[name, "line 3", "negative, positive"],
    );
    check(
        "text\tlabel\nfine\t1\n\t1\n",
        sentiment,
        &[],
        1,
        &[name, "line 3", "only white space"],
    );
    check(
        "{\"data\": [\n{}]}",
        "electra-mini-qa",
        &[],
        1,
        &[name, "line 2", "`paragraphs`"],
    );
    check("", "electra-mini-chunker", &[], 1, &[name, "nothing in it"]);
    check(
        "a",
        "electra-mini-chunk",
        &[],
        2,
        &["Did you mean `electra-mini-chunker`"],
    );
    check("a", sentiment, &["--threshold", "2"], 2, &["from 0 to 1"]);
    check(
        "a",
        sentiment,
        &["--threshold", "0.4"],
        2,
        &["--threshold is for discriminate", "a model for classify"],
    );
    check(
        "text,label\nA warm, funny film,1\n",
        sentiment,
        &[],
        1,
        &[name, "line 2", "3 columns"],
    );
    check(
        "{\"data\": [{\"paragraphs\": [{\"context\": \"a\", \"qas\": [\n{\"id\": 7, \"question\": \"b?\"}]}]}]}",
        "electra-mini-qa",
        &[],
        1,
        &[name, "line 2", "`7` has no `answers`"],
    );
    check(
        "a",
        "electra-mini-qa",
        &["--quotes", "on"],
        2,
        &["--quotes is for classify"],
    );
    check(
        "text\tlabel\nfine\t1\n",
        sentiment,
        &["--against", "electra-mini-qa"],
        1,
        &["electra-mini-qa", "qa"],
    );
}
