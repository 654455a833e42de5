//! `Crop`: cuts a blob to the size of another.
//!
//! | option (`crop_param`) | default | meaning |
//! |---|---|---|
//! | `axis` | 2 | the first axis to cut; this and all behind it get the size of the second bottom; negative counts from the end |
//! | `offset` | 0 | where the cut begins: once for all these axes, or once for each |
//!
//! Bottoms: x, and a blob of the wanted size, which gets no gradient. Top: y, cut out of x.

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer, cut::Cut},
    proto::{CropParameter, LayerParameter},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Crop {
    options: CropParameter,
    cut: Cut,
}

impl Crop {
    /// Reads the options.
    ///
    /// # Errors
    /// None: they are checked against the bottoms' shapes.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.crop_param.clone().unwrap_or_default();
        Ok(Box::new(Crop { options, cut: Cut::default() }))
    }

    /// Where the cut begins, and how much is cut out, along each axis.
    fn window(&self, x: &Shape, size: &Shape) -> Result<(Vec<usize>, Vec<usize>)> {
        let first = x.axis(self.options.axis(), "crop_param.axis")?;
        let offsets = &self.options.offset;
        if offsets.len() > 1 && offsets.len() != x.axes() - first {
            let message = format!(
                "is given {} times for {} axes from axis {first} on; give it once, or once for each",
                offsets.len(),
                x.axes() - first
            );
            return Err(Error::config("crop_param.offset", message));
        }
        if size.axes() != x.axes() {
            return Err(Error::shape(format!("bottom 0 has shape {x}, bottom 1 {size}; they need as many axes")));
        }
        let (mut starts, mut extents) = (vec![0; x.axes()], x.dims().to_vec());
        for axis in first..x.axes() {
            let offset = if offsets.len() == 1 { offsets[0] } else { offsets.get(axis - first).copied().unwrap_or(0) };
            (starts[axis], extents[axis]) = (offset as usize, size.dims()[axis]);
            if starts[axis] + extents[axis] > x.dims()[axis] {
                let message =
                    format!("axis {axis} of {x} is too short for {} values from offset {offset} on", extents[axis]);
                return Err(Error::config("crop_param.offset", message));
            }
        }
        Ok((starts, extents))
    }
}

impl Layer for Crop {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let x = io.bottom(0).shape().clone();
        let (starts, extents) = self.window(&x, io.bottom(1).shape())?;
        self.cut.set(&x, &starts, &extents);
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
        proto::{CropParameter, LayerParameter},
    };

    fn crop(axis: i32, offset: &[u32]) -> LayerParameter {
        let crop_param = Some(CropParameter { axis: Some(axis), offset: offset.to_vec() });
        LayerParameter { r#type: Some("Crop".into()), crop_param, ..Default::default() }
    }

    #[test]
    fn a_window_is_cut_out() {
        let x: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let cut = |message| {
            let trial = Trial::of(&message).bottom([1, 3, 4], x.clone()).constant([1, 2, 2], [0.0; 4]);
            trial.run().unwrap().top(0)
        };
        assert_eq!(cut(crop(1, &[])), [0.0, 1.0, 4.0, 5.0]);
        assert_eq!(cut(crop(1, &[1])), [5.0, 6.0, 9.0, 10.0]);
        assert_eq!(cut(crop(-2, &[1, 2])), [6.0, 7.0, 10.0, 11.0]);
    }

    #[test]
    fn gradients() {
        let trial = Trial::of(&crop(1, &[1, 0])).bottom([2, 3, 4], values(24, 1)).constant([2, 2, 3], [0.0; 12]);
        GradientCheck::default().run_each(&mut trial.run().unwrap());
    }

    #[test]
    fn wrong_cuts_are_named() {
        let error = |message: &LayerParameter, size: &[usize]| {
            let count: usize = size.iter().product();
            let trial = Trial::of(message).bottom([1, 3, 4], values(12, 1)).constant(size, vec![0.0; count]);
            trial.build().err().unwrap().to_string()
        };
        assert!(error(&crop(1, &[2]), &[1, 2, 2]).contains("axis 1 of 1×3×4 is too short for 2 values from offset 2"));
        assert!(error(&crop(0, &[1, 2]), &[1, 1, 1]).contains("crop_param.offset: is given 2 times for 3 axes"));
        assert!(error(&crop(3, &[]), &[1, 1, 1]).contains("crop_param.axis"));
        assert!(error(&crop(1, &[]), &[2, 2]).contains("as many axes"));
    }
}
