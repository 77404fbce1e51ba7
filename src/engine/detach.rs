//! Reads a graph's file without the weights that it contains. The rest refers to them by their position in the same
//! file, as a graph refers to weights in an external data file.
//!
//! So weights are in memory once, wherever they are stored. Neither this server nor any ONNX Runtime session parses
//! them as part of a message. The file is read field by field: decoding and encoding it would drop the fields that
//! [`onnx`] does not define.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use prost::Message as _;
use prost::encoding::encode_varint;

use crate::files;
use crate::onnx::{self, DataLocation, DataType, StringEntry};

/// Tensors of fewer bytes stay in the graph: a reference would cost every session more than it saves.
const WORTH_DETACHING: u64 = 1024;

/// The largest cost of a graph besides its tensors, see [`cost`]. The operators of a large model cost 3 MB.
const MOST_STRUCTURE: u64 = 8 << 20;

/// A message counts as so many of these bytes at least. ONNX Runtime takes up to 1,200 bytes for an empty one.
const LEAST_MESSAGE: u64 = 32;
/// How deep messages are counted within messages. Operators within operators are some six levels apart. Parsers go
/// deeper, so a message below counts as the worst that its bytes can be.
const DEEPEST: usize = 32;

/// Field numbers on the path from a model to its tensors: the graph, and its initializers.
const TO_TENSORS: [u64; 2] = [7, 5];
/// Field number of a tensor's `raw_data`.
const RAW_DATA: u64 = 9;

/// Protobuf wire types.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const START_GROUP: u64 = 3;
const END_GROUP: u64 = 4;
const FOUR_BYTES: u64 = 5;

/// A graph's file without its large weights.
pub(super) struct Detached {
    /// The message without its large weights.
    pub bytes: Vec<u8>,
    /// The file to which the message's references are relative.
    pub path: PathBuf,
}

/// Reads a graph's file.
///
/// # Errors
/// If the file can't be read, or is not a protobuf message.
pub(super) fn read(path: &Path) -> io::Result<Detached> {
    // ONNX Runtime refuses weights behind links that lead out of the graph's folder, and model caches are full of such
    // links.
    let real = path.canonicalize()?;
    let file = files::open(&real)?;
    let end = file.metadata()?.len();
    let mut walk = Walk {
        source: BufReader::new(file),
        position: 0,
        name: real.file_name().and_then(|name| name.to_str()),
        detached: false,
        structure: 0,
    };
    let bytes = walk.message(end, &TO_TENSORS)?;
    // If all weights are in external files, those are beside the link.
    let path = if walk.detached {
        real
    } else {
        path.to_path_buf()
    };
    Ok(Detached { bytes, path })
}

/// Whether tensors of this type are shared as they are stored. On the CPU, 16-bit floats are not: ONNX Runtime widens
/// those of a foreign graph to fp32, in each session.
fn is_shared(kind: DataType) -> bool {
    matches!(kind, DataType::Float | DataType::Int8 | DataType::Uint8)
}

struct Walk<'p, R> {
    source: R,
    position: u64,
    /// The file's name, for references to it. If the name is not UTF-8, the graph keeps its weights.
    name: Option<&'p str>,
    /// Whether any weights were left out.
    detached: bool,
    /// Bytes besides tensors so far.
    structure: u64,
}

impl<R: Read + Seek> Walk<'_, R> {
    /// Reads a message that ends at `end`, without the weights of the tensors that the path `to_tensors` leads to.
    fn message(&mut self, end: u64, to_tensors: &[u64]) -> io::Result<Vec<u8>> {
        let Some((&next, deeper)) = to_tensors.split_first() else {
            return self.tensor(end);
        };
        let mut kept = Vec::new();
        while self.position < end {
            let key = self.varint()?;
            if key == next << 3 | LENGTH_DELIMITED {
                let length = self.length(end)?;
                let message = self.message(self.position + length, deeper)?;
                encode_varint(key, &mut kept);
                encode_varint(message.len() as u64, &mut kept);
                kept.extend(message);
                self.count_structure(LEAST_MESSAGE)?;
            } else {
                let before = kept.len();
                self.copy(key, end, &mut kept)?;
                self.count_structure(cost(&kept[before..], DEEPEST))?;
            }
        }
        Ok(kept)
    }

    /// Counts bytes that take more memory once they are parsed.
    fn count_structure(&mut self, bytes: u64) -> io::Result<()> {
        self.structure = self.structure.saturating_add(bytes);
        if self.structure > MOST_STRUCTURE {
            return Err(damaged(
                "it has far more operators and names than any model needs".to_owned(),
            ));
        }
        Ok(())
    }

    /// Reads a tensor that ends at `end`. If it is large, a reference replaces its data.
    fn tensor(&mut self, end: u64) -> io::Result<Vec<u8>> {
        const KEY: u64 = RAW_DATA << 3 | LENGTH_DELIMITED;
        let mut kept = Vec::new();
        let mut data = None;
        while self.position < end {
            let key = self.varint()?;
            if key == KEY {
                let length = self.length(end)?;
                data = Some((self.position, length));
                self.seek(self.position + length)?;
            } else {
                self.copy(key, end, &mut kept)?;
                // Such as the entries of `external_data`, and texts.
                if key & 7 == LENGTH_DELIMITED {
                    self.count_structure(LEAST_MESSAGE)?;
                }
            }
        }
        let Some((offset, length)) = data else {
            return Ok(kept);
        };
        let tensor = onnx::Tensor::decode(kept.as_slice()).map_err(io::Error::other)?;
        match self.name {
            Some(name)
                if length >= WORTH_DETACHING
                    && is_shared(tensor.data_type())
                    && tensor.data_location() == DataLocation::Default =>
            {
                // Protobuf allows a message's fields in any order.
                kept.extend(reference(name, offset, length).encode_to_vec());
                self.detached = true;
            }
            _ => {
                self.seek(offset)?;
                encode_varint(KEY, &mut kept);
                encode_varint(length, &mut kept);
                self.take(length, end, &mut kept)?;
                self.seek(end)?;
            }
        }
        Ok(kept)
    }

    /// Copies a field whose key has been read.
    fn copy(&mut self, key: u64, end: u64, kept: &mut Vec<u8>) -> io::Result<()> {
        encode_varint(key, kept);
        match key & 7 {
            VARINT => {
                let value = self.varint()?;
                encode_varint(value, kept);
                Ok(())
            }
            EIGHT_BYTES => self.take(8, end, kept),
            FOUR_BYTES => self.take(4, end, kept),
            LENGTH_DELIMITED => {
                let length = self.length(end)?;
                encode_varint(length, kept);
                self.take(length, end, kept)
            }
            other => Err(damaged(format!("a field has the unknown type {other}"))),
        }
    }

    /// Reads the length of a field and checks that the field ends by `end`, so that nothing beyond the file is read.
    fn length(&mut self, end: u64) -> io::Result<u64> {
        let length = self.varint()?;
        let left = end.saturating_sub(self.position);
        if length <= left {
            return Ok(length);
        }
        Err(damaged(format!(
            "a field claims {length} bytes, but only {left} are left"
        )))
    }

    fn take(&mut self, length: u64, end: u64, kept: &mut Vec<u8>) -> io::Result<()> {
        let length = length.min(end.saturating_sub(self.position));
        let taken = self.source.by_ref().take(length).read_to_end(kept)?;
        if taken as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += length;
        Ok(())
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.source.read_exact(&mut byte)?;
            self.position += 1;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged("a number has more than 64 bits".to_owned()))
    }

    fn seek(&mut self, position: u64) -> io::Result<()> {
        self.position = self.source.seek(SeekFrom::Start(position))?;
        Ok(())
    }
}

/// The cost of some fields, whatever their names: what parsing them takes beyond the bytes of texts and numbers. A text
/// may read as fields too, up to some byte, and then costs somewhat more than it should. Fields before a damaged one
/// count, because a parser allocates them before it finds the damage.
fn cost(mut fields: &[u8], depth: usize) -> u64 {
    let mut sum = 0_u64;
    while let Some(key) = take_varint(&mut fields) {
        let skipped = match key & 7 {
            // No field has the number 0.
            _ if key >> 3 == 0 => break,
            VARINT => {
                if take_varint(&mut fields).is_none() {
                    break;
                }
                0
            }
            EIGHT_BYTES => 8,
            FOUR_BYTES => 4,
            // The fields of a group follow its key.
            START_GROUP | END_GROUP => 0,
            LENGTH_DELIMITED => {
                let Some(length) = take_varint(&mut fields) else {
                    break;
                };
                // Parsers may read a field that is too long before they refuse it.
                let length =
                    usize::try_from(length).map_or(fields.len(), |it| it.min(fields.len()));
                let inner = &fields[..length];
                let inner = match depth.checked_sub(1) {
                    Some(depth) => cost(inner, depth),
                    // At worst, these are messages of two bytes.
                    None => (inner.len() as u64 / 2).saturating_mul(LEAST_MESSAGE + 2),
                };
                sum = sum.saturating_add(inner.max(LEAST_MESSAGE));
                length
            }
            _ => break,
        };
        sum = sum.saturating_add(2);
        fields = fields.get(skipped..).unwrap_or_default();
    }
    sum
}

/// Takes a number off the start of `bytes`, as leniently as parsers do: they drop bits beyond the 64th, which
/// [`prost`] refuses.
fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let length = bytes.iter().take(10).position(|byte| *byte < 0x80)? + 1;
    let (number, rest) = bytes.split_at(length);
    *bytes = rest;
    let digits = number.iter().zip((0_u32..64).step_by(7));
    Some(digits.fold(0, |value, (byte, shift)| {
        value | u64::from(byte & 0x7f) << shift
    }))
}

/// The fields that locate a tensor's external data.
fn reference(file: &str, offset: u64, length: u64) -> onnx::Tensor {
    let entry = |key: &str, value: String| StringEntry {
        key: key.to_owned(),
        value,
    };
    onnx::Tensor {
        external_data: vec![
            entry("location", file.to_owned()),
            entry("offset", offset.to_string()),
            entry("length", length.to_string()),
        ],
        data_location: DataLocation::External.into(),
        ..onnx::Tensor::default()
    }
}

fn damaged(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::other_graph;

    fn tensors(bytes: &[u8]) -> Vec<onnx::Tensor> {
        let model = onnx::Model::decode(bytes).unwrap();
        model.graph.unwrap().initializer
    }

    #[test]
    fn weights_are_left_where_they_are_and_all_else_is_kept() {
        for name in [
            "optimum-sequence/onnx/model.onnx",
            "optimum-sequence-int8/model.onnx",
        ] {
            let path = other_graph(name);
            let whole = std::fs::read(&path).unwrap();
            let rest = read(&path).unwrap().bytes;
            let (before, after) = (tensors(&whole), tensors(&rest));
            assert_eq!(before.len(), after.len());
            let mut detached = 0;
            for (before, after) in before.iter().zip(&after) {
                let large = before.raw_data.len() >= 1024 && is_shared(before.data_type());
                if large {
                    detached += before.raw_data.len();
                    let said = |index: usize| after.external_data[index].value.as_str();
                    let at = said(1).parse::<usize>().unwrap();
                    let length = said(2).parse::<usize>().unwrap();
                    assert_eq!(said(0), "model.onnx");
                    assert_eq!(whole[at..at + length], before.raw_data);
                    assert!(after.raw_data.is_empty());
                } else {
                    assert_eq!(before, after);
                }
            }
            // A reference takes about 80 bytes per tensor; everything else must remain.
            assert!(detached > 0);
            let left = whole.len() - detached;
            assert!(
                (left..left + 80 * after.len()).contains(&rest.len()),
                "{}",
                rest.len()
            );
        }
    }

    #[test]
    fn a_graph_without_large_weights_of_its_own_is_kept_to_the_byte() {
        let path = other_graph("torch-discriminator-int32/model.onnx");
        assert_eq!(read(&path).unwrap().bytes, std::fs::read(&path).unwrap());
    }

    #[test]
    fn graphs_of_operators_without_content_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        // Operators, and tensors, of two bytes each.
        let empty = |field: u8| {
            [field, 0].repeat(usize::try_from(MOST_STRUCTURE / LEAST_MESSAGE + 1).unwrap())
        };
        let within = |field: u8, content: &[u8]| {
            let mut message = vec![field];
            encode_varint(content.len() as u64, &mut message);
            message.extend(content);
            message
        };
        // Operators, tensors, an operator's attributes, and the operators of an attribute's graph.
        let attributes = within(0x0a, &empty(0x2a));
        let inner = within(0x0a, &within(0x2a, &within(0x32, &empty(0x0a))));
        let beside = |content: &[u8]| within(0x0a, &[content, &empty(0x2a)].concat());
        let after = |content: &[u8]| within(0x0a, &[&empty(0x2a), content].concat());
        let mut deep = empty(0x0a);
        for _ in 0..DEEPEST + 4 {
            deep = within(0x0a, &deep);
        }
        let contents = [
            empty(0x0a),
            empty(0x2a),
            attributes,
            inner,
            // A group that is not defined, and a number of more than 64 bits, both of which parsers accept.
            beside(&[0xa3, 0x06, 0xa4, 0x06]),
            beside(&[
                0xa0, 0x06, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
            ]),
            // What no parser accepts, but only once it has read all else: a type, and a length.
            after(&[0xa7, 0x06]),
            after(&[0xa2, 0x06, 0x7f]),
            deep,
            // A tensor's external data, and its texts.
            within(0x2a, &empty(0x6a)),
            within(0x2a, &empty(0x32)),
        ];
        for (index, content) in contents.iter().enumerate() {
            std::fs::write(&path, within(0x3a, content)).unwrap();
            let reason = read(&path).err().map(|error| error.to_string());
            let refused = reason
                .as_ref()
                .is_some_and(|it| it.contains("far more operators"));
            assert!(refused, "{index}: {reason:?}");
        }
    }
}
