//! Products of bytes by the instructions of x86-64 that add several of them at once.

use multiversion::multiversion;
use multiversion::target::match_target;

use super::byte_weights::{COLUMNS, DEPTH, Rows, Step};

/// Whether ONNX Runtime has no faster instructions for products of bytes than those used here.
#[must_use]
pub fn multiplies_bytes() -> bool {
    let features = raw_cpuid::CpuId::new().get_extended_feature_info();
    features.is_some_and(|features| match instructions() {
        Instructions::Vnni => !features.has_amx_int8(),
        Instructions::Avx2 => !features.has_avx512f() && !features.has_avx_vnni(),
        Instructions::Any => false,
    })
}

/// What multiplies bytes, from the fastest to the slowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instructions {
    /// AVX-512's VNNI.
    Vnni,
    /// AVX2.
    Avx2,
    /// None that are written for.
    Any,
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512vnni", "x86_64+avx2+fma"))]
fn instructions() -> Instructions {
    match_target! {
        "x86_64+avx512f+avx512bw+avx512vl+avx512vnni" => Instructions::Vnni,
        "x86_64+avx2+fma" => Instructions::Avx2,
        _ => Instructions::Any,
    }
}

/// Vectors of columns that a tile has.
const VECTORS: usize = 2;

/// Writes what is the same for all instructions: `multiply`, which takes some columns of a panel against all rows while they
/// are in the cache, and `tile`, which takes them against so many rows that the sums stay in registers.
macro_rules! products {
    (
        $target:literal,
        rows: $rows:literal, fewer: [$($fewer:literal),*],
        integers: $integers:ty, floats: $floats:ty, lanes: $lanes:literal $(,)?
    ) => {
        /// Columns of a panel that are multiplied at a time, and what their sums begin and end with.
        struct Columns<'a> {
            steps: &'a [Step],
            /// The first of them, in the panel and among all.
            first: [usize; 2],
            first_sums: [$integers; VECTORS],
            scales: [$floats; VECTORS],
        }

        #[target($target)]
        pub fn multiply(rows: Rows, products: &mut [f32]) {
            let [inputs, outputs] = rows.weights.shape();
            for (first, steps) in rows.weights.panels() {
                let first_sums = rows.weights.first_sums(first, rows.zero_point);
                let scales = rows.scales(first);
                let count = COLUMNS.min(outputs - first);
                for column in (0..count).step_by(VECTORS * $lanes) {
                    let columns = Columns {
                        steps,
                        first: [column, first + column],
                        first_sums: vectors(&first_sums[column..]),
                        scales: vectors(&scales[column..]),
                    };
                    let tiles = rows.bytes.chunks($rows * inputs);
                    for (rows, products) in tiles.zip(products.chunks_mut($rows * outputs)) {
                        match rows.len() / inputs {
                            $($fewer => tile::<$fewer>(&columns, rows, products),)*
                            _ => tile::<$rows>(&columns, rows, products),
                        }
                    }
                }
            }
        }

        #[inline]
        #[target($target)]
        fn tile<const COUNT: usize>(columns: &Columns, rows: &[u8], products: &mut [f32]) {
            let (inputs, outputs) = (rows.len() / COUNT, products.len() / COUNT);
            let [in_panel, among_all] = columns.first;
            let weights = |step: &Step| vectors(&step.0[in_panel * DEPTH..]);
            let (whole, rest) = columns.steps.split_at(inputs / DEPTH);
            // Of the steps' length, so that the loop checks no index.
            let rows: [(&[[u8; DEPTH]], &[u8]); COUNT] = std::array::from_fn(|row| {
                let (steps, rest) = rows[row * inputs..][..inputs].as_chunks();
                (&steps[..whole.len()], rest)
            });
            let mut sums = [columns.first_sums; COUNT];
            for (index, step) in whole.iter().enumerate() {
                let weights = weights(step);
                for (sums, (bytes, _)) in sums.iter_mut().zip(&rows) {
                    add(sums, bytes[index], &weights);
                }
            }
            for step in rest {
                let weights = weights(step);
                for (sums, (_, bytes)) in sums.iter_mut().zip(&rows) {
                    let byte = |index| bytes.get(index).copied().unwrap_or(0);
                    add(sums, std::array::from_fn(byte), &weights);
                }
            }
            for (products, sums) in products.chunks_exact_mut(outputs).zip(sums) {
                let products = products[among_all..].chunks_mut($lanes);
                for (products, (sum, scale)) in products.zip(sums.into_iter().zip(columns.scales)) {
                    let scaled: [f32; $lanes] = bytemuck::cast(scaled(sum, scale));
                    match products.as_mut_array() {
                        Some(products) => *products = scaled,
                        None => products.copy_from_slice(&scaled[..products.len()]),
                    }
                }
            }
        }
    };
}

/// The first numbers as vectors.
#[inline(always)]
fn vectors<N: bytemuck::NoUninit, V: bytemuck::AnyBitPattern>(numbers: &[N]) -> [V; VECTORS] {
    let bytes: &[u8] = bytemuck::cast_slice(numbers);
    let size = size_of::<V>();
    std::array::from_fn(|vector| bytemuck::pod_read_unaligned(&bytes[vector * size..][..size]))
}

/// AVX-512's VNNI: four products of bytes are added to a sum at once. Sums take 16 of the 32 registers.
pub mod vnni {
    use std::arch::x86_64::{
        __m512, __m512i, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_mul_ps, _mm512_set1_epi32,
    };

    use multiversion::target;

    use super::{COLUMNS, DEPTH, Rows, Step, VECTORS, vectors};

    products! {
        "x86_64+avx512f+avx512bw+avx512vl+avx512vnni",
        rows: 8, fewer: [1, 2, 3, 4, 5, 6, 7],
        integers: __m512i, floats: __m512, lanes: 16,
    }

    /// Adds a row's products of four neighbouring inputs.
    #[inline]
    #[target("x86_64+avx512f+avx512bw+avx512vl+avx512vnni")]
    fn add(sums: &mut [__m512i; VECTORS], bytes: [u8; DEPTH], weights: &[__m512i; VECTORS]) {
        let bytes = _mm512_set1_epi32(i32::from_le_bytes(bytes));
        for (sum, weights) in sums.iter_mut().zip(weights) {
            *sum = _mm512_dpbusd_epi32(*sum, bytes, *weights);
        }
    }

    #[inline]
    #[target("x86_64+avx512f+avx512bw+avx512vl+avx512vnni")]
    fn scaled(sum: __m512i, scale: __m512) -> __m512 {
        _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale)
    }
}

/// AVX2: two products of bytes are added in 16 bits, which saturate, and two such sums in 32. Sums take 12 of the 16 registers.
pub mod avx2 {
    use std::arch::x86_64::{
        __m256, __m256i, _mm256_add_epi32, _mm256_cvtepi32_ps, _mm256_madd_epi16,
        _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_set1_epi16, _mm256_set1_epi32,
    };

    use multiversion::target;

    use super::{COLUMNS, DEPTH, Rows, Step, VECTORS, vectors};

    products! {
        "x86_64+avx2+fma",
        rows: 6, fewer: [1, 2, 3, 4, 5],
        integers: __m256i, floats: __m256, lanes: 8,
    }

    /// Adds a row's products of four neighbouring inputs.
    #[inline]
    #[target("x86_64+avx2+fma")]
    fn add(sums: &mut [__m256i; VECTORS], bytes: [u8; DEPTH], weights: &[__m256i; VECTORS]) {
        let bytes = _mm256_set1_epi32(i32::from_le_bytes(bytes));
        for (sum, weights) in sums.iter_mut().zip(weights) {
            let pairs = _mm256_maddubs_epi16(bytes, *weights);
            let fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
            *sum = _mm256_add_epi32(*sum, fours);
        }
    }

    #[inline]
    #[target("x86_64+avx2+fma")]
    fn scaled(sum: __m256i, scale: __m256) -> __m256 {
        _mm256_mul_ps(_mm256_cvtepi32_ps(sum), scale)
    }
}
