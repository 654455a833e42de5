//! `Interp`: planes resized bilinearly, the corners' values staying at the corners (DeepLab's fork of Caffe, and PSPNet's).
//!
//! Of H rows, H' = H + `pad_beg` + `pad_end` take part; likewise of the columns. The result has, by the first of these that fits:
//!
//! | option (`interp_param`) | default | rows of the result |
//! |---|---|---|
//! | `shrink_factor` s alone | | ⌊(H' − 1) / s⌋ + 1 |
//! | `zoom_factor` z alone | | H' + (H' − 1)·(z − 1) |
//! | `height` and `width` | | `height` |
//! | `shrink_factor` and `zoom_factor` | | shrunk, then zoomed |
//! | a second bottom, and none of the above | | those of that bottom |
//! | `pad_beg`, `pad_end` | 0 | minus the rows and columns that are cut off first; not above 0 |
//!
//! y\[h\]\[w\] mixes the four values of x around (h·(H' − 1)/(H'' − 1), w·(W' − 1)/(W'' − 1)).
//!
//! Bottoms: x (N×C×H×W); optionally a blob of the wanted size (later forks'), which gets no gradient. Top: y (N×C×H''×W'').

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer, Setup, shape_within},
    ops::resize::{self, Axis, Bilinear},
    proto::{InterpParameter, LayerParameter},
};

/// The layer; see the module's text.
pub struct Interp {
    size: Size,
    /// Rows and columns cut off at the beginning and at the end.
    margins: [usize; 2],
    axes: [Axis; 2],
    /// Made for the axes that stand beside it, before the first run.
    plan: ([Axis; 2], Bilinear),
}

/// What gives the result's size.
#[derive(Clone, Copy)]
enum Size {
    /// Shrunk by the first number, then zoomed by the second.
    Factors(usize, usize),
    /// Height and width.
    Given([usize; 2]),
    /// The second bottom's.
    Bottom,
}

impl Interp {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When a size or factor is not positive, or padding would be added.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.interp_param.unwrap_or_default();
        let margin = |pad: i32, field: &str| {
            let message = format!("must not be above 0 (rows and columns can only be cut off), is {pad}");
            let margin = (pad <= 0).then_some(pad.unsigned_abs() as usize);
            margin.ok_or_else(|| Error::config(format!("interp_param.{field}"), message))
        };
        let margins = [margin(options.pad_beg(), "pad_beg")?, margin(options.pad_end(), "pad_end")?];
        Ok(Box::new(Interp { size: size(&options)?, margins, axes: Default::default(), plan: Default::default() }))
    }

    /// The result's extent for one axis of the source, of which so much takes part; `axis` is 0 for rows, 1 for columns.
    fn result(&self, io: &Io<'_>, axis: usize, window: usize) -> Option<usize> {
        match self.size {
            Size::Factors(shrink, zoom) => {
                let shrunk = (window - 1) / shrink + 1;
                (shrunk - 1).checked_mul(zoom - 1)?.checked_add(shrunk)
            }
            Size::Given(size) => Some(size[axis]),
            Size::Bottom => Some(io.bottom(1).shape().legacy(2 + axis)),
        }
    }
}

fn size(options: &InterpParameter) -> Result<Size> {
    let positive = |value: Option<i32>, field: &str| match value {
        Some(value) if value < 1 => {
            Err(Error::config(format!("interp_param.{field}"), format!("must be at least 1, is {value}")))
        }
        value => Ok(value.map(|value| value as usize)),
    };
    let (shrink, zoom) = (options.shrink_factor, options.zoom_factor);
    if shrink.is_some() == zoom.is_some() && options.height.is_some() && options.width.is_some() {
        let (height, width) = (positive(options.height, "height")?, positive(options.width, "width")?);
        return Ok(Size::Given([height.unwrap_or(1), width.unwrap_or(1)]));
    }
    let (shrink, zoom) = (positive(shrink, "shrink_factor")?, positive(zoom, "zoom_factor")?);
    Ok(match (shrink, zoom) {
        (None, None) => Size::Bottom,
        (shrink, zoom) => Size::Factors(shrink.unwrap_or(1), zoom.unwrap_or(1)),
    })
}

impl Layer for Interp {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        match (self.size, setup.bottoms.len()) {
            (Size::Bottom, 1) => {
                let message = "gives no size: give height and width, zoom_factor or shrink_factor, or a second bottom";
                Err(Error::config("interp_param", message))
            }
            (Size::Factors(..) | Size::Given(_), 2) => {
                Err(Error::config("interp_param", "gives a size, and so does the second bottom; remove one of them"))
            }
            _ => Ok(()),
        }
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let &[images, channels, height, width] = io.bottom(0).shape().dims() else {
            return Err(Error::shape(format!("the bottom needs shape N×C×H×W, it is {}", io.bottom(0).shape())));
        };
        let [start, end] = self.margins;
        let mut axes = [Axis::default(); 2];
        for (number, source) in [height, width].into_iter().enumerate() {
            let window = source.checked_sub(start + end).filter(|window| *window > 0).ok_or_else(|| {
                let message = format!("{start} and {end} cut off leave nothing of {}", io.bottom(0).shape());
                Error::config("interp_param.pad_beg", message)
            })?;
            let too_large = || Error::config("interp_param.zoom_factor", "the top would be too large");
            let result = self.result(io, number, window).ok_or_else(too_large)?;
            axes[number] = Axis { source, start, window, result };
        }
        shape_within(vec![height, width], "bottom")?;
        let top = shape_within(vec![images, channels, axes[0].result, axes[1].result], "interp_param")?;
        self.axes = axes;
        io.set_top_shape(0, &top)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if self.plan.0 != self.axes {
            self.plan = (self.axes, Bilinear::new(self.axes[0], self.axes[1]));
        }
        resize::bilinear_forward(io.device(), &self.plan.1, io.bottom(0).data(), io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.bottoms.len() == 2 && io.wants_bottom_gradient(1) {
            return Err(Error::config("propagate_down", "the second bottom gives its size only; it has no gradient"));
        }
        if io.wants_bottom_gradient(0) {
            resize::bilinear_backward(io.device(), &self.plan.1, io.top(0).diff(), io.bottom(0).diff());
        }
        Ok(())
    }

    fn backward_reads(&self, _data: End) -> bool {
        false
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn allows_forced_gradient(&self, bottom: usize) -> bool {
        bottom == 0
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{InterpParameter, LayerParameter},
    };

    fn message(interp_param: InterpParameter) -> LayerParameter {
        LayerParameter { r#type: Some("Interp".into()), interp_param: Some(interp_param), ..Default::default() }
    }

    fn sized(height: i32, width: i32) -> InterpParameter {
        InterpParameter { height: Some(height), width: Some(width), ..Default::default() }
    }

    #[test]
    fn corners_stay_and_values_between_are_mixed() {
        let trial = Trial::of(&message(sized(3, 5))).bottom([1, 1, 2, 3], [0.0, 2.0, 4.0, 10.0, 12.0, 14.0]);
        let expected = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0];
        assert_close(&trial.run().unwrap().top(0), &expected);
        let trial = Trial::of(&message(sized(1, 2))).bottom([1, 1, 2, 3], [0.0, 2.0, 4.0, 10.0, 12.0, 14.0]);
        assert_eq!(trial.run().unwrap().top(0), [0.0, 4.0]);
    }

    /// A surface that is linear in both directions stays the same surface.
    #[test]
    fn bilinear_surfaces_are_kept() {
        let surface = |row: f32, column: f32| 1.0 + 2.0 * row - 3.0 * column + 0.5 * row * column;
        let x: Vec<f32> = (0..20).map(|place| surface((place / 5) as f32, (place % 5) as f32)).collect();
        let options = InterpParameter { pad_beg: Some(-1), ..sized(7, 9) };
        let y = Trial::of(&message(options)).bottom([1, 1, 4, 5], x).run().unwrap().top(0);
        // Rows 1 to 3 and columns 1 to 4.
        let place =
            |index: usize, from: f32, to: f32, count: usize| from + (to - from) * index as f32 / (count - 1) as f32;
        let expected: Vec<f32> =
            (0..63).map(|i| surface(place(i / 9, 1.0, 3.0, 7), place(i % 9, 1.0, 4.0, 9))).collect();
        assert_close(&y, &expected);
    }

    #[test]
    fn sizes_follow_the_options() {
        let shape = |options: InterpParameter| {
            let trial = Trial::of(&message(options)).bottom([1, 1, 7, 9], values(63, 1)).run().unwrap();
            [trial.top_shape(0)[2], trial.top_shape(0)[3]]
        };
        let factors = |shrink_factor, zoom_factor| InterpParameter { shrink_factor, zoom_factor, ..Default::default() };
        assert_eq!(shape(factors(Some(3), None)), [3, 3]);
        assert_eq!(shape(factors(None, Some(8))), [49, 65]);
        assert_eq!(shape(factors(Some(3), Some(2))), [5, 5]);
        assert_eq!(shape(sized(2, 3)), [2, 3]);
        assert_eq!(shape(InterpParameter { zoom_factor: Some(2), ..sized(2, 3) }), [13, 17]);
        assert_eq!(shape(InterpParameter { shrink_factor: Some(2), zoom_factor: Some(2), ..sized(2, 3) }), [2, 3]);
        assert_eq!(shape(InterpParameter { pad_beg: Some(-1), pad_end: Some(-2), ..factors(Some(1), None) }), [4, 6]);
        let trial = Trial::of(&message(InterpParameter::default())).bottom([2, 1, 2, 2], values(8, 1));
        assert_eq!(trial.constant([1, 3, 4, 5], [0.0; 60]).run().unwrap().top_shape(0), [2, 1, 4, 5]);
    }

    #[test]
    fn gradients() {
        let factors = InterpParameter { shrink_factor: Some(2), zoom_factor: Some(3), ..Default::default() };
        for options in
            [sized(5, 6), sized(2, 1), sized(3, 4), InterpParameter { pad_end: Some(-1), ..sized(4, 4) }, factors]
        {
            let mut trial = Trial::of(&message(options)).bottom([2, 1, 3, 4], values(24, 1)).run().unwrap();
            GradientCheck::default().run_each(&mut trial);
        }
    }

    #[test]
    fn wrong_options_are_named() {
        let error = |options: InterpParameter| {
            Trial::of(&message(options)).bottom([1, 1, 3, 4], values(12, 1)).build().err().unwrap().to_string()
        };
        let zoom = |zoom: i32| InterpParameter { zoom_factor: Some(zoom), ..Default::default() };
        assert!(error(zoom(0)).contains("interp_param.zoom_factor"));
        assert!(error(zoom(i32::MAX)).contains("interp_param"));
        assert!(error(InterpParameter { shrink_factor: Some(-1), ..Default::default() }).contains("shrink_factor"));
        assert!(error(sized(0, 3)).contains("interp_param.height"));
        assert!(error(sized(i32::MAX, i32::MAX)).contains("interp_param"));
        assert!(error(InterpParameter { height: Some(3), ..Default::default() }).contains("gives no size"));
        assert!(error(InterpParameter { pad_beg: Some(1), ..sized(2, 2) }).contains("interp_param.pad_beg"));
        assert!(error(InterpParameter { pad_end: Some(-3), ..sized(2, 2) }).contains("leave nothing"));
        assert!(error(InterpParameter { pad_end: Some(i32::MIN), ..sized(2, 2) }).contains("leave nothing"));
        let both = Trial::of(&message(sized(2, 2))).bottom([1, 1, 3, 4], values(12, 1)).constant([1], [0.0]);
        assert!(both.build().err().unwrap().to_string().contains("remove one"));
        assert!(Trial::of(&message(sized(2, 2))).bottom([3, 4], values(12, 1)).build().is_err());
    }
}
