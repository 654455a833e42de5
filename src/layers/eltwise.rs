//! `Eltwise`: product, weighted sum or maximum of several blobs, value by value.
//!
//! | option (`eltwise_param`) | default | meaning |
//! |---|---|---|
//! | `operation` | SUM | PROD, SUM or MAX |
//! | `coeff` | 1 for each | SUM: one factor for each bottom |
//! | `stable_prod_grad` | true | PROD: gradient as the product of the other bottoms; false: as y/x, less work but NaN at 0 |
//!
//! Bottoms: two or more of one shape. Top: y, shaped as each. Of equal values MAX takes that of the second bottom before the
//! first's, and the first's or second's before later ones, as Caffe.

use crate::{
    error::{Error, Result},
    layers::{End, Follower, Io, Layer, Setup},
    ops::{
        elementwise,
        eltwise::{self, Winners},
    },
    proto::{LayerParameter, eltwise_parameter::EltwiseOp},
    tensor::Device,
};

/// The layer; see the module's text.
pub struct Eltwise {
    operation: EltwiseOp,
    coefficients: Vec<f32>,
    stable_gradient: bool,
    winners: Winners,
    /// Whether this layer does the work of a ReLU behind it.
    has_relu: bool,
}

impl Eltwise {
    /// Reads the options.
    ///
    /// # Errors
    /// When coefficients are given for another operation than SUM.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.eltwise_param.clone().unwrap_or_default();
        if options.operation() != EltwiseOp::Sum && !options.coeff.is_empty() {
            return Err(Error::config("eltwise_param.coeff", "only goes with operation: SUM"));
        }
        Ok(Box::new(Eltwise {
            operation: options.operation(),
            stable_gradient: options.stable_prod_grad(),
            coefficients: options.coeff,
            winners: Winners::default(),
            has_relu: false,
        }))
    }

    /// SUM: the factors of the first two bottoms.
    fn first_two(&self) -> [f32; 2] {
        [self.coefficients[0], self.coefficients[1]]
    }

    fn product_gradient(&self, io: &Io<'_>, bottom: usize) {
        let (device, dx) = (io.device(), io.bottom(bottom).diff());
        if self.stable_gradient {
            let mut others = (0..io.bottoms.len()).filter(|&other| other != bottom);
            if let Some(other) = others.next() {
                elementwise::copy(device, io.bottom(other).data(), dx);
            }
            for other in others {
                elementwise::multiply(device, io.bottom(other).data(), dx, dx);
            }
        } else {
            elementwise::divide(device, io.top(0).data(), io.bottom(bottom).data(), dx);
        }
        elementwise::multiply(device, io.top(0).diff(), dx, dx);
    }
}

impl Layer for Eltwise {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let (bottoms, given) = (setup.bottoms.len(), self.coefficients.len());
        if given == 0 {
            self.coefficients = vec![1.0; bottoms];
        } else if given != bottoms {
            let message = format!("has {given} values for {bottoms} bottoms; give one for each, or none");
            return Err(Error::config("eltwise_param.coeff", message));
        }
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let first = io.bottom(0).shape();
        for position in 1..io.bottoms.len() {
            let shape = io.bottom(position).shape();
            if shape != first {
                let message =
                    format!("bottom 0 has shape {first}, bottom {position} has {shape}; all must be the same");
                return Err(Error::shape(message));
            }
        }
        if self.operation == EltwiseOp::Max {
            self.winners.resize(first.count());
        }
        io.set_top_shape_like(0, 0)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, a, b, y) = (io.device(), io.bottom(0).data(), io.bottom(1).data(), io.top(0).data());
        match self.operation {
            EltwiseOp::Prod => elementwise::multiply(device, a, b, y),
            EltwiseOp::Sum => eltwise::weighted_sum(device, self.first_two(), a, b, io.absorbed.is_some(), y),
            EltwiseOp::Max => eltwise::maximum(device, a, b, y, &mut self.winners),
        }
        for position in 2..io.bottoms.len() {
            let x = io.bottom(position).data();
            match self.operation {
                EltwiseOp::Prod => elementwise::multiply(device, y, x, y),
                EltwiseOp::Sum => elementwise::add_scaled(device, self.coefficients[position], x, y),
                EltwiseOp::Max => eltwise::raise(device, x, position, y, &mut self.winners),
            }
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, dy) = (io.device(), io.top(0).diff());
        if self.operation == EltwiseOp::Sum && io.bottoms.len() == 2 {
            let y = io.absorbed.is_some().then(|| io.top(0).data());
            let dx = [0, 1].map(|position| io.wants_bottom_gradient(position).then(|| io.bottom(position).diff()));
            eltwise::weighted_sum_backward(device, self.first_two(), y, dy, dx);
            return Ok(());
        }
        for position in (0..io.bottoms.len()).filter(|&position| io.wants_bottom_gradient(position)) {
            let dx = io.bottom(position).diff();
            match self.operation {
                EltwiseOp::Prod => self.product_gradient(io, position),
                EltwiseOp::Sum if self.coefficients[position] == 1.0 => elementwise::copy(device, dy, dx),
                EltwiseOp::Sum => elementwise::scale(device, self.coefficients[position], dy, dx),
                EltwiseOp::Max => eltwise::winner_gradient(device, &self.winners, position, dy, dx),
            }
        }
        Ok(())
    }

    fn backward_reads(&self, data: End) -> bool {
        match self.operation {
            EltwiseOp::Prod => matches!(data, End::Bottom(_)) || !self.stable_gradient,
            EltwiseOp::Sum => self.has_relu && matches!(data, End::Top(_)),
            EltwiseOp::Max => false,
        }
    }

    fn gradient_in_place(&self, _bottom: usize, _device: Device) -> Option<usize> {
        (self.operation == EltwiseOp::Sum && self.coefficients.len() == 2).then_some(0)
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn absorb(&mut self, follower: Follower) -> bool {
        let takes = follower == Follower::Relu
            && !self.has_relu
            && self.operation == EltwiseOp::Sum
            && self.coefficients.len() == 2;
        self.has_relu |= takes;
        takes
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::{EltwiseParameter, LayerParameter, eltwise_parameter::EltwiseOp},
    };

    fn eltwise(operation: EltwiseOp, coeff: &[f32], stable: bool) -> LayerParameter {
        let options = EltwiseParameter {
            operation: Some(operation as i32),
            coeff: coeff.to_vec(),
            stable_prod_grad: Some(stable),
        };
        LayerParameter { r#type: Some("Eltwise".into()), eltwise_param: Some(options), ..Default::default() }
    }

    fn run(message: &LayerParameter, bottoms: &[&[f32]]) -> Trial {
        let trial = bottoms.iter().fold(Trial::of(message), |trial, x| trial.bottom([x.len()], *x));
        trial.run().unwrap()
    }

    #[test]
    fn each_operation() {
        let bottoms: [&[f32]; 3] = [&[1.0, -2.0], &[3.0, 4.0], &[2.0, 5.0]];
        assert_eq!(run(&eltwise(EltwiseOp::Sum, &[], true), &bottoms).top(0), [6.0, 7.0]);
        assert_eq!(run(&eltwise(EltwiseOp::Sum, &[1.0, -1.0, 0.5], true), &bottoms).top(0), [-1.0, -3.5]);
        assert_eq!(run(&eltwise(EltwiseOp::Prod, &[], true), &bottoms).top(0), [6.0, -40.0]);
        assert_eq!(run(&eltwise(EltwiseOp::Max, &[], true), &bottoms).top(0), [3.0, 5.0]);
    }

    #[test]
    fn of_equal_values_the_second_wins_over_the_first_and_both_over_the_third() {
        let mut trial = run(&eltwise(EltwiseOp::Max, &[], true), &[&[1.0], &[1.0], &[1.0]]);
        trial.set_top_diff(0, &[2.0]);
        trial.backward().unwrap();
        assert_eq!([trial.bottom_diff(0), trial.bottom_diff(1), trial.bottom_diff(2)], [[0.0], [2.0], [0.0]]);
    }

    #[test]
    fn gradients() {
        let messages = [
            eltwise(EltwiseOp::Sum, &[], true),
            eltwise(EltwiseOp::Sum, &[0.5, -1.0, 2.0], true),
            eltwise(EltwiseOp::Prod, &[], true),
            eltwise(EltwiseOp::Prod, &[], false),
            eltwise(EltwiseOp::Max, &[], true),
        ];
        // 0.1 apart at least, so that moving one value changes no winner; none is 0.
        let x: Vec<f32> = (0..18).map(|value| (value * 7 % 18) as f32 * 0.1 - 0.85).collect();
        for message in messages {
            GradientCheck::default().run_each(&mut run(&message, &[&x[..6], &x[6..12], &x[12..]]));
        }
    }

    #[test]
    fn wrong_input_is_named() {
        let sum = eltwise(EltwiseOp::Sum, &[], true);
        let error = Trial::of(&sum).bottom([2], values(2, 1)).bottom([3], values(3, 1)).build().err().unwrap();
        assert!(error.to_string().contains("bottom 0 has shape 2, bottom 1 has 3"));
        let error = Trial::of(&eltwise(EltwiseOp::Sum, &[1.0], true)).bottom([1], [0.0]).bottom([1], [0.0]).build();
        assert!(error.err().unwrap().to_string().contains("eltwise_param.coeff: has 1 values for 2 bottoms"));
        let error = Trial::of(&sum).bottom([1], [0.0]).bottom([1], [0.0]).in_place().build().err().unwrap();
        assert!(error.to_string().contains("in place"));
        let error = Trial::of(&eltwise(EltwiseOp::Max, &[1.0, 1.0], true)).build().err().unwrap();
        assert!(error.to_string().contains("operation: SUM"));
    }
}
