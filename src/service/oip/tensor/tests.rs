//! Raw data and shapes, valid and invalid.

use proptest::prelude::*;

use super::*;

fn reason(datatype: Datatype, shape: &[i64], raw: &[u8]) -> String {
    let error = Tensor::from_raw("t".to_owned(), datatype, shape.to_vec(), raw).unwrap_err();
    assert_eq!(error.code(), "invalid_value");
    error.to_string()
}

#[test]
fn raw_data_is_little_endian_with_lengths_before_strings() {
    let check = |data: TensorData, raw: &[u8]| {
        assert_eq!(data.to_raw(), raw);
        let count = data.len();
        assert_eq!(TensorData::from_raw(data.datatype(), raw, count), Ok(data));
    };
    check(TensorData::Bool(vec![true, false]), &[1, 0]);
    check(TensorData::Int32(vec![-2]), &[254, 255, 255, 255]);
    check(TensorData::Int64(vec![258]), &[2, 1, 0, 0, 0, 0, 0, 0]);
    check(TensorData::Fp32(vec![1.0]), &[0, 0, 0x80, 0x3f]);
    check(
        TensorData::Bytes(vec![b"ab".to_vec(), Vec::new()]),
        &[2, 0, 0, 0, b'a', b'b', 0, 0, 0, 0],
    );
}

#[test]
fn raw_data_that_is_not_of_the_shape_is_refused_by_the_tensors_name() {
    for (datatype, shape, raw, words) in [
        (Datatype::Int64, &[2][..], &[0; 15][..], "15 bytes in all"),
        (Datatype::Int64, &[1], &[0; 16], "1 elements of INT64"),
        (Datatype::Bool, &[1], &[2], "neither 0 nor 1"),
        (
            Datatype::Bytes,
            &[1],
            &[1, 0, 0],
            "within the length of element 0",
        ),
        (
            Datatype::Bytes,
            &[1],
            &[9, 0, 0, 0, 1],
            "9 bytes by its length, and 1 are left",
        ),
        (
            Datatype::Bytes,
            &[1],
            &[255; 4],
            "4294967295 bytes by its length",
        ),
        (
            Datatype::Bytes,
            &[2],
            &[0; 4],
            "2 elements, and its raw data 1",
        ),
        (Datatype::Fp32, &[-1], &[], "negative dimension -1"),
        (
            Datatype::Fp32,
            &[i64::MAX, 4],
            &[],
            "more elements than memory",
        ),
        (Datatype::Bytes, &[i64::MAX], &[], "its raw data 0"),
    ] {
        let reason = reason(datatype, shape, raw);
        assert!(reason.contains("`t`") && reason.contains(words), "{reason}");
    }
}

#[test]
fn shapes_agree_with_data() {
    let tensor = |shape: &[i64]| {
        Tensor::new(
            "t".to_owned(),
            shape.to_vec(),
            TensorData::Int64(vec![1, 2]),
        )
    };
    for shape in [&[2][..], &[2, 1], &[1, 2, 1]] {
        assert_eq!(tensor(shape).unwrap().shape(), shape);
    }
    for shape in [&[][..], &[3], &[2, 0], &[-2], &[i64::MAX, i64::MAX]] {
        assert_eq!(
            tensor(shape).unwrap_err().code(),
            "invalid_value",
            "{shape:?}"
        );
    }
}

#[test]
fn datatypes_are_read_by_the_protocols_names() {
    for datatype in Datatype::ALL {
        assert_eq!(datatype.name().parse(), Ok(datatype));
    }
    assert!("FP8".parse::<Datatype>().unwrap_err().contains("`FP8`"));
}

proptest! {
    /// Any data is either read or refused. If it is read, it is written back unchanged.
    #[test]
    fn raw_data_is_read_or_refused(raw in prop::collection::vec(any::<u8>(), 0..64), count in 0_usize..20, which in 0_usize..5) {
        let datatype = Datatype::ALL[which];
        if let Ok(data) = TensorData::from_raw(datatype, &raw, count) {
            prop_assert_eq!(data.len(), count);
            prop_assert_eq!(data.to_raw(), raw);
        }
    }

    #[test]
    fn strings_survive(elements in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..9)) {
        let data = TensorData::Bytes(elements);
        prop_assert_eq!(TensorData::from_raw(Datatype::Bytes, &data.to_raw(), data.len()), Ok(data));
    }
}
