//! `Pooling`: the largest, the mean or a random value of each window, plane by plane.
//!
//! | option (`pooling_param`) | default | meaning |
//! |---|---|---|
//! | `pool` | MAX | MAX, AVE, or STOCHASTIC (Zeiler and Fergus, *Stochastic Pooling*, 2013) |
//! | `kernel_size`, or `kernel_h` and `kernel_w` | | size of the window |
//! | `stride`, or `stride_h` and `stride_w` | 1 | distance between windows |
//! | `pad`, or `pad_h` and `pad_w` | 0 | padding at each side; less than the kernel, 0 for STOCHASTIC |
//! | `global_pooling` | false | one window that is the whole plane |
//! | `round_mode` | CEIL | the last window may stick out (CEIL) or not (FLOOR) |
//!
//! Bottom: x (N×C×H×W). Tops: y (N×C×H'×W') with H' = ⌈(H + 2·pad − kernel) / stride⌉ + 1, one less when the last window
//! would begin in the padding behind the plane; optionally (MAX) the index in its plane of each maximum, shaped as y.
//!
//! STOCHASTIC is for values of at least 0: in TRAIN it picks a value of the window with probability x / Σ x, by one random
//! number per output; in TEST it gives Σ x² / Σ x, or 0 where all are 0. Caffe has it on the GPU only, from CUDA's random numbers.

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer, Setup},
    ops::pool::{self, Axis, Geometry, Mask},
    proto::{
        LayerParameter, Phase, PoolingParameter,
        pooling_parameter::{PoolMethod, RoundMode},
    },
    tensor::{Buffer, Shape},
};

/// The layer; see the module's text.
pub struct Pooling {
    round: RoundMode,
    /// None: the whole plane.
    window: Option<[Window; 2]>,
    pooler: Pooler,
}

/// The window along one axis.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub kernel: usize,
    pub stride: usize,
    pub pad: usize,
}

impl Window {
    /// The windows over an axis of so many values; none when not one of them fits.
    pub(super) fn over(self, input: usize, round: RoundMode) -> Option<Axis> {
        let Window { kernel, stride, pad } = self;
        let room = (input + 2 * pad) as i64 - kernel as i64;
        let steps = match round {
            RoundMode::Ceil => -(-room).div_euclid(stride as i64),
            RoundMode::Floor => room.div_euclid(stride as i64),
        };
        let mut output = steps + 1;
        if pad > 0 && (output - 1) * stride as i64 >= (input + pad) as i64 {
            output -= 1;
        }
        // What sticks out of the padding counts for nothing: short steps and windows keep the tables short.
        let (kernel, stride) = (kernel.min(input + 2 * pad), stride.min(input + 2 * pad + 1));
        (output > 0).then_some(Axis { input, output: output as usize, kernel, stride, pad })
    }
}

impl Pooling {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When kernel, stride or padding are missing, given twice, or cannot be right.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.pooling_param.unwrap_or_default();
        let window =
            if options.global_pooling() { check_global(&options).map(|()| None) } else { windows(&options).map(Some) };
        let (window, method) = (window?, options.pool());
        if method == PoolMethod::Stochastic && window.is_some_and(|axes| axes.iter().any(|axis| axis.pad > 0)) {
            return Err(Error::config("pooling_param.pad", "must be 0: STOCHASTIC pooling has no padding"));
        }
        Ok(Box::new(Pooling { round: options.round_mode(), window, pooler: Pooler::new(method) }))
    }

    fn axis(&self, input: usize, position: usize) -> Result<Axis> {
        let Some(window) = self.window else {
            return Ok(Axis { input, output: 1, kernel: input, stride: 1, pad: 0 });
        };
        window[position].over(input, self.round).ok_or_else(|| {
            let Window { kernel, stride, pad } = window[position];
            let message = format!("a window of {kernel} (stride {stride}, pad {pad}) does not fit {input} values");
            Error::config(["pooling_param.kernel_h", "pooling_param.kernel_w"][position], message)
        })
    }
}

fn check_global(options: &PoolingParameter) -> Result<()> {
    if options.kernel_size.or(options.kernel_h).or(options.kernel_w).is_some() {
        let message = "has no meaning with global_pooling: true; remove it";
        return Err(Error::config("pooling_param.kernel_size", message));
    }
    let pads = [options.pad(), options.pad_h(), options.pad_w()];
    let strides = [options.stride, options.stride_h, options.stride_w];
    if pads != [0; 3] || strides.into_iter().flatten().any(|stride| stride != 1) {
        let message = "takes the whole plane: only pad 0 and stride 1 go with it";
        return Err(Error::config("pooling_param.global_pooling", message));
    }
    Ok(())
}

fn windows(options: &PoolingParameter) -> Result<[Window; 2]> {
    let kernel = pair("kernel", options.kernel_size, [options.kernel_h, options.kernel_w])?;
    let kernel =
        kernel.ok_or_else(|| Error::config("pooling_param.kernel_size", "is missing: give the window's size"))?;
    let stride = pair("stride", options.stride, [options.stride_h, options.stride_w])?.unwrap_or([1, 1]);
    let pad = pair("pad", options.pad, [options.pad_h, options.pad_w])?.unwrap_or([0, 0]);
    for (field, values) in [("kernel_size", kernel), ("stride", stride)] {
        if values.contains(&0) {
            return Err(Error::config(format!("pooling_param.{field}"), "must be at least 1"));
        }
    }
    let window = |i: usize| Window { kernel: kernel[i] as usize, stride: stride[i] as usize, pad: pad[i] as usize };
    for Window { kernel, pad, .. } in [window(0), window(1)] {
        if pad >= kernel {
            let message =
                format!("{pad} must be less than the kernel's {kernel}: a window would lie in the padding alone");
            return Err(Error::config("pooling_param.pad", message));
        }
    }
    Ok([window(0), window(1)])
}

/// An option given for both axes at once or for each.
fn pair(name: &str, both: Option<u32>, each: [Option<u32>; 2]) -> Result<Option<[u32; 2]>> {
    match (both, each) {
        (Some(value), [None, None]) => Ok(Some([value, value])),
        (None, [Some(high), Some(wide)]) => Ok(Some([high, wide])),
        (None, [None, None]) => Ok(None),
        _ => {
            let message = format!("give it for both axes at once, or as {name}_h and {name}_w, not a mixture");
            Err(Error::config(
                format!("pooling_param.{}", if name == "kernel" { "kernel_size" } else { name }),
                message,
            ))
        }
    }
}

impl Layer for Pooling {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        if setup.tops == 2 && self.pooler.method != PoolMethod::Max {
            return Err(Error::config("top", "only MAX pooling has a second top (the mask)"));
        }
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let [images, channels, height, width] = images_of(io)?;
        let geometry =
            Geometry { planes: images * channels, height: self.axis(height, 0)?, width: self.axis(width, 1)? };
        let padded = [geometry.height, geometry.width].map(|axis| axis.input + 2 * axis.pad);
        io.check_room(&padded, "pooling_param.pad")?;
        let shape = Shape::from([images, channels, geometry.height.output, geometry.width.output]);
        for top in 0..io.tops.len() {
            io.set_top_shape(top, &shape)?;
        }
        self.pooler.reshape(geometry);
        Ok(())
    }

    fn prepare(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.pooler.prepare(io);
        Ok(())
    }

    fn backward_reads(&self, _data: End) -> bool {
        self.pooler.is_stochastic()
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.pooler.forward(io, io.bottom(0).data(), io.top(0).data());
        if io.tops.len() == 2 {
            self.pooler.mask.write(io.device(), io.top(1).data());
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(0) {
            let (x, y) = (io.bottom(0), io.top(0));
            self.pooler.backward(io, x.data(), y.data(), y.diff(), x.diff());
        }
        Ok(())
    }
}

/// The dimensions of the bottom, N, C, H and W.
///
/// # Errors
/// When it has other axes or no values.
pub(super) fn images_of(io: &Io<'_>) -> Result<[usize; 4]> {
    let shape = io.bottom(0).shape();
    match *shape.dims() {
        [_, _, 0, _] | [_, _, _, 0] => Err(Error::shape(format!("the bottom has no values (shape {shape})"))),
        [images, channels, height, width] => Ok([images, channels, height, width]),
        _ => Err(Error::shape(format!("pooling takes images (N×C×H×W), the bottom has shape {shape}"))),
    }
}

/// A pooling of one method, with the memory that it needs: what Pooling and SPP share.
pub(super) struct Pooler {
    method: PoolMethod,
    geometry: Geometry,
    /// Where each output came from.
    mask: Mask,
    /// STOCHASTIC: a random number per output.
    draws: Buffer,
}

impl Pooler {
    pub(super) fn new(method: PoolMethod) -> Self {
        Pooler { method, geometry: Geometry::default(), mask: Mask::default(), draws: Buffer::default() }
    }

    pub(super) fn is_stochastic(&self) -> bool {
        self.method == PoolMethod::Stochastic
    }

    /// Takes the sizes of what is pooled.
    pub(super) fn reshape(&mut self, geometry: Geometry) {
        self.geometry = geometry;
        if self.method == PoolMethod::Max {
            self.mask.resize(&geometry);
        }
        if self.method == PoolMethod::Stochastic {
            self.mask.resize_for_indices(&geometry);
            self.draws.resize(geometry.planes * geometry.height.output * geometry.width.output);
        }
    }

    /// Draws the random numbers of a pass.
    pub(super) fn prepare(&self, io: &Io<'_>) {
        if self.is_stochastic() && io.phase() == Phase::Train {
            io.context.random.lock().fill_uniform(&mut self.draws.host_mut(), 0.0, 1.0);
        }
    }

    pub(super) fn forward(&mut self, io: &Io<'_>, x: &Buffer, y: &Buffer) {
        let Pooler { method, geometry, mask, draws } = self;
        match (method, io.phase()) {
            (PoolMethod::Max, _) => pool::max_forward(io.device(), geometry, x, y, mask),
            (PoolMethod::Ave, _) => pool::average_forward(io.device(), geometry, x, y),
            (PoolMethod::Stochastic, Phase::Train) => {
                pool::stochastic_forward(io.device(), geometry, x, draws, y, mask);
            }
            (PoolMethod::Stochastic, Phase::Test) => pool::expected_forward(io.device(), geometry, x, y),
        }
    }

    /// dx from dy; `x` and `y` as they were in forward.
    pub(super) fn backward(&self, io: &Io<'_>, x: &Buffer, y: &Buffer, dy: &Buffer, dx: &Buffer) {
        let Pooler { method, geometry, mask, .. } = self;
        match (method, io.phase()) {
            (PoolMethod::Ave, _) => pool::average_backward(io.device(), geometry, dy, dx),
            (PoolMethod::Stochastic, Phase::Test) => pool::expected_backward(io.device(), geometry, x, y, dy, dx),
            _ => pool::max_backward(io.device(), geometry, dy, mask, dx),
        }
    }
}

#[cfg(test)]
#[path = "pooling_tests.rs"]
mod tests;
