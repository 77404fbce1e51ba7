//! Offsets slice the text exactly as it was sent, in every encoding, on the real server.

use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Server, default_server};

/// Texts that are hard to slice.
const HARD: [&str; 12] = [
    "Café déjà vu — naïve façade.",
    "Cafe\u{301} de\u{301}ja\u{300} vu with combining marks.",
    "東京は日本の首都で、多くの人が住んでいます。",
    "한국어 텍스트도 잘라야 한다.",
    "Family 👨‍👩‍👧‍👦 and flag 🏳️‍🌈 and skin 👍🏽 tones.",
    "שלום עולם, and العربية too.",
    "\u{200f}right\u{200e} to left \u{202e}override\u{202c} marks",
    "control\u{0}characters\u{7}and\u{200b}zero\u{feff}width\u{ad}soft",
    "tabs\tand\r\nlines\n\n  and   spaces   ",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 beyond the 𝖇𝖆𝖘𝖎𝖈 plane",
    "ﬁnd the ﬂuent ligature, Straße, İstanbul, ǅ",
    "(parenthesis)[bracket]don't-stop!?…“quotes”",
];

/// Slices a text as a client of each encoding would.
fn slice(text: &str, encoding: &str, start: usize, end: usize) -> String {
    match encoding {
        "codepoint" => text.chars().skip(start).take(end - start).collect(),
        "utf8" => text[start..end].to_owned(),
        _ => String::from_utf16(&text.encode_utf16().collect::<Vec<_>>()[start..end])
            .expect("whole characters"),
    }
}

fn offset(value: &Value, key: &str) -> usize {
    value[key]
        .as_u64()
        .and_then(|offset| usize::try_from(offset).ok())
        .unwrap_or_else(|| panic!("{key} of {value}"))
}

/// Checks a text in all encodings: all three answers slice the same pieces, and each piece contains its token's
/// letters.
async fn check(server: &Server, text: &str) {
    let mut pieces: Vec<Vec<String>> = Vec::new();
    for encoding in ["codepoint", "utf8", "utf16"] {
        let answer = server
            .ask("/discriminate", &json!({"text": text, "offsets": encoding}))
            .await;
        let tokens = answer["results"][0]["tokens"]
            .as_array()
            .expect("tokens")
            .clone();
        let mut previous = 0;
        let sliced = tokens.iter().map(|token| {
            let (start, end) = (offset(token, "start"), offset(token, "end"));
            assert!(start < end && previous <= start, "{token} of {text:?}");
            previous = start;
            slice(text, encoding, start, end)
        });
        pieces.push(sliced.collect());
        for (token, piece) in tokens.iter().zip(&pieces[pieces.len() - 1]) {
            let token = token["token"].as_str().expect("a token");
            let letters = token.strip_prefix("##").unwrap_or(token);
            if letters.is_ascii() && piece.is_ascii() && token != "[UNK]" {
                let visible: String = piece
                    .chars()
                    .filter(|letter| !letter.is_ascii_control())
                    .collect();
                assert_eq!(visible.to_lowercase(), letters, "{text:?}");
            }
        }
    }
    assert_eq!(pieces[0], pieces[1], "{text:?}");
    assert_eq!(pieces[0], pieces[2], "{text:?}");

    let tagged = server
        .ask("/tag", &json!({"text": text, "aggregation": "first"}))
        .await;
    for entity in tagged["results"][0]["entities"]
        .as_array()
        .expect("entities")
    {
        let sliced = slice(
            text,
            "codepoint",
            offset(entity, "start"),
            offset(entity, "end"),
        );
        assert_eq!(entity["text"], sliced, "{text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_texts_are_sliced_in_every_encoding() {
    let server = default_server();
    for text in HARD {
        check(&server, text).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_a_slice_of_its_context() {
    let server = default_server();
    let context = "Die Brücke 🌉 wurde 1937 von José Müller gebaut. Café “Zoë” eröffnete 1950.";
    for encoding in ["codepoint", "utf8", "utf16"] {
        let body = json!({"question": "Who built the bridge?", "context": context, "offsets": encoding, "top_k": 5});
        let answers = server.ask("/qa", &body).await["results"][0]["answers"].clone();
        assert_eq!(answers.as_array().map(Vec::len), Some(5), "{answers}");
        for answer in answers.as_array().expect("answers") {
            let sliced = slice(
                context,
                encoding,
                offset(answer, "start"),
                offset(answer, "end"),
            );
            assert_eq!(answer["text"], sliced);
        }
    }
}

#[test]
fn random_texts_are_sliced_in_every_encoding() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = default_server();
    let mut runner = TestRunner::new(Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(
            &"(\\PC|[a-zA-Z ]|[\u{0}-\u{1f}]|[\u{300}-\u{36f}]|[😀-🙏]|\u{200d}){0,40}",
            |text| {
                runtime.block_on(check(&server, &text));
                Ok(())
            },
        )
        .expect("every text is sliced");
}
