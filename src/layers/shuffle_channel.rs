//! `ShuffleChannel`: the channels of all groups mixed, y\[n\]\[j·g + i\] = x\[n\]\[i·(C/g) + j\] (Zhang et al., *ShuffleNet*,
//! arXiv 1707.01083; the layer of the ShuffleNet port to Caffe).
//!
//! | option (`shuffle_channel_param`) | default | meaning |
//! |---|---|---|
//! | `group` | 1 | g, the groups that the channels lie in; divides their number |
//!
//! Bottom: x (N×C×...). Top: y, shaped as x.

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer},
    ops::movement::{self, Permutation},
    proto::LayerParameter,
};

/// The layer; see the module's text.
pub struct ShuffleChannel {
    groups: usize,
    shuffle: Permutation,
    back: Permutation,
}

impl ShuffleChannel {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When there is no group.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let groups = layer.shuffle_channel_param.unwrap_or_default().group() as usize;
        if groups == 0 {
            return Err(Error::config("shuffle_channel_param.group", "must be at least 1"));
        }
        Ok(Box::new(ShuffleChannel { groups, shuffle: Permutation::default(), back: Permutation::default() }))
    }
}

impl Layer for ShuffleChannel {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let (shape, groups) = (io.bottom(0).shape(), self.groups);
        if shape.axes() < 2 {
            return Err(Error::shape(format!("the bottom needs channels (N×C×...), its shape is {shape}")));
        }
        let channels = shape.dims()[1];
        if channels % groups != 0 {
            let message = format!("{groups} groups do not divide the bottom's {channels} channels ({shape})");
            return Err(Error::config("shuffle_channel_param.group", message));
        }
        let (images, inner) = (shape.dims()[0], shape.count_from(2));
        self.shuffle = Permutation::new(&[images, groups, channels / groups, inner], &[0, 2, 1, 3]);
        self.back = Permutation::new(&[images, channels / groups, groups, inner], &[0, 2, 1, 3]);
        io.set_top_shape_like(0, 0)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        movement::permute(io.device(), &self.shuffle, io.bottom(0).data(), io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(0) {
            movement::permute(io.device(), &self.back, io.top(0).diff(), io.bottom(0).diff());
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
        proto::{LayerParameter, ShuffleChannelParameter},
    };

    fn message(group: u32) -> LayerParameter {
        let shuffle_channel_param = Some(ShuffleChannelParameter { group: Some(group) });
        LayerParameter { r#type: Some("ShuffleChannel".into()), shuffle_channel_param, ..Default::default() }
    }

    #[test]
    fn channels_of_all_groups_take_turns() {
        let x: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let trial = Trial::of(&message(2)).bottom([1, 6, 1, 2], x.clone()).run().unwrap();
        assert_eq!(trial.top(0), [0.0, 1.0, 6.0, 7.0, 2.0, 3.0, 8.0, 9.0, 4.0, 5.0, 10.0, 11.0]);
        let trial = Trial::of(&message(3)).bottom([2, 6], x).run().unwrap();
        assert_eq!(trial.top(0), [0.0, 2.0, 4.0, 1.0, 3.0, 5.0, 6.0, 8.0, 10.0, 7.0, 9.0, 11.0]);
    }

    #[test]
    fn gradients() {
        for group in [1, 2, 3] {
            let mut trial = Trial::of(&message(group)).bottom([2, 6, 2], values(24, 1)).run().unwrap();
            GradientCheck::default().run_each(&mut trial);
        }
    }

    #[test]
    fn groups_that_do_not_divide_are_named() {
        for group in [0, 4, u32::MAX] {
            let error = Trial::of(&message(group)).bottom([2, 6, 2], values(24, 1)).build().err().unwrap();
            assert!(error.to_string().contains("shuffle_channel_param.group"), "{error}");
        }
        assert!(Trial::of(&message(1)).bottom([6], values(6, 1)).build().is_err());
    }
}
