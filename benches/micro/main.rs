//! Micro-benchmarks of everything around the models, from a text to a batch's tensors and from logits to an answer's
//! JSON, of a fused graph's kernels, and of letting requests in.

mod access;
mod batches;
mod heads;
mod json;
mod kernels;
mod samples;
mod text;

use criterion::Criterion;

/// The server's allocator, because allocation is a large part of these times.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    access::bench(&mut criterion);
    text::bench(&mut criterion);
    batches::bench(&mut criterion);
    heads::bench(&mut criterion);
    json::bench(&mut criterion);
    kernels::bench(&mut criterion);
    criterion.final_summary();
}
