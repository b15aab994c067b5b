//! A low-rank update of a model's linear layers: E. Hu et al. 2021, "LoRA", arXiv:2106.09685.
//!
//! It is added to the published weights before they are brought to 8 bits, so that it costs nothing afterwards.

use candle_core::{DType, Tensor};
use std::collections::{BTreeMap, HashMap};

const PREFIX: &str = "update.";

/// What is added to weights: of each layer `a`, `[rank, inputs]`, and `b`, `[outputs, rank]`, whose product it is.
#[derive(Debug)]
pub(crate) struct Update(BTreeMap<String, (Tensor, Tensor)>);

impl Update {
    /// Takes the tensors `update.LAYER.a` and `update.LAYER.b` out of a file's; none where there are none.
    ///
    /// # Errors
    /// A layer of which one of the two is missing, or that do not fit each other.
    pub fn take(tensors: &mut HashMap<String, Tensor>) -> Result<Option<Self>, String> {
        let mut products = BTreeMap::new();
        let names: Vec<String> = tensors.keys().filter(|key| key.starts_with(PREFIX)).cloned().collect();
        for name in names.iter().filter_map(|name| name.strip_suffix(".a")) {
            let Some((a, b)) = tensors.remove(&format!("{name}.a")).zip(tensors.remove(&format!("{name}.b"))) else {
                return Err(format!("{name}.b is missing"));
            };
            let (Ok((rank, _)), Ok((_, same))) = (a.dims2(), b.dims2()) else {
                return Err(format!("{name} does not hold two matrices"));
            };
            if rank != same {
                return Err(format!("{name}: a has rank {rank}, and b {same}"));
            }
            products.insert(name[PREFIX.len()..].to_owned(), (a, b));
        }
        if let Some(left) = tensors.keys().find(|key| key.starts_with(PREFIX)) {
            return Err(format!("{left} has no counterpart"));
        }
        Ok((!products.is_empty()).then_some(Self(products)))
    }

    /// Adds to a model's weights.
    ///
    /// # Errors
    /// A layer that the model does not have, or not in these dimensions.
    pub fn apply(&self, weights: &mut HashMap<String, Tensor>) -> Result<(), String> {
        for (layer, (a, b)) in &self.0 {
            let name = format!("{layer}.weight");
            let inner = format!("bert.{name}");
            let found = if weights.contains_key(&name) { weights.get_mut(&name) } else { weights.get_mut(&inner) };
            let weight = found.ok_or_else(|| format!("the update changes {name}, which the model does not have"))?;
            let single = |tensor: &Tensor| tensor.to_dtype(DType::F32);
            let sum = || single(weight)? + single(b)?.matmul(&single(a)?)?;
            *weight = sum().map_err(|error| format!("the update changes {name}: {error}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn tensor(dims: &[usize], values: &[f32]) -> Tensor {
        Tensor::from_slice(values, dims, &Device::Cpu).unwrap()
    }

    fn model<const N: usize>(tensors: [(&str, Tensor); N]) -> HashMap<String, Tensor> {
        tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect()
    }

    fn update(a: &[usize], b: &[usize]) -> Result<Option<Update>, String> {
        let values = [1.0, 2.0, 3.0, 10.0, 20.0, 30.0];
        let of = |dims: &[usize]| tensor(dims, &values[..dims.iter().product()]);
        Update::take(&mut model([("update.x.a", of(a)), ("update.x.b", of(b))]))
    }

    #[test]
    fn the_product_is_added_to_its_weight_and_to_nothing_else() {
        let other = tensor(&[2, 3], &[0.5; 6]);
        let mut model =
            model([("other.weight", other), ("bert.x.weight", tensor(&[2, 3], &[0.5, 0.0, 0.0, 0.0, 0.0, -1.0]))]);
        // Rank 2: b is [[1, 2], [3, 10]], a is [[1, 2, 3], [10, 20, 30]].
        update(&[2, 3], &[2, 2]).unwrap().unwrap().apply(&mut model).unwrap();
        let after = |name: &str| model[name].to_vec2::<f32>().unwrap().concat();
        assert_eq!(after("bert.x.weight"), [21.5, 42.0, 63.0, 103.0, 206.0, 308.0]);
        assert_eq!(after("other.weight"), [0.5; 6]);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        assert!(update(&[2, 3], &[2, 1]).unwrap_err().contains("rank 2, and b 1"));
        assert!(update(&[6], &[2, 1]).unwrap_err().contains("two matrices"));
        let one = |name| Update::take(&mut model([(name, tensor(&[1, 1], &[1.0]))])).unwrap_err();
        assert!(one("update.x.a").contains("update.x.b is missing"));
        assert!(one("update.x.b").contains("no counterpart"));
        assert!(Update::take(&mut model([("x", tensor(&[1], &[1.0]))])).unwrap().is_none());

        let update = update(&[2, 3], &[2, 2]).unwrap().unwrap();
        let wrong = update.apply(&mut model([("x.weight", tensor(&[3, 2], &[0.0; 6]))])).unwrap_err();
        assert!(wrong.contains("x.weight") && wrong.contains("[3, 2]") && wrong.contains("[2, 3]"), "{wrong}");
        assert!(update.apply(&mut model([("y", tensor(&[1], &[0.0]))])).unwrap_err().contains("does not have"));
    }
}
