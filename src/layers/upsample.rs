//! `Upsample`: larger planes. With one bottom every value is repeated (the layer of YOLO's ports to Caffe); with a mask from MAX
//! pooling as second bottom every value goes back to the place it came from, and all else is 0 (SegNet's fork of Caffe).
//!
//! | option (`upsample_param`) | default | meaning |
//! |---|---|---|
//! | `scale` | 1; with a mask 2 | how often a value is repeated along each of the last two axes; how much larger the plane is |
//! | `scale_h` and `scale_w` | | mask only: the same for each axis |
//! | `pad_out_h`, `pad_out_w` | false | mask only: one row or column less, where the factor is 2 |
//! | `upsample_h` and `upsample_w` | | mask only: the size itself; goes before all factors |
//!
//! Bottoms: x (...×H×W, with a mask N×C×H×W); optionally the mask, shaped as x: places in the larger planes. Top: y. With a mask,
//! of values for one place (windows that overlap) the last stays, while each gets that place's gradient, as in the fork.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, Setup, loss, shape_within},
    ops::{
        movement::{self, Table},
        resize,
    },
    proto::{LayerParameter, UpsampleParameter},
};

/// The layer; see the module's text.
pub struct Upsample {
    options: UpsampleParameter,
    /// Values of a plane of x, and of y.
    planes: (usize, usize),
    /// Without a mask: where in its plane each value of a plane of y comes from; listed before the first run.
    table: Table,
    /// The height and width of x that the table is for.
    listed: [usize; 2],
    has_mask: bool,
}

impl Upsample {
    /// Reads the options.
    ///
    /// # Errors
    /// When factors contradict each other or are 0.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.upsample_param.unwrap_or_default();
        if options.scale == Some(0) {
            return Err(Error::config("upsample_param.scale", "must be at least 1"));
        }
        Ok(Box::new(Upsample { options, planes: (0, 0), table: Table::default(), listed: [0, 0], has_mask: false }))
    }

    /// Height and width of the result for a mask.
    fn unpooled(&self, [height, width]: [usize; 2]) -> Result<[usize; 2]> {
        let options = &self.options;
        if let (Some(height), Some(width)) = (options.upsample_h, options.upsample_w) {
            return Ok([height as usize, width as usize]);
        }
        let scale = options.scale.unwrap_or(2);
        let scales = [options.scale_h.unwrap_or(scale), options.scale_w.unwrap_or(scale)];
        let pads = [options.pad_out_h(), options.pad_out_w()];
        let mut size = [height, width];
        for (axis, letter) in ["h", "w"].into_iter().enumerate() {
            if pads[axis] && scales[axis] != 2 {
                let message = format!("only goes with a factor of 2, not {}", scales[axis]);
                return Err(Error::config(format!("upsample_param.pad_out_{letter}"), message));
            }
            // Too much is found when the whole shape is counted.
            let scaled = size[axis].saturating_mul(scales[axis] as usize);
            size[axis] = scaled.saturating_sub(usize::from(pads[axis]));
        }
        Ok(size)
    }

    /// Lists where each value of a plane comes from when values are repeated.
    fn list(&mut self, [height, width]: [usize; 2], scale: usize) {
        if self.listed == [height, width] {
            return;
        }
        self.listed = [height, width];
        let row = |row: usize| {
            let start = row / scale * width;
            (0..width * scale).map(move |column| (start + column / scale) as u32)
        };
        self.table.set(height * width, (0..height * scale).flat_map(row));
    }
}

fn check_without_mask(options: &UpsampleParameter) -> Result<()> {
    let given = [
        ("scale_h", options.scale_h.is_some()),
        ("scale_w", options.scale_w.is_some()),
        ("pad_out_h", options.pad_out_h()),
        ("pad_out_w", options.pad_out_w()),
        ("upsample_h", options.upsample_h.is_some()),
        ("upsample_w", options.upsample_w.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((field, _)) => {
            let message = "only goes with a mask as second bottom; to repeat values give scale";
            Err(Error::config(format!("upsample_param.{field}"), message))
        }
        None => Ok(()),
    }
}

fn check_with_mask(options: &UpsampleParameter) -> Result<()> {
    let above_one = [
        ("scale", options.scale),
        ("scale_h", options.scale_h),
        ("scale_w", options.scale_w),
        ("upsample_h", options.upsample_h),
        ("upsample_w", options.upsample_w),
    ];
    if let Some((field, value)) = above_one.iter().find(|(_, value)| value.is_some_and(|value| value < 2)) {
        let message = format!("must be at least 2, is {}", value.unwrap_or_default());
        return Err(Error::config(format!("upsample_param.{field}"), message));
    }
    if options.upsample_h.is_some() != options.upsample_w.is_some() {
        return Err(Error::config("upsample_param.upsample_h", "goes together with upsample_w"));
    }
    if options.scale_h.is_some() != options.scale_w.is_some() {
        return Err(Error::config("upsample_param.scale_h", "goes together with scale_w"));
    }
    if options.upsample_h.is_none() && options.scale.is_some() && options.scale_h.is_some() {
        return Err(Error::config("upsample_param.scale", "is given together with scale_h and scale_w; give one form"));
    }
    Ok(())
}

impl Layer for Upsample {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        self.has_mask = setup.bottoms.len() == 2;
        if self.has_mask { check_with_mask(&self.options) } else { check_without_mask(&self.options) }
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let x = io.bottom(0).shape().clone();
        let has_mask = io.bottoms.len() == 2;
        let &[.., height, width] = x.dims() else {
            return Err(Error::shape(format!("the bottom needs rows and columns (...×H×W), its shape is {x}")));
        };
        if has_mask && (*io.bottom(1).shape() != x || x.axes() != 4) {
            let message = format!("x and mask need one shape N×C×H×W; they are {x} and {}", io.bottom(1).shape());
            return Err(Error::shape(message));
        }
        let scale = self.options.scale.unwrap_or(1) as usize;
        let [rows, columns] = match has_mask {
            true => self.unpooled([height, width])?,
            false => [height.saturating_mul(scale), width.saturating_mul(scale)],
        };
        let mut dims = x.dims()[..x.axes() - 2].to_vec();
        dims.extend([rows, columns]);
        let top = shape_within(dims, "upsample_param")?;
        shape_within(vec![rows, columns], "upsample_param")?;
        self.planes = (height * width, rows * columns);
        io.set_top_shape(0, &top)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, x, y) = (io.device(), io.bottom(0).data(), io.top(0).data());
        if io.bottoms.len() == 1 {
            if let &[.., height, width] = io.bottom(0).shape().dims() {
                self.list([height, width], self.options.scale.unwrap_or(1) as usize);
            }
            movement::gather(device, &self.table, x, y);
            return Ok(());
        }
        resize::unpool_forward(device, self.planes, x, io.bottom(1).data(), y).map_err(|bad| {
            let message = format!(
                "{} (number {}) is not one of the {} places of a plane; was the mask made from planes of another size?",
                bad.value, bad.index, self.planes.1
            );
            Error::data("mask", message)
        })
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let has_mask = io.bottoms.len() == 2;
        if has_mask && io.wants_bottom_gradient(1) {
            return Err(loss::no_label_gradient());
        }
        if !io.wants_bottom_gradient(0) {
            return Ok(());
        }
        let (device, dy, dx) = (io.device(), io.top(0).diff(), io.bottom(0).diff());
        match has_mask {
            true => resize::unpool_backward(device, self.planes, dy, io.bottom(1).data(), dx),
            false => movement::scatter(device, &self.table, dy, dx),
        }
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        !self.has_mask
    }

    fn allows_forced_gradient(&self, bottom: usize) -> bool {
        bottom == 0
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::{LayerParameter, UpsampleParameter},
    };

    fn message(upsample_param: UpsampleParameter) -> LayerParameter {
        LayerParameter { r#type: Some("Upsample".into()), upsample_param: Some(upsample_param), ..Default::default() }
    }

    fn scale(scale: u32) -> UpsampleParameter {
        UpsampleParameter { scale: Some(scale), ..Default::default() }
    }

    /// A mask for 2×2 pooling of planes of 4 by `width`.
    fn mask(width: usize) -> Vec<f32> {
        [0, width + 2, 3 * width, 2 * width + 3].map(|place| place as f32).to_vec()
    }

    #[test]
    fn values_are_repeated() {
        let trial = Trial::of(&message(scale(2))).bottom([1, 1, 2, 2], [1.0, 2.0, 3.0, 4.0]).run().unwrap();
        assert_eq!(trial.top_shape(0), [1, 1, 4, 4]);
        let y = [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 3.0, 3.0, 4.0, 4.0];
        assert_eq!(trial.top(0), y);
        let trial = Trial::of(&message(UpsampleParameter::default())).bottom([2, 2], [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(trial.run().unwrap().top(0), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn values_go_where_the_mask_says() {
        let trial = Trial::of(&message(UpsampleParameter::default())).bottom([1, 1, 2, 2], [1.0, 2.0, 3.0, 4.0]);
        let trial = trial.constant([1, 1, 2, 2], mask(4)).run().unwrap();
        let y = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 4.0, 3.0, 0.0, 0.0, 0.0];
        assert_eq!(trial.top(0), y);
    }

    #[test]
    fn sizes_follow_the_options() {
        let shape = |options: UpsampleParameter| {
            let trial =
                Trial::of(&message(options)).bottom([1, 1, 3, 5], values(15, 1)).constant([1, 1, 3, 5], [0.0; 15]);
            let shape = trial.run().unwrap().top_shape(0);
            [shape[2], shape[3]]
        };
        assert_eq!(shape(UpsampleParameter { scale_h: Some(2), scale_w: Some(3), ..Default::default() }), [6, 15]);
        assert_eq!(shape(UpsampleParameter { pad_out_h: Some(true), ..scale(2) }), [5, 10]);
        assert_eq!(shape(UpsampleParameter { upsample_h: Some(7), upsample_w: Some(9), ..scale(4) }), [7, 9]);
    }

    #[test]
    fn gradients() {
        for factor in [1, 2, 3] {
            let mut trial = Trial::of(&message(scale(factor))).bottom([2, 1, 2, 3], values(12, 1)).run().unwrap();
            GradientCheck::default().run_each(&mut trial);
        }
        let mask: Vec<f32> = [mask(4), mask(4)].concat();
        let trial = Trial::of(&message(scale(2))).bottom([1, 2, 2, 2], values(8, 1)).constant([1, 2, 2, 2], mask);
        GradientCheck::default().run_each(&mut trial.run().unwrap());
    }

    #[test]
    fn a_place_that_is_named_twice_gives_its_gradient_to_both() {
        let trial = Trial::of(&message(scale(2))).bottom([1, 1, 1, 2], [1.0, 2.0]).constant([1, 1, 1, 2], [3.0; 2]);
        let mut trial = trial.run().unwrap();
        assert_eq!(trial.top(0)[3], 2.0);
        trial.set_top_diff(0, &[0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0]);
        trial.backward().unwrap();
        assert_eq!(trial.bottom_diff(0), [5.0, 5.0]);
    }

    #[test]
    fn places_outside_are_errors() {
        for place in [16.0, -1.0, f32::NAN, 1e30] {
            let trial = Trial::of(&message(scale(2))).bottom([1, 1, 2, 2], values(4, 1));
            let trial = trial.constant([1, 1, 2, 2], [0.0, 1.0, place, 2.0]);
            let error = trial.run().err().unwrap().to_string();
            assert!(error.contains("(number 2) is not one of the 16 places"), "{error}");
        }
    }

    #[test]
    fn wrong_options_are_named() {
        let error = |options: UpsampleParameter, has_mask: bool| {
            let trial = Trial::of(&message(options)).bottom([1, 1, 2, 2], values(4, 1));
            let trial = if has_mask { trial.constant([1, 1, 2, 2], mask(4)) } else { trial };
            trial.build().err().unwrap().to_string()
        };
        assert!(error(scale(0), false).contains("upsample_param.scale"));
        assert!(error(scale(u32::MAX), false).contains("upsample_param"));
        assert!(error(scale(1), true).contains("upsample_param.scale"));
        assert!(error(scale(u32::MAX), true).contains("upsample_param"));
        assert!(error(UpsampleParameter { upsample_h: Some(4), ..scale(2) }, true).contains("upsample_h"));
        assert!(error(UpsampleParameter { scale_w: Some(4), ..Default::default() }, true).contains("scale_h"));
        let both = UpsampleParameter { scale_h: Some(2), scale_w: Some(2), ..scale(2) };
        assert!(error(both, true).contains("upsample_param.scale"));
        assert!(error(both, false).contains("only goes with a mask"));
        assert!(
            error(UpsampleParameter { pad_out_w: Some(true), ..scale(3) }, true).contains("upsample_param.pad_out_w")
        );
        let trial = Trial::of(&message(scale(2))).bottom([1, 1, 2, 2], values(4, 1)).constant([1, 1, 1, 4], mask(4));
        assert!(trial.build().err().unwrap().to_string().contains("one shape"));
    }
}
