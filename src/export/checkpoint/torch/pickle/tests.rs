//! The pickle machine reads what checkpoints need, and refuses everything else in bounded time and memory.

use proptest::prelude::*;

use super::super::testing::{call, dictionary, global, integer, integers, pickle, text, tuple};
use super::*;

fn error(bytes: &[u8]) -> PickleError {
    Pickle::read(bytes).unwrap_err()
}

#[test]
fn values_are_read_as_data() {
    let check = |instructions: &[u8], expected: PickleValue| {
        let bytes = pickle(instructions);
        let read = Pickle::read(&bytes).unwrap();
        assert_eq!(read.root(), expected, "{instructions:?}");
        assert_eq!(read.length, bytes.len());
    };
    check(b"N", PickleValue::None);
    check(b"\x88", PickleValue::Boolean(true));
    check(b"\x89", PickleValue::Boolean(false));
    check(b"K\xff", PickleValue::Integer(255));
    check(b"M\x01\x02", PickleValue::Integer(513));
    check(b"J\xfe\xff\xff\xff", PickleValue::Integer(-2));
    check(b"\x8a\x00", PickleValue::Integer(0));
    check(b"\x8a\x01\xff", PickleValue::Integer(-1));
    check(b"\x8a\x02\xff\x00", PickleValue::Integer(255));
    check(&integer(i64::MIN), PickleValue::Integer(i64::MIN));
    check(b"\x8b\x01\x00\x00\x00\x07", PickleValue::Integer(7));
    check(b"\x8a\x09123456789", PickleValue::LongInteger(b"123456789"));
    check(b"G\x00\x00\x00\x00\x00\x00\x00\x00", PickleValue::Other);
    check(b"C\x01a", PickleValue::Other);
    check("X\u{2}\0\0\0é".as_bytes(), PickleValue::Text("é"));
    check(b"\x8c\x01a", PickleValue::Text("a"));
    check(b"\x8d\x01\0\0\0\0\0\0\0a", PickleValue::Text("a"));
    check(b"U\x01a", PickleValue::Text("a"));
    check(b"\x95\0\0\0\0\0\0\0\0K\x01", PickleValue::Integer(1));
    check(b"K\x010K\x02", PickleValue::Integer(2));
    check(b"K\x02(K\x011", PickleValue::Integer(2));
    check(b"K\x03q\x05K\x040h\x05", PickleValue::Integer(3));
    check(
        b"K\x03r\x05\x01\0\0K\x040j\x05\x01\0\0",
        PickleValue::Integer(3),
    );
    check(b"K\x03\x94K\x04\x940h\x00", PickleValue::Integer(3));
    check(
        &global("collections", "OrderedDict"),
        PickleValue::Global(Global::OrderedDict),
    );
    check(
        &[text("collections"), text("OrderedDict"), b"\x93".to_vec()].concat(),
        PickleValue::Global(Global::OrderedDict),
    );
}

#[test]
fn containers_hold_what_was_put_into_them() {
    let read = |instructions: &[u8], check: &dyn Fn(&Pickle)| {
        check(&Pickle::read(&pickle(instructions)).unwrap());
    };
    let one_two = [PickleValue::Integer(1), PickleValue::Integer(2)];
    for instructions in [b"K\x01K\x02\x86".as_slice(), b"(K\x01K\x02t"] {
        read(instructions, &|pickle| {
            assert_eq!(pickle.tuple(pickle.root()).unwrap(), one_two);
        });
    }
    for instructions in [
        b"](K\x01K\x02e".as_slice(),
        b"]K\x01aK\x02a",
        b"(K\x01K\x02l",
    ] {
        read(instructions, &|pickle| {
            assert_eq!(pickle.list(pickle.root()).unwrap(), one_two);
        });
    }
    let ordered = call(&global("collections", "OrderedDict"), &[]);
    for dictionary in [b"}".as_slice(), &ordered] {
        for content in [b"K\x01K\x02s".as_slice(), b"(K\x01K\x02u"] {
            read(&[dictionary, content].concat(), &|pickle| {
                let entries = pickle.dictionary(pickle.root()).unwrap();
                assert_eq!(
                    entries,
                    [(PickleValue::Integer(1), PickleValue::Integer(2))]
                );
            });
        }
    }
    // The attributes of an OrderedDict change nothing.
    let with_attributes = [
        &ordered,
        dictionary(&[("_metadata", b"N".to_vec())]).as_slice(),
        b"b",
    ]
    .concat();
    read(&with_attributes, &|pickle| {
        assert_eq!(pickle.dictionary(pickle.root()), Some([].as_slice()));
    });
    read(&[integers(&[1, 2]).as_slice(), b"Q"].concat(), &|pickle| {
        assert_eq!(pickle.persistent(pickle.root()).unwrap(), one_two);
        assert_eq!(pickle.all_persistent().count(), 1);
    });
    read(
        &call(&global("torch", "Size"), &[integer(1), integer(2)]),
        &|pickle| {
            assert_eq!(
                pickle.call(pickle.root()),
                Some((Global::Class, one_two.as_slice()))
            );
        },
    );
}

#[test]
fn names_that_no_checkpoint_needs_are_refused_by_name() {
    let check = |module: &str, name: &str| {
        let stacked = [text(module), text(name), b"\x93".to_vec()].concat();
        let instance = format!("(i{module}\n{name}\n").into_bytes();
        for reference in [global(module, name), stacked, instance] {
            let error = error(&pickle(&reference)).to_string();
            assert!(error.contains(&format!("`{module}.{name}`")), "{error}");
            assert!(error.contains("nothing was executed"), "{error}");
        }
    };
    check("os", "system");
    check("posix", "system");
    check("builtins", "eval");
    check("__builtin__", "exec");
    check("subprocess", "Popen");
    check("torch", "load");
    check("torch.hub", "load");
    check("torch", "FooStorage");
    check("torch.nn.modules.linear", "Linear");
    check("collections", "OrderedDict.__init__");
    check("", "");
    // Even for a long name, the sentence is short, and no control character reaches a terminal.
    let long = error(&pickle(&global("os\u{1b}[2J", &"a".repeat(100_000)))).to_string();
    assert!(long.len() < 500 && !long.contains('\u{1b}'), "{long}");
}

#[test]
fn damaged_pickles_are_refused() {
    let check = |bytes: &[u8], expected: &str| {
        let error = error(bytes).to_string();
        assert!(error.contains(expected), "{bytes:?}: {error}");
    };
    check(b"", "ends within");
    check(b"\x80", "ends within");
    check(b"K", "ends within");
    check(b"X\x05\0\0\0abcd", "ends within");
    check(b"X\xff\xff\xff\xffabcd", "ends within");
    check(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabcd", "ends within");
    check(b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabcd", "ends within");
    check(b"cos", "ends within a name");
    check(b"cos\nsystem", "ends within a name");
    check(b"X\x01\0\0\0\xff.", "not UTF-8");
    check(b"c\xff\nb\n.", "not UTF-8");
    for underflow in [
        ".", "0", "1", "2", "t", "l", "e", "u", "a", "s", "R", "Q", "b", "q\0", "\u{94}", "\u{85}",
        "\u{86}", "\u{87}", "\u{93}",
    ] {
        let bytes: Vec<u8> = underflow
            .chars()
            .map(|byte| u8::try_from(u32::from(byte)).unwrap())
            .collect();
        check(&bytes, "where the stack has none");
    }
    // Values below a mark can't be popped until the mark is.
    check(b"K\x01(0.", "where the stack has none");
    check(b"K\x01(\x85.", "where the stack has none");
    check(b"K\x01(2.", "where the stack has none");
    check(b"h\x00.", "has not written");
    check(b"j\xff\xff\xff\xff.", "has not written");
    check(b"NNa.", "other than a list");
    check(b"N(Ne.", "other than a list");
    check(b"]NNs.", "other than a dict");
    check(b"N(NNu.", "other than a dict");
    check(b"}(Nu.", "a key without a value");
    check(b"]Nb.", "other than a dict");
    check(b"NN\x93.", "is not a text");
    check(b"N)R.", "other than a function");
    check(b"ccollections\nOrderedDict\nNR.", "other than a function");
    check(
        b"ccollections\nOrderedDict\n]R.",
        "without a tuple of arguments",
    );
    check(b"NQ.", "other than a tuple");
    check(b"I1\n.", "'I'");
    check(b"\x82\x01.", "'\\u{82}'");
}

#[test]
fn depth_and_repetition_cost_no_more_than_bytes() {
    // A hundred thousand nested tuples, a list that contains itself, and a value that doubles in each of forty steps.
    let deep = [b")".as_slice(), &b"\x85".repeat(100_000), b"."].concat();
    assert_eq!(Pickle::read(&deep).unwrap().objects.len(), 100_001);
    assert!(Pickle::read(b"]q\x00h\x00a.").is_ok());
    let doubling = [b")".as_slice(), &b"2\x86".repeat(40), b"."].concat();
    assert_eq!(Pickle::read(&doubling).unwrap().objects.len(), 41);
    for endless in ["N", "(", ")", "}", "\u{1}"] {
        let byte = endless.as_bytes()[0];
        let refused = Pickle::read(&vec![byte; MAX_INSTRUCTIONS + 1]).unwrap_err();
        assert!(
            matches!(
                refused,
                PickleError::TooLong | PickleError::UnknownInstruction(_)
            ),
            "{refused}"
        );
    }
}

proptest! {
    /// Arbitrary bytes are read or refused, and create no more values than there are bytes.
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(
            prop_oneof![
                3 => prop::sample::select(b".N\x88\x89JKM\x8a\x8bGXTU\x8c\x8dCB\x8e(012)\x85\x86\x87t]lae}suqr\x94hj\x93R\x81bQ\x80\x95".to_vec()),
                1 => any::<u8>(),
                1 => 0_u8..4,
            ],
            0..200,
        ),
    ) {
        if let Ok(read) = Pickle::read(&bytes) {
            prop_assert!(read.length <= bytes.len());
            prop_assert!(read.objects.len() <= read.length);
            let held = |object: &Object| match object {
                Object::Tuple(values) | Object::List(values) => values.len(),
                Object::Dictionary(entries) => entries.len() * 2,
                Object::Call(..) | Object::Persistent(_) => 0,
            };
            prop_assert!(read.objects.iter().map(held).sum::<usize>() <= read.length);
        }
    }

    #[test]
    fn what_was_written_is_read(number in any::<i64>(), written in any::<String>()) {
        let bytes = pickle(&tuple(&[integer(number), text(&written)]));
        let read = Pickle::read(&bytes).unwrap();
        prop_assert_eq!(read.tuple(read.root()).unwrap(), [PickleValue::Integer(number), PickleValue::Text(&written)]);
    }
}
