//! Products of bytes with AVX-512's VNNI, which adds four products of bytes to each 32-bit sum of a vector at once.

use std::arch::x86_64::{
    __m512, __m512i, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_mul_ps, _mm512_set1_epi32,
};

use multiversion::target;

use super::bytes::{DEPTH, Group, LANES, Rows, VECTORS};

/// Rows whose sums stay in registers: 16 of the 32 that there are.
const ROWS: usize = 8;

/// A panel of columns and what their sums begin and end with.
struct Panel<'a> {
    groups: &'a [[Group; VECTORS]],
    first_column: usize,
    first_sums: [__m512i; VECTORS],
    scales: [__m512; VECTORS],
}

/// Multiplies each panel with all rows, as it is in the cache then.
#[target("x86_64+avx512f+avx512bw+avx512vl+avx512vnni")]
pub fn multiply(rows: Rows, products: &mut [f32]) {
    let [inputs, outputs] = rows.weights.shape();
    for (first_column, groups) in rows.weights.panels() {
        let first_sums = rows.weights.first_sums(first_column, rows.zero_point);
        let panel = Panel {
            groups,
            first_column,
            first_sums: first_sums.map(bytemuck::cast),
            scales: rows.scales(first_column).map(bytemuck::cast),
        };
        let tiles = rows.bytes.chunks(ROWS * inputs);
        for (rows, products) in tiles.zip(products.chunks_mut(ROWS * outputs)) {
            match rows.len() / inputs {
                1 => tile::<1>(&panel, rows, products),
                2 => tile::<2>(&panel, rows, products),
                3 => tile::<3>(&panel, rows, products),
                4 => tile::<4>(&panel, rows, products),
                5 => tile::<5>(&panel, rows, products),
                6 => tile::<6>(&panel, rows, products),
                7 => tile::<7>(&panel, rows, products),
                _ => tile::<ROWS>(&panel, rows, products),
            }
        }
    }
}

#[inline]
#[target("x86_64+avx512f+avx512bw+avx512vl+avx512vnni")]
fn tile<const COUNT: usize>(panel: &Panel, rows: &[u8], products: &mut [f32]) {
    let (inputs, outputs) = (rows.len() / COUNT, products.len() / COUNT);
    let (whole, rest) = panel.groups.split_at(inputs / DEPTH);
    // Of the groups' length, so that the loop checks no index.
    let rows: [(&[[u8; DEPTH]], &[u8]); COUNT] = std::array::from_fn(|row| {
        let (groups, rest) = rows[row * inputs..][..inputs].as_chunks();
        (&groups[..whole.len()], rest)
    });
    let mut sums = [panel.first_sums; COUNT];
    for (index, weights) in whole.iter().enumerate() {
        let weights = weights.map(|group| bytemuck::cast(group.0));
        for (sums, (bytes, _)) in sums.iter_mut().zip(&rows) {
            add(sums, bytes[index], &weights);
        }
    }
    for weights in rest {
        let weights = weights.map(|group| bytemuck::cast(group.0));
        for (sums, (_, bytes)) in sums.iter_mut().zip(&rows) {
            let byte = |index| bytes.get(index).copied().unwrap_or(0);
            add(sums, std::array::from_fn(byte), &weights);
        }
    }
    for (products, sums) in products.chunks_exact_mut(outputs).zip(sums) {
        let products = products[panel.first_column..].chunks_mut(LANES);
        for (products, (sums, scales)) in products.zip(sums.into_iter().zip(panel.scales)) {
            let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), scales);
            let scaled: [f32; LANES] = bytemuck::cast(scaled);
            match products.as_mut_array() {
                Some(products) => *products = scaled,
                None => products.copy_from_slice(&scaled[..products.len()]),
            }
        }
    }
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
