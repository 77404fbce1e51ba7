//! int8 products by the x86-64 instructions that multiply and add several bytes at once.

use multiversion::multiversion;
use multiversion::target::match_target;

use super::byte_weights::{COLUMNS, DEPTH, Rows, Step};

/// Whether the kernels here are at least as fast as ONNX Runtime's, which also uses AMX, AVX-VNNI, and AVX-512 without
/// VNNI.
#[must_use]
pub fn multiplies_bytes() -> bool {
    let features = raw_cpuid::CpuId::new().get_extended_feature_info();
    features.is_some_and(|features| match instructions() {
        Instructions::Vnni => !features.has_amx_int8(),
        Instructions::Avx2 => !features.has_avx512f() && !features.has_avx_vnni(),
        Instructions::Any => false,
    })
}

/// Instructions that multiply bytes, from the fastest to the slowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instructions {
    Vnni,
    Avx2,
    /// Neither VNNI nor AVX2: the fallback.
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

/// Vectors of columns in a tile.
const VECTORS: usize = 2;

/// Writes the code that all instruction sets share. `multiply` multiplies some columns of a panel with all rows while
/// those columns are in the cache. `tile` multiplies them with as many rows as have room for their sums in registers.
macro_rules! products {
    (
        $target:literal,
        rows: $rows:literal, fewer: [$($fewer:literal),*],
        integers: $integers:ty, floats: $floats:ty, lanes: $lanes:literal $(,)?
    ) => {
        /// The columns of a panel that are multiplied together, with their initial sums and final scales.
        struct Columns<'a> {
            steps: &'a [Step],
            /// Index of the first column, in the panel and among all.
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
            // Sliced to the number of steps, so that the loop needs no bounds checks.
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

/// The first numbers of a slice, as vectors.
#[inline(always)]
fn vectors<N: bytemuck::NoUninit, V: bytemuck::AnyBitPattern>(numbers: &[N]) -> [V; VECTORS] {
    let bytes: &[u8] = bytemuck::cast_slice(numbers);
    let size = size_of::<V>();
    std::array::from_fn(|vector| bytemuck::pod_read_unaligned(&bytes[vector * size..][..size]))
}

/// AVX-512 VNNI: one instruction adds four products of bytes to a sum. Sums take 16 of the 32 registers.
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

    /// Adds a row's products of four neighbouring inputs to its sums.
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

/// AVX2: one instruction adds two products of bytes in 16 bits, which saturate; another adds two such sums in 32. Sums
/// take 12 of the 16 registers.
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

    /// Adds a row's products of four neighbouring inputs to its sums.
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
