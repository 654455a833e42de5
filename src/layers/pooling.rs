//! `Pooling`: the largest or the mean value of each window, plane by plane.
//!
//! | option (`pooling_param`) | default | meaning |
//! |---|---|---|
//! | `pool` | MAX | MAX or AVE |
//! | `kernel_size`, or `kernel_h` and `kernel_w` | | size of the window |
//! | `stride`, or `stride_h` and `stride_w` | 1 | distance between windows |
//! | `pad`, or `pad_h` and `pad_w` | 0 | padding at each side; less than the kernel |
//! | `global_pooling` | false | one window that is the whole plane |
//! | `round_mode` | CEIL | the last window may stick out (CEIL) or not (FLOOR) |
//!
//! Bottom: x (N×C×H×W). Tops: y (N×C×H'×W') with H' = ⌈(H + 2·pad − kernel) / stride⌉ + 1, one less when the last window
//! would begin in the padding behind the plane; optionally (MAX) the index in its plane of each maximum, shaped as y.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, Setup},
    ops::pool::{self, Axis, Geometry, Mask},
    proto::{
        LayerParameter, PoolingParameter,
        pooling_parameter::{PoolMethod, RoundMode},
    },
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Pooling {
    method: PoolMethod,
    round: RoundMode,
    /// None: the whole plane.
    window: Option<[Window; 2]>,
    geometry: Geometry,
    mask: Mask,
}

/// The window along one axis.
#[derive(Clone, Copy)]
struct Window {
    kernel: usize,
    stride: usize,
    pad: usize,
}

impl Pooling {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When kernel, stride or padding are missing, given twice, or cannot be right.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.pooling_param.unwrap_or_default();
        if options.pool() == PoolMethod::Stochastic {
            let message = "STOCHASTIC is not supported yet; use MAX or AVE";
            return Err(Error::config("pooling_param.pool", message));
        }
        let window =
            if options.global_pooling() { check_global(&options).map(|()| None) } else { windows(&options).map(Some) };
        Ok(Box::new(Pooling {
            method: options.pool(),
            round: options.round_mode(),
            window: window?,
            geometry: Geometry::default(),
            mask: Mask::default(),
        }))
    }

    fn axis(&self, input: usize, position: usize) -> Result<Axis> {
        let Some(window) = self.window else {
            return Ok(Axis { input, output: 1, kernel: input, stride: 1, pad: 0 });
        };
        let Window { kernel, stride, pad } = window[position];
        let room = (input + 2 * pad) as i64 - kernel as i64;
        let steps = match self.round {
            RoundMode::Ceil => -(-room).div_euclid(stride as i64),
            RoundMode::Floor => room.div_euclid(stride as i64),
        };
        let mut output = steps + 1;
        if pad > 0 && (output - 1) * stride as i64 >= (input + pad) as i64 {
            output -= 1;
        }
        if output < 1 {
            let message = format!("a window of {kernel} (stride {stride}, pad {pad}) does not fit {input} values");
            return Err(Error::config(["pooling_param.kernel_h", "pooling_param.kernel_w"][position], message));
        }
        Ok(Axis { input, output: output as usize, kernel, stride, pad })
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
        if setup.tops == 2 && self.method != PoolMethod::Max {
            return Err(Error::config("top", "only MAX pooling has a second top (the mask)"));
        }
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let &[images, channels, height, width] = io.bottom(0).shape().dims() else {
            let message = format!("pooling takes images (N×C×H×W), the bottom has shape {}", io.bottom(0).shape());
            return Err(Error::shape(message));
        };
        if height == 0 || width == 0 {
            return Err(Error::shape(format!("the bottom has no values (shape {})", io.bottom(0).shape())));
        }
        self.geometry =
            Geometry { planes: images * channels, height: self.axis(height, 0)?, width: self.axis(width, 1)? };
        let shape = Shape::from([images, channels, self.geometry.height.output, self.geometry.width.output]);
        for top in 0..io.tops.len() {
            io.set_top_shape(top, &shape);
        }
        if self.method == PoolMethod::Max {
            self.mask.resize(&self.geometry);
        }
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (x, y) = (io.bottom(0).data(), io.top(0).data());
        if self.method != PoolMethod::Max {
            pool::average_forward(io.device(), &self.geometry, x, y);
            return Ok(());
        }
        pool::max_forward(io.device(), &self.geometry, x, y, &mut self.mask);
        if io.tops.len() == 2 {
            self.mask.write(io.device(), io.top(1).data());
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(0) {
            let (dy, dx) = (io.top(0).diff(), io.bottom(0).diff());
            match self.method {
                PoolMethod::Max => pool::max_backward(io.device(), &self.geometry, dy, &self.mask, dx),
                _ => pool::average_backward(io.device(), &self.geometry, dy, dx),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "pooling_tests.rs"]
mod tests;
