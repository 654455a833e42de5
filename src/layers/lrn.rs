//! `LRN`: local response normalisation, y = x · (k + α·m)^(-β), m the mean of x² over a neighbourhood (Krizhevsky et al.,
//! *ImageNet Classification with Deep Convolutional Neural Networks*, section 3.3).
//!
//! | option (`lrn_param`) | default | meaning |
//! |---|---|---|
//! | `local_size` | 5 | channels, or rows and columns, of the neighbourhood: odd |
//! | `alpha` | 1 | α |
//! | `beta` | 0.75 | β |
//! | `k` | 1 | k; always 1 within a channel, as in Caffe |
//! | `norm_region` | `ACROSS_CHANNELS` | a row of channels around each value, or (`WITHIN_CHANNEL`) a square of its channel |
//! | `engine` | `DEFAULT` | accepted; there is one |
//!
//! Beyond the edges x counts as zero; the mean is always over the full size. Bottom: x, N×C×H×W. Top: y, shaped as x.

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer},
    ops::lrn::{self, Normalization},
    proto::{LayerParameter, lrn_parameter::NormRegion},
    tensor::{Buffer, Device},
};

/// The layer; see the module's text.
pub struct Lrn {
    options: Normalization,
    region: NormRegion,
    /// s of the last forward pass, where the op keeps it.
    scale: Buffer,
}

impl Lrn {
    /// Reads the options.
    ///
    /// # Errors
    /// When `local_size` is even.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let given = layer.lrn_param.unwrap_or_default();
        let size = given.local_size() as usize;
        if size.is_multiple_of(2) {
            return Err(Error::config("lrn_param.local_size", format!("must be odd, is {size}")));
        }
        let region = given.norm_region();
        let k = if region == NormRegion::WithinChannel { 1.0 } else { given.k() };
        let options = Normalization { size, alpha: given.alpha(), beta: given.beta(), k };
        Ok(Box::new(Lrn { options, region, scale: Buffer::default() }))
    }
}

impl Layer for Lrn {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let shape = io.bottom(0).shape();
        if shape.axes() != 4 {
            return Err(Error::shape(format!("needs a bottom of 4 axes, N×C×H×W; it has shape {shape}")));
        }
        io.set_top_shape_like(0, 0)?;
        Ok(())
    }

    fn backward_reads(&self, data: End) -> bool {
        matches!(data, End::Bottom(_))
    }

    fn gradient_in_place(&self, _bottom: usize, device: Device) -> Option<usize> {
        (device == Device::Cpu).then_some(0)
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, x, y) = (io.device(), io.bottom(0), io.top(0));
        match self.region {
            NormRegion::AcrossChannels => lrn::across_channels_forward(device, self.options, x, y, &mut self.scale),
            NormRegion::WithinChannel => lrn::within_channel_forward(device, self.options, x, y, &mut self.scale),
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if !io.wants_bottom_gradient(0) {
            return Ok(());
        }
        let (device, x, y) = (io.device(), io.bottom(0), io.top(0));
        match self.region {
            NormRegion::AcrossChannels => lrn::across_channels_backward(device, self.options, x, y, &self.scale),
            NormRegion::WithinChannel => lrn::within_channel_backward(device, self.options, x, y, &self.scale),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::LrnParameter,
    };

    fn layer(region: NormRegion, size: u32, beta: f32) -> LayerParameter {
        let options = LrnParameter {
            local_size: Some(size),
            alpha: Some(2.0),
            beta: Some(beta),
            norm_region: Some(region.into()),
            ..Default::default()
        };
        LayerParameter { r#type: Some("LRN".into()), lrn_param: Some(options), ..Default::default() }
    }

    /// The definition, value by value.
    fn expected(region: NormRegion, size: i64, beta: f32, [n, c, h, w]: [i64; 4], x: &[f32]) -> Vec<f32> {
        let at = |i: i64, j: i64, k: i64, l: i64| {
            let inside = (0..c).contains(&j) && (0..h).contains(&k) && (0..w).contains(&l);
            if inside { x[(((i * c + j) * h + k) * w + l) as usize] } else { 0.0 }
        };
        let radius = size / 2;
        let around = || -radius..=radius;
        let mut y = Vec::new();
        for (i, j, k, l) in
            (0..n).flat_map(|i| (0..c).flat_map(move |j| (0..h).flat_map(move |k| (0..w).map(move |l| (i, j, k, l)))))
        {
            let mean = match region {
                NormRegion::AcrossChannels => around().map(|d| at(i, j + d, k, l).powi(2)).sum::<f32>() / size as f32,
                NormRegion::WithinChannel => {
                    let square = around().flat_map(|a| around().map(move |b| at(i, j, k + a, l + b).powi(2)));
                    square.sum::<f32>() / (size * size) as f32
                }
            };
            y.push(at(i, j, k, l) * (1.0 + 2.0 * mean).powf(-beta));
        }
        y
    }

    #[test]
    fn both_regions_are_the_definition() {
        for region in [NormRegion::AcrossChannels, NormRegion::WithinChannel] {
            for (size, beta) in [(3, 0.75), (5, 0.5), (1, 1.0), (7, 0.6), (35, 0.75)] {
                let shape = [2usize, 6, 4, 5];
                let x = values(240, 1);
                let trial = Trial::of(&layer(region, size, beta)).bottom(shape, x.clone()).run().unwrap();
                let y = expected(region, size.into(), beta, shape.map(|dim| dim as i64), &x);
                assert_close(&trial.top(0), &y);
            }
        }
    }

    /// A wide window over a larger plane: running sums instead of shifts.
    #[test]
    fn wide_windows_are_the_definition() {
        let (shape, x) = ([1, 1, 50, 40], values(2000, 3));
        let trial = Trial::of(&layer(NormRegion::WithinChannel, 37, 0.75)).bottom(shape, x.clone()).run().unwrap();
        let y = expected(NormRegion::WithinChannel, 37, 0.75, shape.map(|dim| dim as i64), &x);
        assert_close(&trial.top(0), &y);
        let mut trial =
            Trial::of(&layer(NormRegion::WithinChannel, 35, 0.75)).bottom([1, 1, 5, 5], values(25, 2)).run().unwrap();
        GradientCheck::default().run(&mut trial);
    }

    #[test]
    fn gradients() {
        for region in [NormRegion::AcrossChannels, NormRegion::WithinChannel] {
            for (size, beta) in [(3, 0.75), (5, 0.6)] {
                let mut trial =
                    Trial::of(&layer(region, size, beta)).bottom([2, 4, 3, 3], values(72, 2)).run().unwrap();
                GradientCheck::default().run(&mut trial);
            }
        }
    }

    /// Regression: the gradient across more channels than a task has values divided by zero.
    #[test]
    fn more_channels_than_a_task_has_values() {
        let gradient = |channels: usize| {
            let [x, y_diff] = [1, 2].map(|stream| values(40_000, stream)[..channels].to_vec());
            let layer = layer(NormRegion::AcrossChannels, 5, 0.75);
            let mut trial = Trial::of(&layer).bottom([1, channels, 1, 1], x).run().unwrap();
            trial.set_top_diff(0, &y_diff);
            trial.backward().unwrap();
            trial.bottom_diff(0)
        };
        // All but the last few channels have the same neighbours in both.
        assert_close(&gradient(40_000)[..95], &gradient(100)[..95]);
    }

    #[test]
    fn an_even_size_is_refused() {
        let error = Lrn::new_layer(&layer(NormRegion::WithinChannel, 4, 0.75)).err().unwrap();
        assert!(error.to_string().contains("local_size: must be odd"));
    }
}
