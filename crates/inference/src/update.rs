//! A low-rank update of a model's linear layers: E. Hu et al. 2021, "LoRA", arXiv:2106.09685.
//!
//! It is added to the published weights before they are brought to 8 bits, so that it costs nothing afterwards.

use crate::InferenceError;
use candle_core::{DType, Device};
use safetensors::{Dtype, SafeTensors};
use std::{collections::BTreeMap, ops::Range, path::Path};

const PREFIX: &str = "update.";

/// Tensors of a file by name: dimensions, and values row by row.
pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Reads the tensors of a small file of ours; `name` is for messages.
pub(crate) fn tensors(name: &str, bytes: &[u8]) -> Result<Tensors, InferenceError> {
    let read = candle_core::safetensors::load_buffer(bytes, &Device::Cpu);
    let mut tensors = Tensors::new();
    for (key, tensor) in read.map_err(|error| InferenceError::bad_file(Path::new(name), error))? {
        let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        tensors.insert(key, (tensor.dims().to_vec(), values));
    }
    Ok(tensors)
}

/// What is added to weights.
#[derive(Debug)]
pub(crate) struct Update(BTreeMap<String, Product>);

/// `b a`: `b` has a row for each output, `a` a column for each input.
#[derive(Debug)]
struct Product {
    rank: usize,
    a: Vec<f32>,
    b: Vec<f32>,
}

impl Update {
    /// Takes the tensors `update.LAYER.a` and `update.LAYER.b` out of a file's; none where there are none.
    ///
    /// # Errors
    /// A layer of which one of the two is missing, or that do not fit each other.
    pub fn take(tensors: &mut Tensors) -> Result<Option<Self>, String> {
        let mut products = BTreeMap::new();
        let names: Vec<String> = tensors.keys().filter(|key| key.starts_with(PREFIX)).cloned().collect();
        for name in names.iter().filter_map(|name| name.strip_suffix(".a")) {
            let Some((a, b)) = tensors.remove(&format!("{name}.a")).zip(tensors.remove(&format!("{name}.b"))) else {
                return Err(format!("{name}.b is missing"));
            };
            let ([rank, _], [_, same]) = (&a.0[..], &b.0[..]) else {
                return Err(format!("{name} does not hold two matrices"));
            };
            if rank != same || *rank == 0 {
                return Err(format!("{name}: a has rank {rank}, and b {same}"));
            }
            products.insert(name[PREFIX.len()..].to_owned(), Product { rank: *rank, a: a.1, b: b.1 });
        }
        if let Some(left) = tensors.keys().find(|key| key.starts_with(PREFIX)) {
            return Err(format!("{left} has no counterpart"));
        }
        Ok((!products.is_empty()).then_some(Self(products)))
    }

    /// Adds to the weights in a safetensors file, in place.
    ///
    /// # Errors
    /// A layer that the file does not have, or not in these dimensions and in f32.
    pub fn apply(&self, file: &mut [u8]) -> Result<(), String> {
        for (layer, product) in &self.0 {
            let bytes = place(file, &format!("{layer}.weight"), product)?;
            let weights = file[bytes].as_chunks_mut::<4>().0;
            let inputs = product.a.len() / product.rank;
            let mut sum = vec![0.0f32; inputs];
            for (weights, b) in weights.chunks_exact_mut(inputs).zip(product.b.chunks_exact(product.rank)) {
                sum.fill(0.0);
                for (b, a) in b.iter().zip(product.a.chunks_exact(inputs)) {
                    sum.iter_mut().zip(a).for_each(|(sum, a)| *sum += b * a);
                }
                for (weight, sum) in weights.iter_mut().zip(&sum) {
                    *weight = (f32::from_le_bytes(*weight) + sum).to_le_bytes();
                }
            }
        }
        Ok(())
    }
}

/// Where the weight is among the file's bytes.
fn place(file: &[u8], name: &str, product: &Product) -> Result<Range<usize>, String> {
    let (header, metadata) = SafeTensors::read_metadata(file).map_err(|error| error.to_string())?;
    let found = metadata.info(name).or_else(|| metadata.info(&format!("bert.{name}")));
    let info = found.ok_or_else(|| format!("the update changes {name}, which the model does not have"))?;
    let (outputs, inputs) = (product.b.len() / product.rank, product.a.len() / product.rank);
    if info.dtype != Dtype::F32 || info.shape != [outputs, inputs] {
        let (dtype, shape) = (info.dtype, &info.shape);
        return Err(format!(
            "the update changes {name} as {outputs} x {inputs} in f32, and it is {shape:?} in {dtype:?}"
        ));
    }
    let start = 8 + header;
    Ok(start + info.data_offsets.0..start + info.data_offsets.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::{TensorView, serialize};

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn file(tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
        let data: Vec<Vec<u8>> = tensors.iter().map(|(_, _, values)| bytes(values)).collect();
        let views = tensors.iter().zip(&data).map(|((name, shape, _), data)| {
            (name.to_string(), TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap())
        });
        serialize(views, None).unwrap()
    }

    fn update(a: &[usize], b: &[usize]) -> Result<Option<Update>, String> {
        let values = [1.0, 2.0, 3.0, 10.0, 20.0, 30.0];
        let (a_len, b_len) = (a.iter().product::<usize>(), b.iter().product::<usize>());
        let head = file(&[("update.x.a", a, &values[..a_len]), ("update.x.b", b, &values[..b_len])]);
        Update::take(&mut tensors("head", &head).unwrap())
    }

    #[test]
    fn the_product_is_added_to_its_weight_and_to_nothing_else() {
        let mut model =
            file(&[("other.weight", &[2, 3], &[0.5; 6]), ("bert.x.weight", &[2, 3], &[0.5, 0.0, 0.0, 0.0, 0.0, -1.0])]);
        // Rank 2: b is [[1, 2], [3, 10]], a is [[1, 2, 3], [10, 20, 30]].
        update(&[2, 3], &[2, 2]).unwrap().unwrap().apply(&mut model).unwrap();
        let after = SafeTensors::deserialize(&model).unwrap();
        let expected = [21.5, 42.0, 63.0, 103.0, 206.0, 308.0];
        assert_eq!(after.tensor("bert.x.weight").unwrap().data(), bytes(&expected));
        assert_eq!(after.tensor("other.weight").unwrap().data(), bytes(&[0.5; 6]));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        assert!(update(&[2, 3], &[2, 1]).unwrap_err().contains("rank 2, and b 1"));
        assert!(update(&[6], &[2, 1]).unwrap_err().contains("two matrices"));
        let one = |name| Update::take(&mut tensors("head", &file(&[(name, &[1, 1], &[1.0])])).unwrap()).unwrap_err();
        assert!(one("update.x.a").contains("update.x.b is missing"));
        assert!(one("update.x.b").contains("no counterpart"));
        let none = Update::take(&mut tensors("head", &file(&[("x", &[1], &[1.0])])).unwrap());
        assert!(none.unwrap().is_none());

        let update = update(&[2, 3], &[2, 2]).unwrap().unwrap();
        let mut other = file(&[("x.weight", &[3, 2], &[0.0; 6])]);
        assert!(update.apply(&mut other).unwrap_err().contains("x.weight as 2 x 3"));
        assert!(update.apply(&mut file(&[("y", &[1], &[0.0])])).unwrap_err().contains("does not have"));
    }
}
