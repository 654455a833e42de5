//! `Filter`: passes on the images that a selector picks.
//!
//! No options. Bottoms: one or more blobs (N×...), then the selector (N values; an image passes where it is not 0). Tops: one for
//! each bottom but the selector, with as many images as pass. The gradient of images that do not pass is 0.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, Setup, loss},
    ops::{elementwise, movement, movement::Moves},
    proto::LayerParameter,
    tensor::Shape,
};

/// The layer; see the module's text.
#[derive(Default)]
pub struct Filter {
    /// The images that passed.
    passed: Vec<usize>,
    moves: Moves,
}

impl Filter {
    /// Makes the layer.
    ///
    /// # Errors
    /// None: there are no options.
    pub fn new_layer(_layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Filter::default()))
    }

    /// Gives the tops shapes for `count` images.
    fn shape_tops(io: &mut Io<'_>, count: usize) -> Result<()> {
        for top in 0..io.tops.len() {
            let mut dims = io.bottom(top).shape().dims().to_vec();
            dims[0] = count;
            io.set_top_shape(top, &Shape::new(dims))?;
        }
        Ok(())
    }
}

impl Layer for Filter {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        if setup.tops + 1 != setup.bottoms.len() {
            let message =
                format!("{} tops for {} bottoms: one for each but the selector", setup.tops, setup.bottoms.len());
            return Err(Error::config("top", message));
        }
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let selector = io.bottom(io.tops.len()).shape();
        let images = selector.count();
        if selector.dims().first() != Some(&images) {
            return Err(Error::shape(format!("the selector (last bottom) needs shape N or N×1×..., it is {selector}")));
        }
        for position in 0..io.tops.len() {
            let shape = io.bottom(position).shape();
            if shape.dims().first() != Some(&images) {
                let message = format!("bottom {position} has shape {shape}, the selector picks from {images} images");
                return Err(Error::shape(message));
            }
        }
        // How many pass is known when the selector's values are; until then the tops have room for all.
        let count = if self.passed.is_empty() { images } else { self.passed.len().min(images) };
        Filter::shape_tops(io, count)
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.passed.clear();
        let selector = io.bottom(io.tops.len()).data().host();
        self.passed.extend(selector.iter().enumerate().filter(|(_, value)| **value != 0.0).map(|(image, _)| image));
        drop(selector);
        Filter::shape_tops(io, self.passed.len())?;
        for position in 0..io.tops.len() {
            let (bottom, top) = (io.bottom(position), io.top(position));
            let length = bottom.shape().count_from(1);
            self.moves.set(self.passed.iter().enumerate().map(|(place, image)| (image * length, place * length)));
            movement::copy_listed(io.device(), length, &self.moves, bottom.data(), top.data());
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(io.tops.len()) {
            return Err(loss::no_label_gradient());
        }
        for position in (0..io.tops.len()).filter(|&position| io.wants_bottom_gradient(position)) {
            let (bottom, top) = (io.bottom(position), io.top(position));
            let length = bottom.shape().count_from(1);
            elementwise::fill(io.device(), 0.0, bottom.diff());
            self.moves.set(self.passed.iter().enumerate().map(|(place, image)| (place * length, image * length)));
            movement::copy_listed(io.device(), length, &self.moves, top.diff(), bottom.diff());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::LayerParameter,
    };

    fn message() -> LayerParameter {
        LayerParameter { r#type: Some("Filter".into()), ..Default::default() }
    }

    #[test]
    fn selected_images_pass() {
        let trial = Trial::of(&message()).bottom([3, 2], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).bottom([3], [7.0, 8.0, 9.0]);
        let trial = trial.constant([3, 1], [1.0, 0.0, 2.0]).tops(2).run().unwrap();
        assert_eq!((trial.top_shape(0), trial.top(0)), (vec![2, 2], vec![1.0, 2.0, 5.0, 6.0]));
        assert_eq!(trial.top(1), [7.0, 9.0]);
    }

    #[test]
    fn nothing_may_pass() {
        let trial = Trial::of(&message()).bottom([2, 2], values(4, 1)).constant([2], [0.0; 2]).run().unwrap();
        assert_eq!(trial.top_shape(0), [0, 2]);
    }

    #[test]
    fn gradients() {
        let trial = Trial::of(&message()).bottom([4, 3], values(12, 1)).constant([4], [0.0, 1.0, 1.0, 0.0]);
        GradientCheck::default().run_each(&mut trial.run().unwrap());
    }

    #[test]
    fn wrong_shapes_are_named() {
        let trial = Trial::of(&message()).bottom([3, 2], values(6, 1)).constant([2], [1.0; 2]);
        assert!(trial.build().err().unwrap().to_string().contains("the selector picks from 2 images"));
        let trial = Trial::of(&message()).bottom([3, 2], values(6, 1)).constant([3], [1.0; 3]).tops(2);
        assert!(trial.build().err().unwrap().to_string().contains("one for each but the selector"));
    }
}
