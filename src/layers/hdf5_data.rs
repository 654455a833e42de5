//! `HDF5Data`: rows of arrays from HDF5 files.
//!
//! | option (`hdf5_data_param`) | default | meaning |
//! |---|---|---|
//! | `source` | | a text file that lists the HDF5 files, parted by blanks or line ends |
//! | `batch_size` | | N, at least 1 |
//! | `shuffle` | false | another order of the files in each round, and of the rows in each file |
//!
//! Each top is filled from the dataset of its name; all must have as many rows. Numbers of any kind become f32. One file at a
//! time is held in memory. `transform_param` is refused.
//!
//! Bottoms: none. Tops: at least one, N × the shape of a row.
//!
//! Random numbers: those of the C library from its first seed, as in Caffe, for each layer anew; `random_seed` has no part in it.

use super::{Io, Layer, Setup};
use crate::{
    data::rows::Rows,
    error::{Error, Result},
    proto::{Hdf5DataParameter, LayerParameter, LayerState},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Hdf5Data {
    parameter: Hdf5DataParameter,
    rows: Option<Rows>,
}

impl Hdf5Data {
    /// Reads the options.
    ///
    /// # Errors
    /// When an option cannot be right.
    pub fn new_layer(message: &LayerParameter) -> Result<Box<dyn Layer>> {
        let parameter = message.hdf5_data_param.clone().unwrap_or_default();
        if message.transform_param.is_some() {
            return Err(Error::config("transform_param", "HDF5Data does not transform data: leave it out"));
        }
        if parameter.source().is_empty() {
            return Err(Error::config("hdf5_data_param.source", "is missing: the name of a list of HDF5 files"));
        }
        if parameter.batch_size() == 0 {
            return Err(Error::config("hdf5_data_param.batch_size", "must be at least 1"));
        }
        Ok(Box::new(Hdf5Data { parameter, rows: None }))
    }
}

const SET_UP: &str = "a layer is set up before it is reshaped or run";

impl Layer for Hdf5Data {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let (parameter, base) = (&self.parameter, setup.context.base.as_deref());
        self.rows = Some(Rows::open(parameter.source(), &setup.layer.top, parameter.shuffle(), base)?);
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        let rows = self.rows.as_ref().expect(SET_UP);
        for top in 0..io.tops.len() {
            let mut dims = vec![self.parameter.batch_size() as usize];
            dims.extend_from_slice(rows.shape(top));
            io.set_top_shape(top, &Shape::new(dims))?;
        }
        Ok(())
    }

    fn prepare(&mut self, io: &mut Io<'_>) -> Result<()> {
        let rows = self.rows.as_mut().expect(SET_UP);
        for item in 0..self.parameter.batch_size() as usize {
            for top in 0..io.tops.len() {
                let row = rows.row(top);
                let data = io.top(top).data();
                let mut values = if item == 0 { data.host_anew() } else { data.host_mut() };
                values[item * row.len()..][..row.len()].copy_from_slice(row);
            }
            rows.advance()?;
        }
        Ok(())
    }

    fn forward(&mut self, _: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn backward(&mut self, _: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn state(&self) -> Option<LayerState> {
        self.rows.as_ref().map(Rows::state)
    }

    fn restore(&mut self, state: &LayerState) -> Result<()> {
        self.rows.as_mut().expect(SET_UP).restore(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layers::testing::{Trial, golden_forwards},
        proto::TransformationParameter,
    };

    #[test]
    fn golden_rows() {
        golden_forwards("tests/golden/hdf5", "read", "read", 19, 5);
    }

    #[test]
    fn options_that_cannot_be_right() {
        let error = |change: fn(&mut LayerParameter)| {
            let mut message = LayerParameter {
                r#type: Some("HDF5Data".into()),
                top: vec!["nothing".into()],
                hdf5_data_param: Some(Hdf5DataParameter {
                    source: Some("list.txt".into()),
                    batch_size: Some(2),
                    ..Default::default()
                }),
                ..Default::default()
            };
            change(&mut message);
            let base = std::path::Path::new("tests/golden/hdf5");
            Trial::of(&message).base(base).run().err().unwrap().to_string()
        };
        assert_eq!(error(|_| ()), "part0.h5: dataset \"nothing\" is not there; the file has data, extra, label");
        assert!(
            error(|m| m.transform_param = Some(TransformationParameter::default())).starts_with("transform_param: ")
        );
        assert!(error(|m| m.hdf5_data_param.as_mut().unwrap().source = None).starts_with("hdf5_data_param.source: is"));
        assert!(
            error(|m| m.hdf5_data_param.as_mut().unwrap().batch_size = None).starts_with("hdf5_data_param.batch_size")
        );
        assert!(error(|m| m.hdf5_data_param.as_mut().unwrap().source = Some("no".into())).starts_with("no: not found"));
    }
}
