//! The tables of kernels, and which of them a processor can run. Computes
//! nothing itself.

#[cfg(target_arch = "aarch64")]
use super::neon;
use super::{BLOCK_ROWS, BoundTerms, FACTOR_BYTES, SignSums, scalar};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

/// One implementation of every kernel. The functions are unsafe to call
/// where the processor lacks what they were compiled for.
pub(super) struct Kernels {
    pub(super) name: &'static str,
    /// Whether this processor has every instruction of the table.
    runs: fn() -> bool,
    pub(super) dot: unsafe fn(&[f32], &[f32]) -> f32,
    pub(super) squared_l2: unsafe fn(&[f32], &[f32]) -> f32,
    pub(super) dot_and_square: unsafe fn(&[f32], &[f32]) -> (f32, f32),
    pub(super) multiply: unsafe fn(&mut [f32], &[f32]),
    pub(super) add: unsafe fn(&mut [f32], &[f32]),
    pub(super) subtract: unsafe fn(&[f32], &[f32], &mut [f32]),
    pub(super) add_scaled_bytes: unsafe fn(&mut [f32], &[u8], f32),
    pub(super) butterfly: unsafe fn(&mut [f32], &mut [f32]),
    pub(super) hadamard: unsafe fn(&mut [f32]),
    pub(super) encode_signs: unsafe fn(&[f32], &[f32], &mut [u8]) -> SignSums,
    pub(super) quantize: unsafe fn(&[f32], &mut [i8]) -> (f32, u32),
    pub(super) lookup_table: unsafe fn(&[i8], &mut [u8]),
    pub(super) block_bounds: BlockBounds,
    pub(super) products_i8: unsafe fn(&[i8], &[i8], &mut [i32]),
}

type BlockBounds =
    unsafe fn(&[u8], &[u8], &[u8; FACTOR_BYTES], &BoundTerms, &mut [f32; BLOCK_ROWS]) -> u32;

static SCALAR: Kernels = Kernels {
    name: "scalar",
    runs: || true,
    dot: scalar::dot,
    squared_l2: scalar::squared_l2,
    dot_and_square: scalar::dot_and_square,
    multiply: scalar::multiply,
    add: scalar::add,
    subtract: scalar::subtract,
    add_scaled_bytes: scalar::add_scaled_bytes,
    butterfly: scalar::butterfly,
    hadamard: scalar::hadamard,
    encode_signs: scalar::encode_signs,
    quantize: scalar::quantize,
    lookup_table: scalar::lookup_table,
    block_bounds: scalar::block_bounds,
    products_i8: scalar::products_i8,
};

#[cfg(target_arch = "x86_64")]
static AVX2: Kernels = Kernels {
    name: "avx2",
    runs: || is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
    dot: avx2::dot,
    squared_l2: avx2::squared_l2,
    dot_and_square: avx2::dot_and_square,
    multiply: avx2::multiply,
    add: avx2::add,
    subtract: avx2::subtract,
    add_scaled_bytes: avx2::add_scaled_bytes,
    butterfly: avx2::butterfly,
    hadamard: avx2::hadamard,
    encode_signs: avx2::encode_signs,
    quantize: avx2::quantize,
    lookup_table: avx2::lookup_table,
    block_bounds: avx2::block_bounds,
    products_i8: avx2::products_i8,
};

#[cfg(target_arch = "x86_64")]
static AVX512: Kernels = Kernels {
    name: "avx512",
    runs: || {
        (AVX2.runs)()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vnni")
    },
    dot: avx512::dot,
    squared_l2: avx512::squared_l2,
    dot_and_square: avx512::dot_and_square,
    multiply: avx2::multiply,
    add: avx2::add,
    subtract: avx2::subtract,
    add_scaled_bytes: avx2::add_scaled_bytes,
    butterfly: avx2::butterfly,
    hadamard: avx512::hadamard,
    encode_signs: avx512::encode_signs,
    quantize: avx512::quantize,
    lookup_table: avx512::lookup_table,
    block_bounds: avx512::block_bounds,
    products_i8: avx512::products_i8,
};

#[cfg(target_arch = "aarch64")]
static NEON: Kernels = Kernels {
    name: "neon",
    runs: || std::arch::is_aarch64_feature_detected!("neon"),
    dot: neon::dot,
    squared_l2: neon::squared_l2,
    dot_and_square: neon::dot_and_square,
    multiply: scalar::multiply,
    add: scalar::add,
    subtract: scalar::subtract,
    add_scaled_bytes: scalar::add_scaled_bytes,
    butterfly: scalar::butterfly,
    hadamard: neon::hadamard,
    encode_signs: neon::encode_signs,
    quantize: neon::quantize,
    lookup_table: neon::lookup_table,
    block_bounds: neon::block_bounds,
    products_i8: neon::products_i8,
};

#[cfg(target_arch = "aarch64")]
static NEON_DOTPROD: Kernels = Kernels {
    name: "neon-dotprod",
    runs: || (NEON.runs)() && std::arch::is_aarch64_feature_detected!("dotprod"),
    products_i8: neon::products_i8_dotprod,
    ..NEON
};

/// All tables of this kind of processor, the best first.
static TABLES: &[&Kernels] = &[
    #[cfg(target_arch = "x86_64")]
    &AVX512,
    #[cfg(target_arch = "x86_64")]
    &AVX2,
    #[cfg(target_arch = "aarch64")]
    &NEON_DOTPROD,
    #[cfg(target_arch = "aarch64")]
    &NEON,
    &SCALAR,
];

/// The tables this processor can run, the best first.
pub(super) fn runnable() -> impl Iterator<Item = &'static Kernels> {
    TABLES.iter().copied().filter(|table| (table.runs)())
}
