//! `DummyData`: blobs filled by fillers, for tests of nets and measurements without data.
//!
//! | option (`dummy_data_param`) | default | meaning |
//! |---|---|---|
//! | `shape` | none | once for all tops, or once for each |
//! | `num`, `channels`, `height`, `width` | none | the old form of `shape`: N×C×H×W, each once or once for each top |
//! | `data_filler` | constant 0 | once for all tops, or once for each |
//!
//! A top with a constant filler is filled once; any other is filled anew in every forward pass, from the net's random engine.
//! Bottoms: none. Tops: at least one.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, dims_of},
    proto::{DummyDataParameter, FillerParameter, LayerParameter},
    rng::fill,
    tensor::Shape,
};

const FILLER: &str = "dummy_data_param.data_filler";

/// The layer; see the module's text.
pub struct DummyData {
    shapes: Vec<Shape>,
    fillers: Vec<FillerParameter>,
}

impl DummyData {
    /// Reads the options.
    ///
    /// # Errors
    /// When shapes or fillers are given neither once nor once for each top.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.dummy_data_param.clone().unwrap_or_default();
        let tops = layer.top.len();
        let mut fillers = options.data_filler.clone();
        if fillers.is_empty() {
            fillers.push(FillerParameter::default());
        }
        let fillers = for_each_top("data_filler", &fillers, tops)?;
        Ok(Box::new(DummyData { shapes: shapes(&options, tops)?, fillers }))
    }

    fn fill(&self, io: &Io<'_>, constant: bool) -> Result<()> {
        let mut random = io.context.random.lock();
        for (top, filler) in
            self.fillers.iter().enumerate().filter(|(_, filler)| (filler.r#type() == "constant") == constant)
        {
            let top = io.top(top);
            fill(filler, top.shape(), &mut top.data().host_anew(), &mut random, FILLER)?;
            top.data().bring_to(io.device());
        }
        Ok(())
    }
}

fn shapes(options: &DummyDataParameter, tops: usize) -> Result<Vec<Shape>> {
    let old = [
        ("num", &options.num),
        ("channels", &options.channels),
        ("height", &options.height),
        ("width", &options.width),
    ];
    if old.iter().all(|(_, dims)| dims.is_empty()) {
        let shapes = for_each_top("shape", &options.shape, tops)?;
        return shapes.iter().map(|shape| dims_of(shape, "dummy_data_param.shape.dim")).collect();
    }
    if !options.shape.is_empty() {
        let message = "give either shape or the old num, channels, height and width, not both";
        return Err(Error::config("dummy_data_param.shape", message));
    }
    let axes = old.iter().map(|(field, dims)| for_each_top(field, dims, tops)).collect::<Result<Vec<_>>>()?;
    Ok((0..tops).map(|top| Shape::new(axes.iter().map(|dims| dims[top] as usize).collect::<Vec<_>>())).collect())
}

/// One value for each top, from one for all or one for each.
fn for_each_top<T: Clone>(field: &str, values: &[T], tops: usize) -> Result<Vec<T>> {
    match values {
        [value] => Ok(vec![value.clone(); tops]),
        values if values.len() == tops => Ok(values.to_vec()),
        values => {
            let message = format!("is given {} times for {tops} tops; give it once, or once for each", values.len());
            Err(Error::config(format!("dummy_data_param.{field}"), message))
        }
    }
}

impl Layer for DummyData {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        for (top, shape) in self.shapes.iter().enumerate() {
            io.set_top_shape(top, shape)?;
        }
        self.fill(io, true)
    }

    fn prepare(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.fill(io, false)
    }

    fn forward(&mut self, _io: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn backward(&mut self, _io: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use ndarray::ArrayD;
    use ndarray_npy::NpzReader;

    use super::*;
    use crate::{layers::testing::Trial, proto::BlobShape, prototxt::parse_net};

    fn dummy(options: DummyDataParameter, tops: usize) -> LayerParameter {
        LayerParameter {
            r#type: Some("DummyData".into()),
            top: (0..tops).map(|top| top.to_string()).collect(),
            dummy_data_param: Some(options),
            ..Default::default()
        }
    }

    fn filler(kind: &str, value: f32) -> FillerParameter {
        FillerParameter { r#type: Some(kind.into()), value: Some(value), ..Default::default() }
    }

    #[test]
    fn constants_and_draws() {
        let options = DummyDataParameter {
            shape: vec![BlobShape { dim: vec![2, 2] }],
            data_filler: vec![filler("constant", 3.0), filler("uniform", 0.0)],
            ..Default::default()
        };
        let trial = Trial::of(&dummy(options, 2)).tops(2).run().unwrap();
        assert_eq!(trial.top(0), [3.0; 4]);
        assert!(trial.top(1).iter().all(|value| (0.0..1.0).contains(value) && *value != 0.0));
    }

    /// Three forward passes of `tests/golden/fillers/dummy.prototxt` from seed 77, bit for bit as Caffe filled them.
    #[test]
    fn draws_are_those_of_caffe() {
        let net = parse_net(include_str!("../../tests/golden/fillers/dummy.prototxt"), "dummy.prototxt").unwrap();
        let mut trial = Trial::of(&net.message.layer[0]).tops(4).seed(77).build().unwrap();
        for archive in [
            include_bytes!("../../tests/golden/fillers/dummy_forward_0.npz").as_slice(),
            include_bytes!("../../tests/golden/fillers/dummy_forward_1.npz"),
            include_bytes!("../../tests/golden/fillers/dummy_forward_2.npz"),
        ] {
            trial.forward().unwrap();
            let mut archive = NpzReader::new(Cursor::new(archive)).unwrap();
            for top in 0..4 {
                let expected: ArrayD<f32> = archive.by_name(&format!("data:t{top}")).unwrap();
                assert_eq!(trial.top_blob(top).data_array(), expected);
            }
        }
    }

    #[test]
    fn the_old_form_of_shapes() {
        let options = DummyDataParameter {
            num: vec![2],
            channels: vec![3],
            height: vec![4],
            width: vec![5, 6],
            ..Default::default()
        };
        let trial = Trial::of(&dummy(options, 2)).tops(2).run().unwrap();
        assert_eq!((trial.top_shape(0), trial.top_shape(1)), (vec![2, 3, 4, 5], vec![2, 3, 4, 6]));
    }

    #[test]
    fn a_count_that_fits_no_top_is_refused() {
        let options = DummyDataParameter { shape: vec![BlobShape::default(); 2], ..Default::default() };
        assert!(Trial::of(&dummy(options, 3)).tops(3).run().is_err());
    }
}
