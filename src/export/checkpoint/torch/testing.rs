//! Writes pickles and archives byte by byte, both valid ones and ones that `torch.save` never writes.

/// A string in pickle protocol 2.
pub fn text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    [b"X", length.to_le_bytes().as_slice(), text.as_bytes()].concat()
}

pub fn integer(number: i64) -> Vec<u8> {
    [b"\x8a\x08".as_slice(), &number.to_le_bytes()].concat()
}

pub fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

pub fn tuple(values: &[Vec<u8>]) -> Vec<u8> {
    [b"(", values.concat().as_slice(), b"t"].concat()
}

pub fn integers(numbers: &[i64]) -> Vec<u8> {
    let numbers: Vec<_> = numbers.iter().map(|number| integer(*number)).collect();
    tuple(&numbers)
}

pub fn call(function: &[u8], arguments: &[Vec<u8>]) -> Vec<u8> {
    [function, &tuple(arguments), b"R"].concat()
}

/// A reference to a storage of `count` 32-bit floats.
pub fn storage(class: &str, key: &str, count: i64) -> Vec<u8> {
    let name = tuple(&[
        text("storage"),
        global("torch", class),
        text(key),
        text("cpu"),
        integer(count),
    ]);
    [name, b"Q".to_vec()].concat()
}

pub fn tensor(storage: Vec<u8>, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let arguments = [
        storage,
        integer(offset),
        integers(shape),
        integers(strides),
        b"\x89".to_vec(),
        call(&global("collections", "OrderedDict"), &[]),
    ];
    call(&global("torch._utils", "_rebuild_tensor_v2"), &arguments)
}

/// The instructions of a dict, without the end of the pickle.
pub fn dictionary(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries = entries
        .iter()
        .map(|(key, value)| [text(key), value.clone()].concat());
    let entries: Vec<_> = entries.collect();
    [b"}(", entries.concat().as_slice(), b"u"].concat()
}

pub fn pickle(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02", value, b"."].concat()
}

#[derive(Clone)]
pub struct Entry {
    pub name: String,
    pub data: Vec<u8>,
    /// 0 for an entry that is not compressed.
    pub method: u16,
    /// Bit 0 is set if the entry is encrypted.
    pub flags: u16,
    /// Unix mode, including the file type.
    pub mode: u32,
    /// The size that the directory states.
    pub claimed: u32,
}

impl Entry {
    pub fn new(name: &str, data: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            data: data.to_vec(),
            method: 0,
            flags: 0,
            mode: 0,
            claimed: u32::try_from(data.len()).unwrap(),
        }
    }
}

/// A zip archive with these entries (APPNOTE.TXT, 4.3).
pub fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let offset = u32::try_from(bytes.len()).unwrap();
        let name_length = u16::try_from(entry.name.len()).unwrap();
        // Version, flags, method, time, date, checksum, sizes, lengths of name and extra fields.
        let common = [
            20_u16.to_le_bytes().as_slice(),
            &entry.flags.to_le_bytes(),
            &entry.method.to_le_bytes(),
            &[0; 8],
            &entry.claimed.to_le_bytes(),
            &entry.claimed.to_le_bytes(),
            &name_length.to_le_bytes(),
            &[0; 2],
        ]
        .concat();
        bytes.extend(
            [
                b"PK\x03\x04",
                common.as_slice(),
                entry.name.as_bytes(),
                &entry.data,
            ]
            .concat(),
        );
        let attributes = (entry.mode << 16).to_le_bytes();
        directory.extend(
            [
                b"PK\x01\x02\x14\x03",
                common.as_slice(),
                &[0; 6],
                &attributes,
                &offset.to_le_bytes(),
                entry.name.as_bytes(),
            ]
            .concat(),
        );
    }
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    let size = u32::try_from(directory.len()).unwrap().to_le_bytes();
    let start = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    bytes.extend(directory);
    bytes.extend(
        [
            b"PK\x05\x06",
            [0; 4].as_slice(),
            &count,
            &count,
            &size,
            &start,
            &[0; 2],
        ]
        .concat(),
    );
    bytes
}

/// A file of `torch.save` with this value and the numbers of storage `0`.
pub fn saved(value: &[u8], numbers: &[f32]) -> Vec<u8> {
    archive(&[
        Entry::new("archive/data.pkl", &pickle(value)),
        Entry::new("archive/byteorder", b"little"),
        Entry::new("archive/data/0", &floats(numbers)),
        Entry::new("archive/version", b"3\n"),
    ])
}

/// The same in the format before torch 1.6.
pub fn saved_as_before(
    value: &[u8],
    little_endian: bool,
    keys: &[&str],
    numbers: &[f32],
) -> Vec<u8> {
    let order = if little_endian { b"\x88" } else { b"\x89" };
    let magic = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    let keys: Vec<_> = keys.iter().map(|key| text(key)).collect();
    let keys = [b"](", keys.concat().as_slice(), b"e"].concat();
    let count = (numbers.len() as u64).to_le_bytes();
    [
        pickle(magic),
        pickle(&integer(1001)),
        pickle(&dictionary(&[("little_endian", order.to_vec())])),
        pickle(value),
        pickle(&keys),
        count.to_vec(),
        floats(numbers),
    ]
    .concat()
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}
