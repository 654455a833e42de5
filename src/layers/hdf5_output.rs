//! `HDF5Output`: writes its bottoms to an HDF5 file.
//!
//! | option (`hdf5_output_param`) | default | meaning |
//! |---|---|---|
//! | `file_name` | | the file, begun anew when the net is built |
//!
//! The first bottom becomes the dataset `data`, the second `label`, each with four axes. The file holds one batch: running the
//! layer once more is an error, as in Caffe.
//!
//! Bottoms: two, of at most four axes, with as many images. Tops: none. No gradient comes from here.

use std::path::{Path, PathBuf};

use log::info;

use super::{Io, Layer, Setup};
use crate::{
    data::hdf5::Writer,
    error::{Error, Result},
    layers::loss,
    ops::elementwise,
    proto::LayerParameter,
    tensor::Shape,
};

const FILE: &str = "hdf5_output_param.file_name";

/// The layer; see the module's text.
pub struct Hdf5Output {
    path: PathBuf,
    written: bool,
}

impl Hdf5Output {
    /// Reads the options.
    ///
    /// # Errors
    /// When there is no file name.
    pub fn new_layer(message: &LayerParameter) -> Result<Box<dyn Layer>> {
        let parameter = message.hdf5_output_param.clone().unwrap_or_default();
        if parameter.file_name().is_empty() {
            return Err(Error::config(FILE, "is missing: the name of the file to write"));
        }
        Ok(Box::new(Hdf5Output { path: parameter.file_name().into(), written: false }))
    }
}

fn write(path: &Path, writer: Writer) -> Result<()> {
    std::fs::write(path, writer.finish()?).map_err(|cause| Error::io(path, cause))
}

/// N, C, H and W, as old layers count axes.
fn four_axes(shape: &Shape) -> Result<[usize; 4]> {
    let dims = shape.dims();
    let mut axes = [1; 4];
    match axes.get_mut(..dims.len()) {
        Some(begin) => begin.copy_from_slice(dims),
        None => return Err(Error::shape(format!("a bottom has shape {shape}; at most four axes can be written"))),
    }
    Ok(axes)
}

impl Layer for Hdf5Output {
    fn setup(&mut self, _: &mut Setup<'_>) -> Result<()> {
        write(&self.path, Writer::new())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        (0..2).try_for_each(|bottom| four_axes(io.bottom(bottom).shape()).map(drop))?;
        loss::check_batch(io)
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if self.written {
            let message = "holds a batch already, and one is all that it can hold: run a single iteration";
            return Err(Error::config(FILE, message));
        }
        let mut writer = Writer::new();
        for (bottom, name) in ["data", "label"].into_iter().enumerate() {
            let blob = io.bottom(bottom);
            writer.floats(name, &four_axes(blob.shape())?, &blob.data().host());
        }
        write(&self.path, writer)?;
        self.written = true;
        info!("Successfully saved {} rows", io.bottom(0).dim(0));
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        for bottom in (0..io.bottoms.len()).filter(|&bottom| io.wants_bottom_gradient(bottom)) {
            elementwise::fill(io.device(), 0.0, io.bottom(bottom).diff());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::hdf5::{Array, Reader},
        layers::testing::Trial,
        proto::Hdf5OutputParameter,
    };

    fn message(path: &Path) -> LayerParameter {
        LayerParameter {
            r#type: Some("HDF5Output".into()),
            hdf5_output_param: Some(Hdf5OutputParameter { file_name: Some(path.to_str().unwrap().into()) }),
            ..Default::default()
        }
    }

    #[test]
    fn one_batch_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.h5");
        let trial = Trial::of(&message(&path)).tops(0).bottom([2, 3], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let mut trial = trial.bottom([2], [8.0, 9.0]).run().unwrap();
        let reader = Reader::open("out.h5", &path).unwrap();
        let data = Array { shape: vec![2, 3, 1, 1], values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
        assert_eq!(reader.floats("data").unwrap(), data);
        assert_eq!(reader.floats("label").unwrap(), Array { shape: vec![2, 1, 1, 1], values: vec![8.0, 9.0] });
        trial.backward().unwrap();
        assert_eq!(trial.bottom_diff(1), [0.0, 0.0]);
        let error = trial.forward().unwrap_err().to_string();
        assert!(error.starts_with("hdf5_output_param.file_name: holds a batch already"), "{error}");
    }

    #[test]
    fn what_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.h5");
        let error = |message: &LayerParameter, rows: usize| {
            let trial = Trial::of(message).tops(0).bottom([2, 1, 1, 1], [0.0; 2]).bottom([rows], vec![0.0; rows]);
            trial.run().err().unwrap().to_string()
        };
        assert!(error(&message(&path), 3).contains("the first dimensions must be the same"));
        assert!(error(&message(&path.join("below")), 2).contains("below: "));
        let nameless = LayerParameter { hdf5_output_param: None, ..message(&path) };
        assert!(error(&nameless, 2).starts_with("hdf5_output_param.file_name: is missing"));
        let five = Trial::of(&message(&path)).tops(0).bottom([1, 1, 1, 1, 1], [0.0]).bottom([1], [0.0]);
        assert!(five.run().err().unwrap().to_string().contains("at most four axes"));
    }
}
