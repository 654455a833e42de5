//! All values of a net as arrays by name: `data:BLOB`, `diff:BLOB`, `param:LAYER:I`, `param_diff:LAYER:I`.

use super::Net;
use crate::{
    data::npz::Named,
    error::{Error, Result},
    tensor::{Blob, Buffer, Shape},
};

impl Net {
    /// All blobs and parameters, by name.
    pub fn arrays(&self) -> Vec<Named> {
        let mut arrays = Vec::new();
        for name in self.blob_names() {
            if let Some(blob) = self.blob(name) {
                arrays.push((format!("data:{name}"), blob.data_array()));
                arrays.push((format!("diff:{name}"), blob.diff_array()));
            }
        }
        for (layer, name) in self.layer_names().enumerate() {
            for (index, parameter) in self.layer_parameters(layer).iter().enumerate() {
                arrays.push((format!("param:{name}:{index}"), parameter.data_array()));
                arrays.push((format!("param_diff:{name}:{index}"), parameter.diff_array()));
            }
        }
        // In-place layers make a blob name appear once per layer.
        arrays.sort_by(|a, b| a.0.cmp(&b.0));
        arrays.dedup_by(|a, b| a.0 == b.0);
        arrays
    }

    /// Writes the arrays whose names begin so into the blobs' data (`data:`, which may change an input's shape) or gradients (`diff:`).
    ///
    /// # Errors
    /// When the net has no such blob, or not of that shape.
    pub fn set_arrays(&mut self, arrays: &[Named], prefix: &str, of: fn(&Blob) -> &Buffer) -> Result<()> {
        for (key, array) in arrays {
            let Some(name) = key.strip_prefix(prefix) else { continue };
            let shape = Shape::from(array.shape());
            let blob = self.blob(name).ok_or_else(|| Error::shape(format!("{key}: the net has no blob {name:?}")))?;
            if *blob.shape() != shape {
                if prefix != "data:" {
                    return Err(Error::shape(format!("{key} has shape {shape}, the blob has {}", blob.shape())));
                }
                self.reshape_input(name, &shape)?;
            }
            // The blob was found just now.
            let Some(blob) = self.blob(name) else { continue };
            of(blob).host_mut().iter_mut().zip(array.iter()).for_each(|(value, &new)| *value = new);
        }
        Ok(())
    }
}
