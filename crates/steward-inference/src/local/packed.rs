//! A matrix in eight bits a weight, thirty-two weights to a scale.
//!
//! One row of input is multiplied packed, which is bound by memory; many rows unpack the matrix once and go through the float
//! kernels. The threads are those of the pool in which it is called, so a busy machine slows it and does not stall it.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;

/// Weights that share a scale.
const BLOCK: usize = 32;
/// From this many rows of input on, unpacking pays.
const UNPACK_FROM_ROWS: usize = 8;
/// A larger matrix is never unpacked: the copy would be larger than the model.
const UNPACK_OUTPUTS_MAX: usize = 16_384;
/// Outputs that one thread computes in a row.
const CHUNK: usize = 256;

/// A matrix, outputs × inputs.
pub(crate) struct Packed {
    outputs: usize,
    inputs: usize,
    scales: Vec<f32>,
    weights: Vec<i8>,
}

impl Packed {
    /// Repacks a matrix of any format of the file. From four bits nothing is lost, from sixteen what eight bits cost.
    pub(crate) fn new(matrix: &QTensor) -> Result<Packed> {
        let (outputs, inputs) = matrix.shape().dims2()?;
        if !inputs.is_multiple_of(BLOCK) {
            bail!("a matrix with {inputs} inputs cannot be packed in blocks of {BLOCK}");
        }
        if matrix.dtype() == GgmlDType::Q8_0 {
            return Ok(Packed::from_eight_bits(outputs, inputs, &matrix.data()?));
        }
        let floats = matrix.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
        let (mut scales, mut weights) = (Vec::with_capacity(floats.len() / BLOCK), Vec::with_capacity(floats.len()));
        for block in floats.as_chunks::<BLOCK>().0 {
            let scale = largest(block) / 127.0;
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            scales.push(scale);
            weights.extend(block.iter().map(|weight| (weight * inverse).round() as i8));
        }
        Ok(Packed {
            outputs,
            inputs,
            scales,
            weights,
        })
    }

    /// The file's own eight-bit format: a scale of two bytes, then the weights. Taken over as it is.
    fn from_eight_bits(outputs: usize, inputs: usize, bytes: &[u8]) -> Packed {
        let (mut scales, mut weights) = (Vec::with_capacity(bytes.len() / (BLOCK + 2)), Vec::with_capacity(bytes.len()));
        for block in bytes.as_chunks::<{ BLOCK + 2 }>().0 {
            scales.push(half_to_float(u16::from_le_bytes([block[0], block[1]])));
            weights.extend(block[2..].iter().map(|byte| byte.cast_signed()));
        }
        Packed {
            outputs,
            inputs,
            scales,
            weights,
        }
    }

    /// `xs` is rows × inputs; gives rows × outputs.
    pub(crate) fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let (rows, inputs) = xs.dims2()?;
        if inputs != self.inputs {
            bail!("a matrix of {} inputs was given {inputs}", self.inputs);
        }
        if rows >= UNPACK_FROM_ROWS && self.outputs <= UNPACK_OUTPUTS_MAX {
            return xs.matmul(&self.unpack(0, self.outputs)?.t()?);
        }
        let floats = xs.flatten_all()?.to_vec1::<f32>()?;
        let mut out = vec![0.0; rows * self.outputs];
        for (row, result) in floats.chunks_exact(inputs).zip(out.chunks_exact_mut(self.outputs)) {
            self.multiply(row, result);
        }
        Tensor::from_vec(out, (rows, self.outputs), &Device::Cpu)
    }

    /// The rows of these numbers: a table of embeddings.
    pub(crate) fn rows(&self, ids: &[u32]) -> Result<Tensor> {
        let mut picked = Vec::with_capacity(ids.len());
        for id in ids {
            let id = *id as usize;
            if id >= self.outputs {
                bail!("there is no token {id}");
            }
            picked.push(self.unpack(id, 1)?);
        }
        Tensor::cat(&picked, 0)
    }

    fn unpack(&self, from: usize, count: usize) -> Result<Tensor> {
        let weights = &self.weights[from * self.inputs..(from + count) * self.inputs];
        let scales = &self.scales[from * self.inputs / BLOCK..(from + count) * self.inputs / BLOCK];
        let mut floats = vec![0.0; weights.len()];
        let per_chunk = CHUNK * self.inputs;
        let chunks = floats
            .par_chunks_mut(per_chunk)
            .zip(weights.par_chunks(per_chunk))
            .zip(scales.par_chunks(per_chunk / BLOCK));
        chunks.for_each(|((floats, weights), scales)| {
            let blocks = floats
                .as_chunks_mut::<BLOCK>()
                .0
                .iter_mut()
                .zip(weights.as_chunks::<BLOCK>().0)
                .zip(scales);
            for ((floats, weights), scale) in blocks {
                for (float, weight) in floats.iter_mut().zip(weights) {
                    *float = f32::from(*weight) * scale;
                }
            }
        });
        Tensor::from_vec(floats, (count, self.inputs), &Device::Cpu)
    }

    fn multiply(&self, row: &[f32], out: &mut [f32]) {
        let (scales, whole) = pack_row(row);
        let weights = self.weights.par_chunks(self.inputs * CHUNK);
        let weight_scales = self.scales.par_chunks(self.inputs / BLOCK * CHUNK);
        out.par_chunks_mut(CHUNK)
            .zip(weights)
            .zip(weight_scales)
            .for_each(|((out, weights), weight_scales)| {
                let each = weights
                    .chunks_exact(self.inputs)
                    .zip(weight_scales.chunks_exact(self.inputs / BLOCK));
                for (cell, (weights, weight_scales)) in out.iter_mut().zip(each) {
                    *cell = dot(weights, weight_scales, &whole, &scales);
                }
            });
    }
}

/// A half-precision number (IEEE 754 binary16), which the file uses for scales.
fn half_to_float(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((bits >> 10) & 0x1f);
    let fraction = f32::from(bits & 0x3ff) / 1024.0;
    let size = match exponent {
        0 => fraction * 2f32.powi(-14),
        0x1f if fraction == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        _ => (1.0 + fraction) * 2f32.powi(exponent - 15),
    };
    sign * size
}

/// A row of input in eight bits, widened so that the product needs no conversion.
fn pack_row(row: &[f32]) -> (Vec<f32>, Vec<i16>) {
    let (mut scales, mut whole) = (Vec::with_capacity(row.len() / BLOCK), Vec::with_capacity(row.len()));
    for block in row.as_chunks::<BLOCK>().0 {
        let scale = largest(block) / 127.0;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        scales.push(scale);
        whole.extend(block.iter().map(|value| (value * inverse).round() as i16));
    }
    (scales, whole)
}

fn largest(block: &[f32]) -> f32 {
    block.iter().fold(0.0, |most, value| value.abs().max(most))
}

/// Written so that the compiler makes one multiply-and-add of every sixteen weights.
fn dot(weights: &[i8], weight_scales: &[f32], row: &[i16], row_scales: &[f32]) -> f32 {
    let weights = weights.as_chunks::<BLOCK>().0.iter().zip(weight_scales);
    let row = row.as_chunks::<BLOCK>().0.iter().zip(row_scales);
    let mut total = 0.0;
    for ((weights, weight_scale), (row, row_scale)) in weights.zip(row) {
        let mut sum = 0i32;
        for index in 0..BLOCK {
            sum += i32::from(weights[index]) * i32::from(row[index]);
        }
        total += weight_scale * row_scale * sum as f32;
    }
    total
}

#[cfg(test)]
mod tests;
