//! Changes JSON as JSON: a changed byte would mostly make it another format.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// The largest piece of JSON to look for within an input.
const LARGEST: usize = 1 << 16;

/// Changes a few values of the JSON in an input, wherever it is: after a first byte, or between binary data. Returns the
/// new size, or `None` if there is no JSON, or for a part of the seeds.
pub fn json(bytes: &mut [u8], size: usize, room: usize, seed: u32) -> Option<usize> {
    let mut random = Rng::with_seed(seed.into());
    // Bytes are changed too, to reach what JSON can't express.
    if random.u8(..) < 80 {
        return None;
    }
    let start = bytes[..size].iter().position(|byte| *byte == b'{')?;
    let rest = &bytes[start..size.min(start + LARGEST)];
    let mut parser = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
    let mut value = parser.next()?.ok()?;
    let end = start + parser.byte_offset();
    for _ in 0..random.usize(1..4) {
        change(&mut value, &mut random);
    }
    let text = serde_json::to_vec(&value).ok()?;
    let changed = [&bytes[..start], &text, &bytes[end..size]].concat();
    (changed.len() <= room).then(|| {
        bytes[..changed.len()].copy_from_slice(&changed);
        changed.len()
    })
}

/// Changes one value at a random place.
fn change(value: &mut Value, random: &mut Rng) {
    let children = match value {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    };
    if children > 0 && random.u8(..) < 200 {
        let index = random.usize(..children);
        let child = match value {
            Value::Array(items) => items.get_mut(index),
            Value::Object(fields) => fields.values_mut().nth(index),
            _ => None,
        };
        if let Some(child) = child {
            return change(child, random);
        }
    }
    match (value, random.u8(..8)) {
        (Value::Array(items), 0..=3) => change_list(items, random),
        (Value::Object(fields), 0..=3) => change_object(fields, random),
        (Value::String(text), 0..=3) => change_text(text, random),
        (value, 4) if value.is_number() => {
            let number = value.as_i64().unwrap_or_default();
            let other = [
                number.wrapping_add(1),
                number.wrapping_sub(1),
                number.wrapping_neg(),
            ];
            *value = json!(other[random.usize(..other.len())]);
        }
        (value, _) => *value = another(random),
    }
}

fn change_list(items: &mut Vec<Value>, random: &mut Rng) {
    let index = random.usize(..=items.len());
    match items.get(index).cloned() {
        Some(_) if random.bool() => drop(items.remove(index)),
        Some(item) => items.extend(std::iter::repeat_n(item, random.usize(1..6))),
        None => items.push(another(random)),
    }
}

fn change_object(fields: &mut Map<String, Value>, random: &mut Rng) {
    let keys: Vec<String> = fields.keys().cloned().collect();
    let Some(key) = random.choice(&keys) else {
        return;
    };
    let removed = fields.remove(key);
    let Some(kept) = removed.filter(|_| random.bool()) else {
        return;
    };
    // Under the name of another, or under a new one.
    let mut name = random.choice(&keys).unwrap_or(key).clone();
    if random.bool() {
        change_text(&mut name, random);
    }
    fields.insert(name, kept);
}

fn change_text(text: &mut String, random: &mut Rng) {
    let pieces = [
        "",
        " ",
        "\0",
        "[SEP]",
        "[UNK]",
        "##",
        "é",
        "e\u{301}",
        "東",
        "\u{1f98a}",
        "\u{fffd}",
        "..",
        "/",
        "-1",
        "9223372036854775807",
    ];
    let piece = pieces[random.usize(..pieces.len())];
    let at = text.floor_char_boundary(random.usize(..=text.len()));
    match random.u8(..4) {
        0 => piece.clone_into(text),
        1 => text.truncate(at),
        2 => *text = text.repeat(random.usize(1..20)),
        _ => text.insert_str(at, piece),
    }
}

fn another(random: &mut Rng) -> Value {
    let values = [
        Value::Null,
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1),
        json!(2),
        json!(255),
        json!(65_536),
        json!(1_000_000),
        json!(i32::MAX),
        json!(u32::MAX),
        json!(1_u64 << 40),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(0.5),
        json!(1e-320),
        json!(1e300),
        json!(""),
        json!("fox"),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"a": 1}),
    ];
    values[random.usize(..values.len())].clone()
}
