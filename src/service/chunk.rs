//! Parts of a request that are tokenised and run one after another, so that a large request holds no more of the server
//! than a small one.

use crate::batch::RequestSize;

/// About the bytes of text in one part: some four thousand tokens, a few batches. Tokenising it takes about a
/// millisecond, which is how soon an abandoned request stops.
const CHUNK_BYTES: usize = 16 << 10;

/// A part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<C> {
    pub size: RequestSize,
    /// At least one.
    pub inputs: usize,
    pub content: C,
}

impl<C> Chunk<C> {
    /// A request that is one part, and tokenised.
    pub fn of_tokens(tokens: usize, content: C) -> Vec<Self> {
        Self::of_size(RequestSize::Tokens(tokens), content)
    }

    fn of_size(size: RequestSize, content: C) -> Vec<Self> {
        let inputs = 1;
        vec![Self {
            size,
            inputs,
            content,
        }]
    }
}

impl<I> Chunk<Vec<I>> {
    /// Divides inputs, given the bytes of text of each. A part has at least one input.
    pub fn divide(inputs: Vec<I>, bytes: impl Fn(&I) -> usize) -> Vec<Self> {
        let mut chunks: Vec<Self> = Vec::new();
        let mut last_bytes = usize::MAX;
        for input in inputs {
            let input_bytes = bytes(&input);
            match chunks.last_mut() {
                Some(chunk) if last_bytes.saturating_add(input_bytes) <= CHUNK_BYTES => {
                    last_bytes += input_bytes;
                    chunk.size = RequestSize::Bytes(last_bytes);
                    chunk.inputs += 1;
                    chunk.content.push(input);
                }
                _ => {
                    last_bytes = input_bytes;
                    let size = RequestSize::Bytes(input_bytes);
                    chunks.extend(Self::of_size(size, vec![input]));
                }
            }
        }
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_of_similar_size_and_nothing_is_split() {
        let sizes = |inputs: &[usize]| -> Vec<Vec<usize>> {
            let chunks = Chunk::divide(inputs.to_vec(), |bytes| *bytes);
            for chunk in &chunks {
                let bytes = chunk.content.iter().sum();
                assert_eq!(chunk.size, RequestSize::Bytes(bytes));
                assert_eq!(chunk.inputs, chunk.content.len());
            }
            chunks.into_iter().map(|chunk| chunk.content).collect()
        };
        assert_eq!(sizes(&[]), Vec::<Vec<usize>>::new());
        assert_eq!(sizes(&[0, 10, 20]), [[0, 10, 20]]);
        let half = CHUNK_BYTES / 2;
        assert_eq!(
            sizes(&[half, half, 1, 5 * half, 1]),
            [vec![half, half], vec![1], vec![5 * half], vec![1]]
        );
    }
}
