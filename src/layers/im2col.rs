//! `Im2col`: the windows of a convolution as a matrix, each window a column.
//!
//! Options: those of `Convolution` (`convolution_param`) that say where windows lie: `kernel_size`, `stride`, `pad`,
//! `dilation`, their `_h` and `_w` forms, `axis`.
//!
//! Bottom: x (N×C×H×W, or any other number of spatial axes). Top: y, N×(C·kernel_h·kernel_w)×H'×W'; zeros where a window
//! sticks out. x's gradient is the sum over the windows that hold a value.

use crate::{
    error::{Error, Result},
    layers::{
        End, Io, Layer, Setup,
        convolution_options::{Options, Window},
    },
    ops::{
        conv::Axis,
        movement::{self, NOWHERE, Table},
    },
    proto::{ConvolutionParameter, LayerParameter},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Im2col {
    options: Options,
    channel_axis: usize,
    windows: Vec<Window>,
    /// Values of one channel of x.
    plane: usize,
    /// For each value of y that comes from one channel, its place there.
    table: Table,
}

impl Im2col {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When an option is given twice or cannot be right.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        // There are no filters here; one stands in, so that the options can be read as those of a convolution.
        let given = layer.convolution_param.clone().unwrap_or_default();
        let convolution_param = Some(ConvolutionParameter { num_output: Some(1), group: None, ..given });
        let options = Options::new(&LayerParameter { convolution_param, ..layer.clone() })?;
        Ok(Box::new(Im2col { options, channel_axis: 0, windows: Vec::new(), plane: 0, table: Table::default() }))
    }
}

/// The places of all windows' values in a plane, taps outside, outputs inside; None when a kernel does not fit.
fn table(axes: &[Axis]) -> Option<Vec<u32>> {
    // Axis by axis: the places for the axes so far, and what they are made of.
    let mut taps: Vec<Vec<Option<usize>>> = vec![vec![Some(0)]];
    for axis in axes {
        let outputs = axis.output()?;
        let step = |places: &[Option<usize>], tap: usize| -> Vec<Option<usize>> {
            let along = |place: &Option<usize>, output: usize| {
                let at =
                    (output * axis.stride + tap * axis.dilation).checked_sub(axis.pad).filter(|at| *at < axis.input);
                Some((*place)? * axis.input + at?)
            };
            places.iter().flat_map(|place| (0..outputs).map(move |output| along(place, output))).collect()
        };
        taps = taps.iter().flat_map(|places| (0..axis.kernel).map(move |tap| step(places, tap))).collect();
    }
    Some(taps.iter().flatten().map(|place| place.map_or(NOWHERE, |place| place as u32)).collect())
}

impl Layer for Im2col {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let bottom = &setup.bottoms[0];
        self.channel_axis = self.options.channel_axis(bottom)?;
        self.windows = self.options.windows(bottom.axes() - self.channel_axis - 1)?;
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let shape = io.bottom(0).shape();
        let spatial = shape.dims().get(self.channel_axis + 1..).unwrap_or_default();
        let axes: Vec<Axis> = spatial.iter().zip(&self.windows).map(|(&input, window)| window.over(input)).collect();
        let outputs: Option<Vec<usize>> = axes.iter().map(Axis::output).collect();
        let outputs = outputs.ok_or_else(|| {
            Error::config("convolution_param.kernel_size", format!("the kernel does not fit the bottom ({shape})"))
        })?;
        self.plane = spatial.iter().product();
        let taps: usize = axes.iter().map(|axis| axis.kernel).fold(1, usize::saturating_mul);
        let mut dims = shape.dims()[..=self.channel_axis].to_vec();
        dims[self.channel_axis] = taps.saturating_mul(dims[self.channel_axis]);
        dims.extend(&outputs);
        io.set_top_shape(0, &Shape::new(dims))?;
        self.table.set(self.plane, table(&axes).unwrap_or_default());
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        movement::gather(io.device(), &self.table, io.bottom(0).data(), io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(0) {
            movement::scatter(io.device(), &self.table, io.top(0).diff(), io.bottom(0).diff());
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
        proto::{ConvolutionParameter, LayerParameter},
    };

    fn im2col(options: ConvolutionParameter) -> LayerParameter {
        LayerParameter { r#type: Some("Im2col".into()), convolution_param: Some(options), ..Default::default() }
    }

    #[test]
    fn windows_become_columns() {
        let options = ConvolutionParameter { kernel_size: vec![2], ..Default::default() };
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let trial = Trial::of(&im2col(options)).bottom([1, 1, 2, 3], x).run().unwrap();
        assert_eq!(trial.top_shape(0), [1, 4, 1, 2]);
        assert_eq!(trial.top(0), [1.0, 2.0, 2.0, 3.0, 4.0, 5.0, 5.0, 6.0]);
    }

    #[test]
    fn gradients() {
        let options = ConvolutionParameter {
            kernel_size: vec![3, 2],
            stride: vec![2, 1],
            pad: vec![1, 0],
            dilation: vec![1, 2],
            ..Default::default()
        };
        let mut trial = Trial::of(&im2col(options)).bottom([2, 2, 4, 5], values(80, 1)).run().unwrap();
        GradientCheck::default().run(&mut trial);
    }

    #[test]
    fn kernels_that_do_not_fit_are_named() {
        let options = ConvolutionParameter { kernel_size: vec![3], ..Default::default() };
        let trial = Trial::of(&im2col(options)).bottom([1, 1, 2, 2], values(4, 1));
        assert!(trial.build().err().unwrap().to_string().contains("kernel_size"));
    }
}
