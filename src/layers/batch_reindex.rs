//! `BatchReindex`: images in another order, left out or several times over.
//!
//! No options. Bottoms: x (N×...), indices (M, each from 0 to N−1). Top: y (M×...), y\[m\] = x\[indices\[m\]\]. x's gradient is
//! the sum over the places where an image went; the indices have none.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, loss},
    ops::{elementwise, movement, movement::Moves, softmax},
    proto::LayerParameter,
    tensor::Shape,
};

/// The layer; see the module's text.
#[derive(Default)]
pub struct BatchReindex {
    /// Values of one image.
    length: usize,
    moves: Moves,
    back: Moves,
}

impl BatchReindex {
    /// Makes the layer.
    ///
    /// # Errors
    /// None: there are no options.
    pub fn new_layer(_layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(BatchReindex::default()))
    }
}

impl Layer for BatchReindex {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let (x, indices) = (io.bottom(0).shape(), io.bottom(1).shape());
        let &[count] = indices.dims() else {
            return Err(Error::shape(format!("the indices (bottom 1) need one axis, their shape is {indices}")));
        };
        let mut dims = x.dims().to_vec();
        let first =
            dims.first_mut().ok_or_else(|| Error::shape("bottom 0 is a scalar; it needs images to choose from"))?;
        *first = count;
        self.length = x.count_from(1);
        io.set_top_shape(0, &Shape::new(dims))?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let images = io.bottom(0).dim(0);
        let mut moves = Vec::with_capacity(io.bottom(1).count());
        for (place, &index) in io.bottom(1).data().host().iter().enumerate() {
            let image = softmax::class(index, images).ok_or_else(|| {
                let message = format!("{index} (number {place}) is not one of the {images} images of bottom 0");
                Error::data("index", message)
            })?;
            moves.push((image * self.length, place * self.length));
        }
        self.moves.set(moves);
        movement::copy_listed(io.device(), self.length, &self.moves, io.bottom(0).data(), io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(1) {
            return Err(loss::no_label_gradient());
        }
        if io.wants_bottom_gradient(0) {
            let dx = io.bottom(0).diff();
            elementwise::fill(io.device(), 0.0, dx);
            self.back.set(self.moves.list().iter().map(|&(image, place)| (place, image)));
            movement::add_listed(io.device(), self.length, &self.back, io.top(0).diff(), dx);
        }
        Ok(())
    }

    fn allows_forced_gradient(&self, bottom: usize) -> bool {
        bottom == 0
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::LayerParameter,
    };

    fn message() -> LayerParameter {
        LayerParameter { r#type: Some("BatchReindex".into()), ..Default::default() }
    }

    #[test]
    fn images_go_where_the_indices_say() {
        let trial = Trial::of(&message()).bottom([2, 2], [1.0, 2.0, 3.0, 4.0]).constant([3], [1.0, 0.0, 1.0]);
        assert_eq!(trial.run().unwrap().top(0), [3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn gradients() {
        let trial = Trial::of(&message()).bottom([3, 2, 2], values(12, 1)).constant([4], [2.0, 0.0, 2.0, 1.0]);
        GradientCheck::default().run_each(&mut trial.run().unwrap());
    }

    #[test]
    fn wrong_indices_are_named() {
        for index in [3.0, -1.0, f32::NAN] {
            let trial = Trial::of(&message()).bottom([3, 1], values(3, 1)).constant([1], [index]);
            assert!(trial.run().err().unwrap().to_string().contains("not one of the 3 images"));
        }
    }
}
