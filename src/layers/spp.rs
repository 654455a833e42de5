//! `SPP`: spatial pyramid pooling: images pooled over grids of 1×1, 2×2, 4×4, ... windows, all results in one row (He et al.,
//! *Spatial Pyramid Pooling in Deep Convolutional Networks*, 2014).
//!
//! | option (`spp_param`) | default | meaning |
//! |---|---|---|
//! | `pyramid_height` | | levels; level l (from 0) has 2ˡ windows along each side |
//! | `pool` | MAX | MAX, AVE or STOCHASTIC, as in [`Pooling`](super::pooling) |
//! | `engine` | | accepted; it chooses Caffe's implementation, not the result |
//!
//! A level's windows have ⌈H / 2ˡ⌉ rows and stand side by side; what is missing at the end is padding, half of it (rounded up)
//! in front. Bottom: x (N×C×H×W). Top: N×(C·(1 + 4 + 16 + ...)), levels one behind the other, each C×windows; with one level
//! N×C×1×1.

use crate::{
    error::{Error, Result},
    layers::{
        Io, Layer,
        pooling::{Pooler, Window, images_of},
    },
    ops::{
        elementwise,
        movement::{self, Runs, Spacing},
        pool::{Axis, Geometry},
    },
    proto::{
        LayerParameter,
        pooling_parameter::{PoolMethod, RoundMode},
        spp_parameter,
    },
    tensor::{Buffer, Shape},
};

/// More levels than this have more windows than any image has values.
const MOST_LEVELS: u32 = 15;

/// The layer; see the module's text.
pub struct Spp {
    levels: Vec<Level>,
    /// A level's gradient of the bottom.
    part: Buffer,
}

/// One grid of the pyramid.
struct Level {
    pooler: Pooler,
    /// Where its values stand in the top.
    runs: Runs,
    values: Buffer,
    diffs: Buffer,
}

impl Spp {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When the height is missing or too large.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.spp_param.unwrap_or_default();
        let height = options.pyramid_height();
        if !(1..=MOST_LEVELS).contains(&height) {
            return Err(Error::config("spp_param.pyramid_height", format!("must be from 1 to {MOST_LEVELS}")));
        }
        let method = match options.pool() {
            spp_parameter::PoolMethod::Max => PoolMethod::Max,
            spp_parameter::PoolMethod::Ave => PoolMethod::Ave,
            spp_parameter::PoolMethod::Stochastic => PoolMethod::Stochastic,
        };
        let nowhere = Spacing { start: 0, step: 0 };
        let level = |_| Level {
            pooler: Pooler::new(method),
            runs: Runs { count: 0, length: 0, from: nowhere, to: nowhere },
            values: Buffer::default(),
            diffs: Buffer::default(),
        };
        Ok(Box::new(Spp { levels: (0..height).map(level).collect(), part: Buffer::default() }))
    }
}

/// The windows of a level along one axis.
fn axis(level: usize, input: usize, stochastic: bool) -> Result<Axis> {
    let bins = 1 << level;
    let kernel = input.div_ceil(bins);
    let window = Window { kernel, stride: kernel, pad: (kernel * bins - input).div_ceil(2) };
    let axis = (window.pad < kernel).then(|| window.over(input, RoundMode::Ceil)).flatten();
    let axis = axis.ok_or_else(|| {
        let message = format!("level {level} has {bins} windows along an axis of {input} values; take fewer levels");
        Error::config("spp_param.pyramid_height", message)
    })?;
    if stochastic && axis.pad > 0 {
        let message = format!("{bins} windows do not divide {input} values, and STOCHASTIC pooling has no padding");
        return Err(Error::config("spp_param.pool", message));
    }
    Ok(axis)
}

impl Layer for Spp {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let [images, channels, height, width] = images_of(io)?;
        let mut total = 0;
        for (index, level) in self.levels.iter_mut().enumerate() {
            let stochastic = level.pooler.is_stochastic();
            let (height, width) = (axis(index, height, stochastic)?, axis(index, width, stochastic)?);
            level.pooler.reshape(Geometry { planes: images * channels, height, width });
            let length = channels * height.output * width.output;
            level.values.resize(images * length);
            level.diffs.resize(images * length);
            let from = Spacing { start: 0, step: length };
            level.runs = Runs { count: images, length, from, to: Spacing { start: total, step: 0 } };
            total += length;
        }
        self.levels.iter_mut().for_each(|level| level.runs.to.step = total);
        self.part.resize(io.bottom(0).count());
        let single = self.levels.len() == 1;
        io.set_top_shape(
            0,
            &if single { Shape::from([images, channels, 1, 1]) } else { Shape::from([images, total]) },
        )?;
        Ok(())
    }

    fn prepare(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.levels.iter().for_each(|level| level.pooler.prepare(io));
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        for level in &mut self.levels {
            level.pooler.forward(io, io.bottom(0).data(), &level.values);
            movement::copy_runs(io.device(), level.runs, &level.values, io.top(0).data());
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if !io.wants_bottom_gradient(0) {
            return Ok(());
        }
        let (device, x, dx) = (io.device(), io.bottom(0).data(), io.bottom(0).diff());
        for (index, level) in self.levels.iter().enumerate() {
            let Runs { count, length, from, to } = level.runs;
            let back = Runs { count, length, from: to, to: from };
            movement::copy_runs(device, back, io.top(0).diff(), &level.diffs);
            let place = if index == 0 { dx } else { &self.part };
            level.pooler.backward(io, x, &level.values, &level.diffs, place);
            if index > 0 {
                elementwise::add(device, dx, &self.part, dx);
            }
        }
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::SppParameter,
    };

    fn spp(height: u32, pool: spp_parameter::PoolMethod) -> LayerParameter {
        let options = SppParameter { pyramid_height: Some(height), pool: Some(pool as i32), ..Default::default() };
        LayerParameter { r#type: Some("SPP".into()), spp_param: Some(options), ..Default::default() }
    }

    #[test]
    fn levels_stand_one_behind_the_other() {
        let x: Vec<f32> = (0..32).map(|value| value as f32).collect();
        let trial = Trial::of(&spp(2, spp_parameter::PoolMethod::Max)).bottom([1, 2, 4, 4], x).run().unwrap();
        assert_eq!(
            (trial.top_shape(0), trial.top(0)),
            (vec![1, 10], vec![15.0, 31.0, 5.0, 7.0, 13.0, 15.0, 21.0, 23.0, 29.0, 31.0])
        );
    }

    #[test]
    fn one_level_keeps_its_axes_and_sizes_need_not_divide() {
        let shape = |height, bottom: [usize; 4]| {
            let count = bottom.iter().product();
            let layer = spp(height, spp_parameter::PoolMethod::Ave);
            Trial::of(&layer).bottom(bottom, values(count, 1)).run().unwrap().top_shape(0)
        };
        assert_eq!(shape(1, [2, 3, 5, 4]), [2, 3, 1, 1]);
        assert_eq!(shape(3, [2, 3, 9, 12]), [2, 63]);
    }

    #[test]
    fn gradients() {
        let x: Vec<f32> =
            values(84, 2).iter().enumerate().map(|(index, value)| 0.05 * index as f32 + 0.01 * value).collect();
        for pool in [spp_parameter::PoolMethod::Ave, spp_parameter::PoolMethod::Max] {
            let mut trial = Trial::of(&spp(3, pool)).bottom([2, 1, 7, 6], x.clone()).run().unwrap();
            GradientCheck::default().run(&mut trial);
        }
    }

    #[test]
    fn options_that_cannot_be_right() {
        let error = |layer: &LayerParameter| {
            let trial = Trial::of(layer).bottom([1, 1, 3, 3], values(9, 1)).build();
            trial.err().unwrap().to_string()
        };
        assert!(error(&spp(0, spp_parameter::PoolMethod::Max)).starts_with("spp_param.pyramid_height"));
        assert!(error(&spp(5, spp_parameter::PoolMethod::Max)).contains("take fewer levels"));
        assert!(error(&spp(2, spp_parameter::PoolMethod::Stochastic)).starts_with("spp_param.pool"));
    }
}
