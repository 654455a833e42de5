//! The parameters of a net: sharing by name, multipliers, and the two buffers that hold them all.

use std::collections::HashMap;

use log::info;

use crate::{
    error::{Error, Result},
    proto::{ParamSpec, param_spec::DimCheckMode},
    tensor::{Blob, Buffer},
};

/// A parameter that the solver updates (a shared one is here once, under its owner).
#[derive(Debug, Clone)]
pub struct Learnable {
    /// Values and gradient: ranges of the net's two parameter buffers.
    pub blob: Blob,
    /// Factor of the solver's learning rate (1 when no layer says).
    pub lr_mult: f32,
    /// Factor of the solver's weight decay (1 when no layer says).
    pub decay_mult: f32,
    /// The layer that owns it.
    pub layer: String,
    /// Its name in messages: the one the net file gives, else its position in the layer.
    pub name: String,
    lr_mult_is_set: bool,
    decay_mult_is_set: bool,
}

/// All parameters of a net.
#[derive(Debug, Default)]
pub struct Parameters {
    learnable: Vec<Learnable>,
    /// For each layer, the learnable that stands for each of its parameters.
    by_layer: Vec<Vec<usize>>,
    /// For each learnable, the layer and the position in it that own it.
    owners: Vec<(usize, usize)>,
    by_name: HashMap<String, usize>,
    data: Buffer,
    diff: Buffer,
}

impl Parameters {
    /// The parameters that the solver updates, in the order of Caffe's snapshots.
    pub fn learnable(&self) -> &[Learnable] {
        &self.learnable
    }

    /// The values of all learnable parameters, one behind the other.
    pub fn data(&self) -> &Buffer {
        &self.data
    }

    /// The gradients of all learnable parameters, in the same places.
    pub fn diff(&self) -> &Buffer {
        &self.diff
    }

    /// Whether the parameter at this position of a layer is its own, and not another's that it shares.
    pub fn is_own(&self, layer: usize, position: usize) -> bool {
        self.owners[self.by_layer[layer][position]] == (layer, position)
    }

    /// The learnable that stands for the parameter at this position of a layer.
    pub(super) fn id(&self, layer: usize, position: usize) -> usize {
        self.by_layer[layer][position]
    }

    /// Takes in the next layer's parameters.
    ///
    /// # Errors
    /// When there are more specs than parameters, or a shared parameter's shape or multipliers contradict its owner's.
    pub fn add_layer(&mut self, layer: &str, blobs: Vec<Blob>, specs: &[ParamSpec]) -> Result<()> {
        if specs.len() > blobs.len() {
            let message = format!("is given {} times, the layer has {} parameters", specs.len(), blobs.len());
            return Err(Error::config("param", message));
        }
        let mut ids = Vec::with_capacity(blobs.len());
        for (position, blob) in blobs.into_iter().enumerate() {
            let spec = specs.get(position).cloned().unwrap_or_default();
            let id = match self.by_name.get(spec.name()) {
                Some(&owner) if !spec.name().is_empty() => {
                    self.share(owner, layer, position, &blob, &spec)?;
                    owner
                }
                _ => self.own(layer, position, blob, &spec),
            };
            ids.push(id);
        }
        self.by_layer.push(ids);
        Ok(())
    }

    fn own(&mut self, layer: &str, position: usize, blob: Blob, spec: &ParamSpec) -> usize {
        let id = self.learnable.len();
        let name = if spec.name().is_empty() { position.to_string() } else { spec.name().to_string() };
        if !spec.name().is_empty() {
            self.by_name.insert(name.clone(), id);
        }
        self.owners.push((self.by_layer.len(), position));
        self.learnable.push(Learnable {
            blob,
            lr_mult: spec.lr_mult(),
            decay_mult: spec.decay_mult(),
            layer: layer.to_string(),
            name,
            lr_mult_is_set: spec.lr_mult.is_some(),
            decay_mult_is_set: spec.decay_mult.is_some(),
        });
        id
    }

    fn share(&mut self, owner: usize, layer: &str, position: usize, blob: &Blob, spec: &ParamSpec) -> Result<()> {
        let owner = &mut self.learnable[owner];
        info!("Sharing parameters '{}' owned by layer '{}', param index {position}", owner.name, owner.layer);
        let (mine, theirs) = (blob.shape(), owner.blob.shape());
        let permissive = spec.share_mode() == DimCheckMode::Permissive;
        let fits = if permissive { mine.count() == theirs.count() } else { mine == theirs };
        if !fits {
            let hint = if permissive { "the number of values must be the same" } else { "shapes must be the same" };
            return Err(Error::shape(format!(
                "cannot share parameter {:?} of layer {:?} ({theirs}) with parameter {position} of layer {layer:?} ({mine}): {hint}",
                owner.name, owner.layer,
            )));
        }
        let name = owner.name.clone();
        agree(&mut owner.lr_mult, &mut owner.lr_mult_is_set, spec.lr_mult, &name, "lr_mult")?;
        agree(&mut owner.decay_mult, &mut owner.decay_mult_is_set, spec.decay_mult, &name, "decay_mult")
    }

    /// Moves all learnable parameters into one buffer and their gradients into another. Call once, after the last layer.
    pub fn pack(&mut self) {
        let count = self.learnable.iter().map(|learnable| learnable.blob.count()).sum();
        self.data = Buffer::zeros(count);
        self.diff = Buffer::zeros(count);
        let mut start = 0;
        for learnable in &mut self.learnable {
            let blob = &learnable.blob;
            let (data, diff) = (self.data.slice(start, blob.count()), self.diff.slice(start, blob.count()));
            data.host_mut().copy_from_slice(&blob.data().host());
            start += blob.count();
            learnable.blob = Blob::from_buffers(blob.shape().clone(), data, diff);
        }
    }

    /// The parameters of a layer as blobs; a shared one with permissive checks keeps the values of its owner and the shape that
    /// `shapes` gives.
    pub fn of_layer(&self, layer: usize, shapes: &[crate::tensor::Shape]) -> Vec<Blob> {
        let view = |(&id, shape): (&usize, &crate::tensor::Shape)| {
            let owner = &self.learnable[id].blob;
            Blob::from_buffers(shape.clone(), owner.data().clone(), owner.diff().clone())
        };
        self.by_layer[layer].iter().zip(shapes).map(view).collect()
    }
}

fn agree(owner: &mut f32, is_set: &mut bool, value: Option<f32>, name: &str, field: &str) -> Result<()> {
    let Some(value) = value else { return Ok(()) };
    if *is_set && *owner != value {
        let message = format!("shared parameter {name:?} has {value} here and {owner} in the layer that owns it");
        return Err(Error::config(format!("param.{field}"), message));
    }
    *owner = value;
    *is_set = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    fn named(name: &str, lr_mult: Option<f32>, share_mode: DimCheckMode) -> ParamSpec {
        ParamSpec { name: Some(name.into()), lr_mult, share_mode: Some(share_mode as i32), decay_mult: None }
    }

    fn blob(dims: [usize; 2]) -> Blob {
        Blob::new(Shape::from(dims))
    }

    #[test]
    fn a_shared_parameter_is_one_range_of_the_buffers() {
        let mut parameters = Parameters::default();
        let spec = [named("w", None, DimCheckMode::Strict)];
        parameters.add_layer("a", vec![blob([2, 3])], &spec).unwrap();
        parameters
            .add_layer("b", vec![blob([2, 3]), blob([1, 4])], &[named("w", Some(2.0), DimCheckMode::Strict)])
            .unwrap();
        parameters.pack();
        assert_eq!((parameters.learnable().len(), parameters.data().len()), (2, 10));
        assert_eq!(parameters.learnable()[0].lr_mult, 2.0);
        let (a, b) = (
            parameters.of_layer(0, &[Shape::from([2, 3])]),
            parameters.of_layer(1, &[Shape::from([2, 3]), Shape::from([1, 4])]),
        );
        assert!(a[0].data().is_same(b[0].data()) && a[0].diff().is_same(b[0].diff()));
        assert_eq!([(0, 0), (1, 0), (1, 1)].map(|(layer, at)| parameters.is_own(layer, at)), [true, false, true]);
    }

    #[test]
    fn shapes_and_multipliers_must_agree() {
        let mut parameters = Parameters::default();
        let strict = |lr_mult| [named("w", lr_mult, DimCheckMode::Strict)];
        parameters.add_layer("a", vec![blob([2, 3])], &strict(Some(1.0))).unwrap();
        let error = |result: Result<()>| result.unwrap_err().to_string();
        assert!(error(parameters.add_layer("b", vec![blob([3, 2])], &strict(None))).contains("2×3"));
        assert!(error(parameters.add_layer("b", vec![blob([2, 3])], &strict(Some(2.0)))).contains("lr_mult"));
        let permissive = [named("w", None, DimCheckMode::Permissive)];
        assert!(parameters.add_layer("b", vec![blob([3, 2])], &permissive).is_ok());
        assert!(error(parameters.add_layer("c", vec![], &strict(None))).contains("0 parameters"));
    }
}
