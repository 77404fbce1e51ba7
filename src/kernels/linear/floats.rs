//! fp32 weights and their products.

use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix};
use rten_tensor::Matrix;

use super::WrongSize;

/// A linear layer's weights in fp32.
pub struct FloatWeights {
    packed: PackedBMatrix<f32>,
}

impl FloatWeights {
    /// Packs weights of `[inputs, outputs]`, row-major.
    ///
    /// # Panics
    /// If the number of weights is not `inputs * outputs`.
    #[must_use]
    pub fn new([inputs, outputs]: [usize; 2], weights: &[f32]) -> Self {
        keep_products_on_their_thread();
        let weights = Matrix::from_data([inputs, outputs], weights);
        Self {
            packed: GemmExecutor::<f32>::new().prepack_b(weights),
        }
    }

    /// `[inputs, outputs]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 2] {
        [self.packed.rows(), self.packed.cols()]
    }

    /// Multiplies `rows`, `[rows, inputs]`, with the weights into `products`, `[rows, outputs]`.
    ///
    /// # Errors
    /// If `rows` or `products` has the wrong size.
    pub fn multiply(&self, rows: &[f32], products: &mut [f32]) -> Result<(), WrongSize> {
        let width = self.packed.rows();
        let count = rows.len().checked_div(width).unwrap_or(0);
        let rows = Matrix::try_from_data([count, width], rows).map_err(|_| WrongSize)?;
        GemmExecutor::<f32>::new()
            .gemm(
                products,
                GemmInputA::Unpacked(rows),
                GemmInputB::Packed(&self.packed),
                GemmOptions::default(),
            )
            .map_err(|_| WrongSize)
    }
}

/// Keeps rten-gemm on the calling thread: it uses as many threads as rayon's global pool has. Nothing else in this
/// crate uses that pool. If the pool already exists, products are still right but use its threads.
fn keep_products_on_their_thread() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1);
    let _made_before = pool.build_global();
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    /// Row counts of one tile, several tiles and part of one; depths of one block and of several.
    const SHAPES: [[usize; 3]; 5] = [
        [1, 4, 32],
        [6, 16, 64],
        [7, 7, 1],
        [70, 300, 47],
        [13, 1024, 96],
    ];

    #[test]
    fn products_are_those_of_the_formula_alone_and_among_others() {
        let mut rng = Rng::with_seed(3);
        for [count, inputs, outputs] in SHAPES {
            let mut random =
                |count: usize| -> Vec<f32> { (0..count).map(|_| rng.f32() * 2.0 - 1.0).collect() };
            let (rows, weights) = (random(count * inputs), random(inputs * outputs));
            let laid_out = FloatWeights::new([inputs, outputs], &weights);
            let mut products = vec![f32::NAN; count * outputs];
            laid_out.multiply(&rows, &mut products).unwrap();
            for (place, product) in products.iter().enumerate() {
                let (row, column) = (place / outputs, place % outputs);
                let exact: f64 = (0..inputs)
                    .map(|input| {
                        let weight = f64::from(weights[input * outputs + column]);
                        f64::from(rows[row * inputs + input]) * weight
                    })
                    .sum();
                let difference = (f64::from(*product) - exact).abs();
                assert!(
                    difference < 1e-4,
                    "{count} x {inputs} x {outputs}: {difference}"
                );
            }
            let mut alone = vec![f32::NAN; outputs];
            for (row, among_others) in rows.chunks(inputs).zip(products.chunks(outputs)) {
                laid_out.multiply(row, &mut alone).unwrap();
                assert_eq!(alone, among_others, "{count} x {inputs} x {outputs}");
            }
        }
    }

    #[test]
    fn other_sizes_are_refused() {
        let weights = FloatWeights::new([4, 2], &[1.0; 8]);
        let check = |rows: usize, products: usize, expected| {
            let found = weights.multiply(&vec![1.0; rows], &mut vec![0.0; products]);
            assert_eq!(found, expected);
        };
        check(8, 4, Ok(()));
        check(0, 0, Ok(()));
        check(7, 4, Err(WrongSize));
        check(8, 2, Err(WrongSize));
    }
}
