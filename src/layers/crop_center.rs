//! `CropCenter`: the middle of a blob; from each axis as much is cut off at the end as at the beginning (lltcggie's fork of
//! Caffe, for waifu2x).
//!
//! | option (`crop_center_param`) | default | meaning |
//! |---|---|---|
//! | `crop_size`, once for each axis | required | values cut off at each end; at least one value must be left |
//!
//! Bottom: x. Top: y, shorter by 2·`crop_size` along each axis. The gradient of what is cut off is 0.

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer, cut::Cut},
    proto::LayerParameter,
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct CropCenter {
    margins: Vec<usize>,
    cut: Cut,
}

impl CropCenter {
    /// Reads the options.
    ///
    /// # Errors
    /// None: they are checked against the bottom's shape.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.crop_center_param.clone().unwrap_or_default();
        let margins = options.crop_size.iter().map(|&margin| margin as usize).collect();
        Ok(Box::new(CropCenter { margins, cut: Cut::default() }))
    }
}

impl Layer for CropCenter {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let x = io.bottom(0).shape().clone();
        if self.margins.len() != x.axes() {
            let message = format!("is given {} times, the bottom has {} axes ({x})", self.margins.len(), x.axes());
            return Err(Error::config("crop_center_param.crop_size", message));
        }
        let mut extents = Vec::with_capacity(x.axes());
        for (axis, (&dim, &margin)) in x.dims().iter().zip(&self.margins).enumerate() {
            if 2 * margin >= dim {
                let message = format!("{margin} at each end leave nothing of axis {axis} of {x}");
                return Err(Error::config("crop_center_param.crop_size", message));
            }
            extents.push(dim - 2 * margin);
        }
        self.cut.set(&x, &self.margins, &extents);
        io.set_top_shape(0, &Shape::new(extents))?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.cut.take(io.device(), io.bottom(0).data(), io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(0) {
            self.cut.put(io.device(), io.top(0).diff(), io.bottom(0).diff());
        }
        Ok(())
    }

    fn backward_reads(&self, _data: End) -> bool {
        false
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::{CropCenterParameter, LayerParameter},
    };

    fn message(crop_size: &[u32]) -> LayerParameter {
        let crop_center_param = Some(CropCenterParameter { crop_size: crop_size.to_vec() });
        LayerParameter { r#type: Some("CropCenter".into()), crop_center_param, ..Default::default() }
    }

    #[test]
    fn the_middle_is_cut_out() {
        let x: Vec<f32> = (0..20).map(|value| value as f32).collect();
        let trial = Trial::of(&message(&[0, 0, 1, 1])).bottom([1, 1, 4, 5], x).run().unwrap();
        assert_eq!((trial.top_shape(0), trial.top(0)), (vec![1, 1, 2, 3], vec![6.0, 7.0, 8.0, 11.0, 12.0, 13.0]));
    }

    #[test]
    fn gradients() {
        let mut trial = Trial::of(&message(&[0, 1, 0])).bottom([2, 3, 2], values(12, 1)).run().unwrap();
        GradientCheck::default().run_each(&mut trial);
    }

    #[test]
    fn wrong_margins_are_named() {
        for margins in [&[0, 1][..], &[0, 2, 0], &[0, u32::MAX, 0], &[0, 0, 0, 0]] {
            let error = Trial::of(&message(margins)).bottom([2, 3, 4], values(24, 1)).build().err().unwrap();
            assert!(error.to_string().contains("crop_center_param.crop_size"), "{error}");
        }
    }
}
