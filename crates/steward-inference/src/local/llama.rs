//! Runs a quantised Llama-family network (GGUF) on the CPU, one sequence at a time.
//!
//! The key-value cache can be cut back to any earlier length, so a prompt that shares its beginning with the last one costs
//! only its new part. Never samples and never sees text: token ids in, logits out.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use candle_core::quantized::QTensor;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{D, DType, Device, Result, Tensor, bail};

use super::packed::Packed;

/// The cache grows by this many tokens at a time.
const CACHE_STEP_TOKENS: usize = 256;

/// Sizes of the network, read from the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    heads: usize,
    kv_heads: usize,
    head_width: usize,
    /// The longest sequence the network was made for, in tokens.
    pub(crate) context_tokens: usize,
}

/// Keys or values of one layer: kv heads × tokens × width, with room to grow.
#[derive(Default)]
struct Cache {
    room: Option<Tensor>,
}

impl Cache {
    /// Writes `new` behind the first `len` tokens and gives all of them.
    fn append(&mut self, new: &Tensor, len: usize) -> Result<Tensor> {
        let (heads, added, width) = new.dims3()?;
        let wanted = len + added;
        let has = self.room.as_ref().map_or(Ok(0), |room| room.dim(1))?;
        if has < wanted {
            let size = wanted.div_ceil(CACHE_STEP_TOKENS) * CACHE_STEP_TOKENS;
            let larger = Tensor::zeros((heads, size, width), DType::F32, new.device())?;
            if let Some(old) = &self.room
                && len > 0
            {
                larger.slice_set(&old.narrow(1, 0, len)?.contiguous()?, 1, 0)?;
            }
            self.room = Some(larger);
        }
        let Some(room) = &self.room else {
            bail!("the cache has no room for {wanted} tokens");
        };
        room.slice_set(&new.contiguous()?, 1, len)?;
        room.narrow(1, 0, wanted)
    }
}

struct Layer {
    query: Packed,
    key: Packed,
    value: Packed,
    output: Packed,
    gate: Packed,
    up: Packed,
    down: Packed,
    attention_norm: Tensor,
    feed_norm: Tensor,
    keys: Cache,
    values: Cache,
}

/// The network with its weights and the cache of one sequence.
pub(crate) struct Llama {
    /// Sizes from the file.
    pub(crate) shape: Shape,
    embedding: Packed,
    layers: Vec<Layer>,
    norm: Tensor,
    head: Option<Packed>,
    cos: Tensor,
    sin: Tensor,
    epsilon: f32,
    len: usize,
}

/// What the positions of one pass need, the same for every layer.
struct Positions {
    start: usize,
    cos: Tensor,
    sin: Tensor,
    mask: Option<Tensor>,
}

impl Llama {
    /// Reads the weights. `context_tokens` limits the sequence below what the file allows.
    pub(crate) fn read(path: &Path, content: &Content, context_tokens: usize) -> Result<Llama> {
        let architecture = text(content, "general.architecture")?;
        if architecture != "llama" {
            bail!("the architecture {architecture:?} does not run in this process; serve the file with a local server instead");
        }
        if number(content, "llama.expert_count").unwrap_or(0) > 1 {
            bail!("mixtures of experts do not run in this process; serve the file with a local server instead");
        }
        let heads = number(content, "llama.attention.head_count")?;
        let width = number(content, "llama.embedding_length")?;
        let shape = Shape {
            heads,
            kv_heads: number(content, "llama.attention.head_count_kv").unwrap_or(heads),
            head_width: number(content, "llama.attention.key_length").unwrap_or(width / heads.max(1)),
            context_tokens: number(content, "llama.context_length")?.min(context_tokens),
        };
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut tensor = |name: &str| content.tensor(&mut reader, name, &Device::Cpu);
        let rope_factors = tensor("rope_freqs.weight").ok();
        let mut layers = Vec::new();
        for index in 0..number(content, "llama.block_count")? {
            layers.push(read_layer(index, &mut tensor)?);
        }
        let norm = tensor("output_norm.weight")?.dequantize(&Device::Cpu)?;
        let embedding = Packed::new(&tensor("token_embd.weight")?)?;
        // Files without a matrix for the output use the embeddings for it.
        let head = match tensor("output.weight") {
            Ok(weights) => Some(Packed::new(&weights)?),
            Err(_) => None,
        };
        let (cos, sin) = rope_table(content, &shape, rope_factors)?;
        let epsilon = float(content, "llama.attention.layer_norm_rms_epsilon")?;
        Ok(Llama {
            shape,
            embedding,
            layers,
            norm,
            head,
            cos,
            sin,
            epsilon,
            len: 0,
        })
    }

    /// Tokens in the cache.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Forgets all but the first `len` tokens.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Takes more tokens of the sequence. Gives the logits after each of the last `wanted` of them, one row each.
    pub(crate) fn forward(&mut self, tokens: &[u32], wanted: usize) -> Result<Tensor> {
        let rows = tokens.len();
        if rows == 0 || self.len + rows > self.shape.context_tokens {
            bail!("{} tokens do not fit a context of {}", self.len + rows, self.shape.context_tokens);
        }
        let positions = self.positions(rows)?;
        let mut state = self.embedding.rows(tokens)?;
        for layer in &mut self.layers {
            let normed = candle_nn::ops::rms_norm(&state, &layer.attention_norm, self.epsilon)?;
            state = (state + attend(layer, &self.shape, &normed, &positions)?)?;
            let normed = candle_nn::ops::rms_norm(&state, &layer.feed_norm, self.epsilon)?;
            let gated = (candle_nn::ops::silu(&layer.gate.forward(&normed)?)? * layer.up.forward(&normed)?)?;
            state = (state + layer.down.forward(&gated)?)?;
        }
        self.len += rows;
        let wanted = wanted.clamp(1, rows);
        let last = state.narrow(0, rows - wanted, wanted)?.contiguous()?;
        self.head
            .as_ref()
            .unwrap_or(&self.embedding)
            .forward(&candle_nn::ops::rms_norm(&last, &self.norm, self.epsilon)?)
    }

    fn positions(&self, rows: usize) -> Result<Positions> {
        let start = self.len;
        let mask = if rows == 1 {
            None
        } else {
            let total = start + rows;
            let cells: Vec<f32> = (0..rows)
                .flat_map(|row| (0..total).map(move |column| if column > start + row { f32::NEG_INFINITY } else { 0.0 }))
                .collect();
            Some(Tensor::from_vec(cells, (1, 1, rows, total), &Device::Cpu)?)
        };
        Ok(Positions {
            start,
            cos: self.cos.narrow(0, start, rows)?,
            sin: self.sin.narrow(0, start, rows)?,
            mask,
        })
    }
}

/// Attention of one layer; query heads that share a key head are folded into its rows, so nothing is copied.
fn attend(layer: &mut Layer, shape: &Shape, xs: &Tensor, at: &Positions) -> Result<Tensor> {
    let rows = xs.dim(0)?;
    let by_head = |flat: Tensor, heads: usize| flat.reshape((rows, heads, shape.head_width))?.transpose(0, 1)?.contiguous();
    let turn = |heads: Tensor| candle_nn::rotary_emb::rope_i(&heads.unsqueeze(0)?, &at.cos, &at.sin)?.squeeze(0);
    let query = turn(by_head(layer.query.forward(xs)?, shape.heads)?)?;
    let key = turn(by_head(layer.key.forward(xs)?, shape.kv_heads)?)?;
    let value = by_head(layer.value.forward(xs)?, shape.kv_heads)?;
    let keys = layer.keys.append(&key, at.start)?;
    let values = layer.values.append(&value, at.start)?;
    let total = at.start + rows;
    let group = shape.heads / shape.kv_heads;
    let query = query.reshape((shape.kv_heads, group * rows, shape.head_width))?;
    let scores = (query.matmul(&keys.t()?)? / (shape.head_width as f64).sqrt())?;
    let scores = match &at.mask {
        None => scores,
        Some(mask) => scores
            .reshape((shape.kv_heads, group, rows, total))?
            .broadcast_add(mask)?
            .reshape((shape.kv_heads, group * rows, total))?,
    };
    let mixed = candle_nn::ops::softmax_last_dim(&scores)?.matmul(&values)?;
    let mixed = mixed.reshape((shape.heads, rows, shape.head_width))?.transpose(0, 1)?;
    layer.output.forward(&mixed.reshape((rows, shape.heads * shape.head_width))?)
}

fn read_layer(index: usize, tensor: &mut impl FnMut(&str) -> Result<QTensor>) -> Result<Layer> {
    let mut named = |part: &str| tensor(&format!("blk.{index}.{part}.weight"));
    Ok(Layer {
        query: Packed::new(&named("attn_q")?)?,
        key: Packed::new(&named("attn_k")?)?,
        value: Packed::new(&named("attn_v")?)?,
        output: Packed::new(&named("attn_output")?)?,
        gate: Packed::new(&named("ffn_gate")?)?,
        up: Packed::new(&named("ffn_up")?)?,
        down: Packed::new(&named("ffn_down")?)?,
        attention_norm: named("attn_norm")?.dequantize(&Device::Cpu)?,
        feed_norm: named("ffn_norm")?.dequantize(&Device::Cpu)?,
        keys: Cache::default(),
        values: Cache::default(),
    })
}

/// Cosine and sine for every position and pair of dimensions.
fn rope_table(content: &Content, shape: &Shape, factors: Option<QTensor>) -> Result<(Tensor, Tensor)> {
    let base = float(content, "llama.rope.freq_base").unwrap_or(10_000.0);
    let turned = number(content, "llama.rope.dimension_count").unwrap_or(shape.head_width);
    if turned != shape.head_width {
        bail!("only whole heads can be turned, the file turns {turned} of {}", shape.head_width);
    }
    let mut rates: Vec<f32> = (0..turned).step_by(2).map(|i| 1.0 / base.powf(i as f32 / turned as f32)).collect();
    if let Some(factors) = factors {
        let factors = factors.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
        for (rate, factor) in rates.iter_mut().zip(factors) {
            *rate /= factor;
        }
    }
    let rates = Tensor::new(rates.as_slice(), &Device::Cpu)?.unsqueeze(0)?;
    let places = Tensor::arange(0u32, shape.context_tokens as u32, &Device::Cpu)?.to_dtype(DType::F32)?;
    let angles = places.unsqueeze(D::Minus1)?.matmul(&rates)?;
    Ok((angles.cos()?, angles.sin()?))
}

fn value<'a>(content: &'a Content, key: &str) -> Result<&'a Value> {
    match content.metadata.get(key) {
        Some(value) => Ok(value),
        None => bail!("the file does not say {key:?}"),
    }
}

fn number(content: &Content, key: &str) -> Result<usize> {
    Ok(value(content, key)?.to_u32()? as usize)
}

fn float(content: &Content, key: &str) -> Result<f32> {
    value(content, key)?.to_f32()
}

fn text<'a>(content: &'a Content, key: &str) -> Result<&'a str> {
    Ok(value(content, key)?.to_string()?.as_str())
}
