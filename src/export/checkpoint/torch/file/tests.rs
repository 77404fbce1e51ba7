//! Reads files that `torch.save` could have written, and refuses files that it never writes.

use std::io::Write as _;

use super::super::testing::{
    Entry, archive, call, dictionary, global, integer, integers, pickle, saved, saved_as_before,
    storage, tensor, text, tuple,
};
use super::*;
use crate::export::checkpoint::tensor::{FloatType, NumberType, StoredTensor};

fn open(bytes: &[u8]) -> (File, Result<Tensors, WeightsError>) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let tensors = tensors(&file);
    (file, tensors)
}

fn reason(bytes: &[u8]) -> String {
    match open(bytes).1 {
        Err(WeightsError::Invalid(reason)) => reason,
        other => panic!("no refusal: {other:?}"),
    }
}

fn floats() -> Vec<u8> {
    storage("FloatStorage", "0", 6)
}

const NUMBERS: [f32; 6] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];

/// Reads tensor `w` from a dict with this one tensor, in both formats.
fn values(tensor: &[u8]) -> (Vec<usize>, Vec<f32>) {
    let dict = dictionary(&[("w", tensor.to_vec())]);
    let read = |bytes: &[u8]| {
        let (file, tensors) = open(bytes);
        let tensor = &tensors.unwrap()["w"];
        assert_eq!(*tensor.number_type(), NumberType::Float(FloatType::Fp32));
        let values = tensor.values(&file, FloatType::Fp32).unwrap();
        (tensor.shape().to_vec(), values)
    };
    let now = read(&saved(&dict, &NUMBERS));
    assert_eq!(now, read(&saved_as_before(&dict, true, &["0"], &NUMBERS)));
    now
}

#[test]
fn tensors_are_found_in_their_storages() {
    let check = |tensor: &[u8], shape: &[usize], expected: &[f32]| {
        assert_eq!(values(tensor), (shape.to_vec(), expected.to_vec()));
    };
    check(&tensor(floats(), 0, &[2, 3], &[3, 1]), &[2, 3], &NUMBERS);
    check(&tensor(floats(), 1, &[2], &[1]), &[2], &[1.0, 2.0]);
    check(&tensor(floats(), 5, &[], &[]), &[], &[5.0]);
    check(
        &tensor(floats(), 0, &[3, 2], &[1, 3]),
        &[3, 2],
        &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0],
    );
    check(
        &tensor(floats(), 1, &[2, 2], &[2, 1]),
        &[2, 2],
        &[1.0, 2.0, 3.0, 4.0],
    );
    check(&tensor(floats(), 0, &[3], &[0]), &[3], &[0.0; 3]);
    // The stride of an axis of one element is ignored.
    check(
        &tensor(floats(), 0, &[1, 2], &[i64::MAX, 1]),
        &[1, 2],
        &[0.0, 1.0],
    );
    check(
        &tensor(floats(), 3, &[2, 1], &[2, i64::MAX]),
        &[2, 1],
        &[3.0, 5.0],
    );
    check(&tensor(floats(), 0, &[0, 5], &[5, 1]), &[0, 5], &[]);
    check(&tensor(floats(), i64::MAX, &[0], &[1]), &[0], &[]);
    let parameter = global("torch._utils", "_rebuild_parameter");
    let plain = tensor(floats(), 0, &[2], &[1]);
    let wrapped = call(
        &parameter,
        &[plain.clone(), b"\x88".to_vec(), b"}".to_vec()],
    );
    check(&wrapped, &[2], &[0.0, 1.0]);
    let attributes = call(
        &global("torch._tensor", "_rebuild_from_type_v2"),
        &[
            global("torch._utils", "_rebuild_tensor_v2"),
            global("torch", "Tensor"),
            tuple(&[floats(), integer(2), integers(&[1]), integers(&[1])]),
            b"}".to_vec(),
        ],
    );
    check(&attributes, &[1], &[2.0]);
    let untyped = tuple(&[
        text("storage"),
        global("torch.storage", "UntypedStorage"),
        text("0"),
        text("cpu"),
        integer(24),
    ]);
    let typed = call(
        &global("torch._utils", "_rebuild_tensor_v3"),
        &[
            [untyped, b"Q".to_vec()].concat(),
            integer(1),
            integers(&[2]),
            integers(&[1]),
            b"\x89".to_vec(),
            b"N".to_vec(),
            global("torch", "float32"),
        ],
    );
    let (_, tensors) = open(&saved(&dictionary(&[("w", typed)]), &NUMBERS));
    let expected = NumberType::Float(FloatType::Fp32);
    assert_eq!(*tensors.unwrap()["w"].number_type(), expected);
}

#[test]
fn what_is_no_tensor_is_left_out() {
    let dict = dictionary(&[
        ("epoch", integer(3)),
        ("name", text("x")),
        ("nothing", b"N".to_vec()),
        ("w", tensor(floats(), 0, &[6], &[1])),
        ("shape", call(&global("torch", "Size"), &[integers(&[1])])),
        ("ids", tensor(storage("LongStorage", "0", 3), 0, &[3], &[1])),
    ]);
    let (_, tensors) = open(&saved(&dict, &NUMBERS));
    let tensors = tensors.unwrap();
    assert_eq!(tensors.keys().collect::<Vec<_>>(), ["ids", "w"]);
    assert_eq!(
        *tensors["ids"].number_type(),
        NumberType::Other("int64".to_owned())
    );
    for nested in ["state_dict", "model_state_dict", "model"] {
        let outer = dictionary(&[("epoch", integer(3)), (nested, dict.clone())]);
        let (_, nested) = open(&saved(&outer, &NUMBERS));
        let shapes = |tensors: &Tensors| -> Vec<(String, Vec<usize>)> {
            let shape =
                |(name, tensor): (&String, &StoredTensor)| (name.clone(), tensor.shape().to_vec());
            tensors.iter().map(shape).collect()
        };
        assert_eq!(shapes(&nested.unwrap()), shapes(&tensors));
    }
}

#[test]
fn tensors_that_do_not_fit_their_storage_are_refused_by_name() {
    let check = |wrong: Vec<u8>, expected: &str| {
        let right = tensor(floats(), 0, &[1], &[1]);
        let dict = dictionary(&[("right", right), ("w", wrong)]);
        for bytes in [
            saved(&dict, &NUMBERS),
            saved_as_before(&dict, true, &["0"], &NUMBERS),
        ] {
            let reason = reason(&bytes);
            assert!(reason.contains(expected), "{reason}");
            assert!(reason.contains("tensor `w`"), "{reason}");
        }
    };
    let elements = "more elements than the 6 of its storage";
    let reaches = "reaches beyond the 6 numbers of its storage";
    check(tensor(floats(), 0, &[7], &[1]), elements);
    check(tensor(floats(), 0, &[1 << 40], &[0]), elements);
    check(tensor(floats(), 0, &[1 << 32, 1 << 32], &[0, 0]), elements);
    check(
        tensor(floats(), 0, &[i64::MAX, i64::MAX, i64::MAX], &[1, 1, 1]),
        elements,
    );
    check(tensor(floats(), 1, &[6], &[1]), reaches);
    check(tensor(floats(), 6, &[1], &[1]), reaches);
    check(tensor(floats(), i64::MAX, &[1], &[1]), reaches);
    check(tensor(floats(), 0, &[2], &[6]), reaches);
    check(tensor(floats(), 0, &[3], &[i64::MAX]), reaches);
    check(tensor(floats(), i64::MAX, &[2], &[i64::MAX]), reaches);
    check(
        tensor(floats(), -1, &[1], &[1]),
        "its offset is not a count",
    );
    check(tensor(floats(), 0, &[-1], &[1]), "its shape is not");
    check(tensor(floats(), 0, &[1; 9], &[1; 9]), "its shape is not");
    check(tensor(floats(), 0, &[1], &[-1]), "its strides are not");
    check(tensor(floats(), 0, &[1], &[]), "number of strides");
    check(tensor(integer(0), 0, &[1], &[1]), "not made of a storage");
    let mut nested = tensor(floats(), 0, &[1], &[1]);
    for _ in 0..5 {
        nested = call(&global("torch._utils", "_rebuild_parameter"), &[nested]);
    }
    check(nested, "not rebuilt as torch does it");
    check(
        call(&global("torch._utils", "_rebuild_tensor_v2"), &[]),
        "not rebuilt as torch does it",
    );
    check(
        call(&global("torch._utils", "_rebuild_parameter"), &[integer(1)]),
        "not rebuilt as torch does it",
    );
}

#[test]
fn storages_that_are_not_as_named_are_refused() {
    let check = |storage: Vec<u8>, numbers: &[f32], expected: &str| {
        let dict = dictionary(&[("w", tensor(storage, 0, &[1], &[1]))]);
        let reason = reason(&saved(&dict, numbers));
        assert!(reason.contains(expected), "{reason}");
    };
    check(
        storage("FloatStorage", "1", 6),
        &NUMBERS,
        "its storage `1` is not in the file",
    );
    check(
        storage("FloatStorage", "0", 7),
        &NUMBERS,
        "should hold 7 numbers, but has 24 bytes",
    );
    check(
        storage("FloatStorage", "0", i64::MAX),
        &NUMBERS,
        "should hold",
    );
    check(storage("FloatStorage", "0", -1), &NUMBERS, "has -1 numbers");
    check(
        storage("FloatStorage", "../data.pkl", 1),
        &NUMBERS,
        "is not in the file",
    );
    check(
        [tuple(&[text("module")]), b"Q".to_vec()].concat(),
        &NUMBERS,
        "not named as torch.save names it",
    );
    let dict = dictionary(&[("w", tensor(floats(), 0, &[1], &[1]))]);
    let before = |little_endian, keys: &[&str], numbers: &[f32]| {
        saved_as_before(&dict, little_endian, keys, numbers)
    };
    for (bytes, expected) in [
        (
            before(true, &["other"], &NUMBERS),
            "a storage that no tensor has",
        ),
        (before(true, &[], &NUMBERS), "is not in the file"),
        (
            before(true, &["0"], &NUMBERS[..5]),
            "should hold 6 numbers, but has 20 bytes",
        ),
        (before(true, &["0", "0"], &NUMBERS), "cut short"),
        (before(false, &["0"], &NUMBERS), "big-endian"),
    ] {
        let reason = reason(&bytes);
        assert!(reason.contains(expected), "{reason}");
    }
    let whole = before(true, &["0"], &NUMBERS);
    let cut = reason(&whole[..whole.len() - 1]);
    assert!(cut.contains("cut short"), "{cut}");
}

#[test]
fn archives_that_torch_does_not_write_are_refused() {
    let dict = dictionary(&[("w", tensor(floats(), 0, &[1], &[1]))]);
    let plain = [
        Entry::new("a/data.pkl", &pickle(&dict)),
        Entry::new("a/byteorder", b"little"),
        Entry::new("a/data/0", &[0; 24]),
    ];
    assert!(open(&archive(&plain)).1.is_ok());
    // Repacked archives may have entries for folders.
    let folders = [Entry::new("a/", b""), Entry::new("a/data/", b"")];
    assert!(
        open(&archive(&[&folders, plain.as_slice()].concat()))
            .1
            .is_ok()
    );
    let check = |change: &dyn Fn(&mut Vec<Entry>), expected: &str| {
        let mut entries = plain.to_vec();
        change(&mut entries);
        let reason = reason(&archive(&entries));
        assert!(reason.contains(expected), "{reason}");
    };
    check(&|entries| entries.clear(), "");
    check(
        &|entries| entries[0].name = "a/other.pkl".to_owned(),
        "no entry data.pkl",
    );
    check(
        &|entries| entries[0].name = "data.pkl".to_owned(),
        "no entry data.pkl",
    );
    check(
        &|entries| entries[1] = Entry::new("a/byteorder", b"bigger"),
        "an unknown byte order",
    );
    check(
        &|entries| entries[1] = Entry::new("a/byteorder", b"big"),
        "big-endian",
    );
    check(&|entries| entries[2].method = 8, "`a/data/0` is compressed");
    check(&|entries| entries[2].flags = 1, "`a/data/0` is encrypted");
    check(
        &|entries| entries[2].mode = 0o120_777,
        "`a/data/0` is a link",
    );
    check(
        &|entries| entries[2].claimed = 1 << 30,
        "`data/0` claims more bytes than the file has",
    );
    check(
        &|entries| entries[2].claimed = 0,
        "should hold 6 numbers, but has 0 bytes",
    );
    check(
        &|entries| entries.push(entries[2].clone()),
        "two entries named `data/0`",
    );
    check(
        &|entries| entries.push(Entry::new("a/constants.pkl", b"")),
        "TorchScript",
    );
    for name in [
        "../a",
        "a/../../b",
        "/etc/passwd",
        "a//b",
        "a/./b",
        "C:\\b",
        "a\\..\\b",
        "",
    ] {
        check(
            &|entries| entries.push(Entry::new(name, b"")),
            "leads out of the archive",
        );
    }
    let whole = archive(&plain);
    for length in [4, 30, whole.len() / 2, whole.len() - 1] {
        let reason = reason(&whole[..length]);
        assert!(reason.contains("cut short"), "{reason}");
    }
}

#[test]
fn files_of_another_kind_are_refused() {
    for (bytes, expected) in [
        (b"".as_slice(), "torch.save has not written it"),
        (b"hello", "torch.save has not written it"),
        (&pickle(&integer(1)), "torch.save has not written it"),
        (
            b"\x80\x04\x95\x08\0\0\0\0\0\0\0\x8c\x05posix\x8c\x06system\x93.",
            "refers to `posix.system`",
        ),
        (
            &saved(&integer(1), &[]),
            "something other than a dict of tensors",
        ),
        (&saved(b"}", &[]), "it holds no tensors"),
        (&saved(b"](NNNe", &[]), "something other than a dict"),
    ] {
        let reason = reason(bytes);
        assert!(reason.contains(expected), "{reason}");
    }
}
