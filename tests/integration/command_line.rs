//! The program itself, run as a user runs it.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{ServerProcess, default_models, electra, lines, stderr, with_input};

#[test]
fn arguments_are_answered_a_line_each() {
    let models = default_models();
    let models = models.to_str().expect("UTF-8");
    let output = electra(&[
        "discriminate",
        "--models",
        models,
        "The quick brown fox fake over the lazy dog",
    ])
    .output()
    .expect("an end");
    assert!(output.status.success(), "{}", stderr(&output));
    let answers = lines(&output);
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0]["results"][0]["tokens"][4]["fake"], true);
    assert_eq!(stderr(&output), "");
}

#[test]
fn lines_of_standard_input_are_answered_in_order_and_mistakes_are_lines_too() {
    let models = default_models();
    let input: String = (0..20)
        .map(|index| format!("{}\n", json!({"text": "good ".repeat(index % 7 + 1)})))
        .chain([
            "{\"text\": 5}\n".to_owned(),
            "{\"text\": \"bad\"}\n".to_owned(),
        ])
        .collect();
    let output = with_input(
        electra(&[
            "classify",
            "--models",
            models.to_str().expect("UTF-8"),
            "--top-k",
            "1",
        ]),
        &input,
    );
    let answers = lines(&output);
    assert_eq!(answers.len(), 22, "{}", stderr(&output));
    for answer in &answers[..20] {
        assert_eq!(answer["results"][0]["labels"][0]["label"], "positive");
        assert_eq!(
            answer["results"][0]["labels"].as_array().map(Vec::len),
            Some(1)
        );
    }
    assert_eq!(answers[20]["code"], "invalid_type");
    assert_eq!(answers[21]["results"][0]["labels"][0]["label"], "negative");
    assert_eq!(output.status.code(), Some(1));
}

/// The first line alone decides how standard input is read, and the other lines do not matter.
#[test]
fn a_stream_is_json_or_text_as_a_whole() {
    let models = default_models();
    let run = |task: &str, input: &str, more: &[&str]| {
        let models = models.to_str().expect("UTF-8");
        let mut command = electra(&[task, "--models", models]);
        command.args(more);
        with_input(command, input)
    };
    let label = |answer: &Value| answer["results"][0]["labels"][0]["label"].clone();

    // The text is the same with and without a byte order mark.
    let body = "{\"text\": \"A warm, funny film.\"}\n";
    let plain = lines(&run("classify", body, &[]));
    let marked = run("classify", &format!("\u{feff}\r\n{body}"), &[]);
    let answers = lines(&marked);
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert_eq!(answers[0]["code"], "invalid_json");
    assert_eq!(answers[1], plain[0]);

    // An invalid JSON string is a mistake, not a text with quotes, in the first line and in later ones.
    let output = run("classify", "\"cut \\ud83d\"\n\"good\"\nplain\n5\n", &[]);
    let answers = lines(&output);
    let codes: Vec<&Value> = answers.iter().map(|answer| &answer["code"]).collect();
    assert_eq!(
        codes,
        [
            &json!("invalid_json"),
            &Value::Null,
            &json!("invalid_json"),
            &json!("invalid_type")
        ]
    );
    assert_eq!(label(&answers[1]), "positive");
    assert_eq!(output.status.code(), Some(1));

    // The flag overrides the detection.
    let text = lines(&run(
        "discriminate",
        "\"good\"\n",
        &["--input-format", "text"],
    ));
    let tokens = &text[0]["results"][0]["tokens"];
    assert_eq!(tokens.as_array().map(Vec::len), Some(3), "{tokens}");
    let json = lines(&run("classify", "good\n", &["--input-format", "jsonl"]));
    assert_eq!(json[0]["code"], "invalid_json");
    let message = json[0]["error"].as_str().expect("a sentence");
    assert!(message.contains("--input-format text"), "{message}");

    for (task, more) in [
        ("qa", &["--input-format", "text"][..]),
        ("tag", &["--input-format", "text", "London"]),
    ] {
        let output = run(task, "", more);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    }
}

#[test]
fn mistakes_in_the_configuration_are_reported_together() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "queue_capacity = 0\nqueue_size = 5\n").expect("a file");
    let output = electra(&[
        "serve",
        "--device",
        "gpu",
        "--config",
        file.path().to_str().expect("UTF-8"),
    ])
    .env("ELECTRA_WORKERS", "many")
    .output()
    .expect("an end");
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    for expected in [
        "--device",
        "ELECTRA_WORKERS",
        "queue_capacity",
        "queue_size",
        "4 mistakes",
    ] {
        assert!(
            message.contains(expected),
            "{expected} is not in:\n{message}"
        );
    }
}

#[test]
fn a_start_that_can_not_succeed_says_why_and_what_to_do() {
    let empty = tempfile::tempdir().expect("a folder");
    let check = |command: &mut Command, expected: &[&str]| {
        let output = command.output().expect("an end");
        assert_eq!(output.status.code(), Some(1));
        for expected in expected {
            assert!(
                stderr(&output).contains(expected),
                "{expected} is not in:\n{}",
                stderr(&output)
            );
        }
    };
    let folder = empty.path().to_str().expect("UTF-8");
    check(
        &mut electra(&["serve", "--models", folder, "--http", "127.0.0.1:0"]),
        &[folder, "electra export", "electra pull NAME"],
    );
    let models = default_models();
    let models = models.to_str().expect("UTF-8");
    let missing = empty.path().join("libonnxruntime.so");
    let missing = missing.to_str().expect("UTF-8");
    check(
        &mut electra(&[
            "serve",
            "--models",
            models,
            "--onnxruntime-library",
            missing,
        ]),
        &[missing, "does not exist"],
    );
}

#[test]
fn a_device_asked_for_by_name_is_never_replaced_silently() {
    let models = default_models();
    let models = models.to_str().expect("UTF-8");
    let output = electra(&[
        "serve",
        "--models",
        models,
        "--http",
        "127.0.0.1:0",
        "--device",
        "cuda:1",
    ])
    .output()
    .expect("an end");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("cuda:1 can't be used: "),
        "{}",
        stderr(&output)
    );
}

#[test]
fn models_lists_what_is_there() {
    let models = default_models();
    let output = electra(&["models", "--models", models.to_str().expect("UTF-8")])
        .output()
        .expect("an end");
    assert!(output.status.success(), "{}", stderr(&output));
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    for name in [
        "electra-mini-chunker",
        "electra-mini-discriminator",
        "electra-mini-qa",
        "electra-mini-sentiment",
    ] {
        let line = table
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{name} is not in:\n{table}"));
        assert!(line.contains("int8") && line.contains("ready"), "{line}");
    }
}

/// A server process stops on SIGTERM with exit code 0, and `electra health` reports each state.
#[cfg(unix)]
#[test]
fn sigterm_ends_the_process_cleanly_and_health_tells() {
    let mut server = ServerProcess::start(&default_models(), &[]);
    let address = server.address.to_string();
    let health = |expected: i32| {
        let status = electra(&["health", "--http", &address])
            .output()
            .expect("an end")
            .status;
        assert_eq!(status.code(), Some(expected));
    };
    health(0);
    server.terminate();
    assert_eq!(server.exit_code(), Some(0));
    health(1);
}
