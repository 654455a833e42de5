//! `Tile`: a blob several times over, along an axis.
//!
//! | option (`tile_param`) | default | meaning |
//! |---|---|---|
//! | `tiles` | required | how many times |
//! | `axis` | 1 | the axis; negative counts from the end |
//!
//! Bottom: x. Top: y, shaped as x but `tiles` times as long along the axis. x's gradient is the sum over the copies.

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer},
    ops::movement::{self, Runs, Spacing},
    proto::LayerParameter,
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Tile {
    tiles: usize,
    axis: i32,
    outer: usize,
    inner: usize,
}

impl Tile {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When `tiles` is missing or not positive.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.tile_param.unwrap_or_default();
        let tiles = usize::try_from(options.tiles()).ok().filter(|tiles| *tiles > 0);
        let tiles = tiles.ok_or_else(|| Error::config("tile_param.tiles", "must be given, and at least 1"))?;
        Ok(Box::new(Tile { tiles, axis: options.axis(), outer: 0, inner: 0 }))
    }

    /// The runs of the whole blob and of its copy number `tile`.
    fn runs(&self, tile: usize) -> (Spacing, Spacing) {
        let copy = Spacing { start: tile * self.inner, step: self.tiles * self.inner };
        (Spacing { start: 0, step: self.inner }, copy)
    }
}

impl Layer for Tile {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let shape = io.bottom(0).shape();
        let axis = shape.axis(self.axis, "tile_param.axis")?;
        (self.outer, self.inner) = (shape.count_before(axis), shape.count_from(axis));
        let mut dims = shape.dims().to_vec();
        let tiled = shape.count().checked_mul(self.tiles).filter(|count| *count <= i32::MAX as usize);
        if tiled.is_none() {
            return Err(Error::config("tile_param.tiles", format!("{} times {shape} is too much", self.tiles)));
        }
        dims[axis] *= self.tiles;
        io.set_top_shape(0, &Shape::new(dims))?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        for tile in 0..self.tiles {
            let (from, to) = self.runs(tile);
            let runs = Runs { count: self.outer, length: self.inner, from, to };
            movement::copy_runs(io.device(), runs, io.bottom(0).data(), io.top(0).data());
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(0) {
            for tile in 0..self.tiles {
                let (to, from) = self.runs(tile);
                let runs = Runs { count: self.outer, length: self.inner, from, to };
                let add = if tile == 0 { movement::copy_runs } else { movement::add_runs };
                add(io.device(), runs, io.top(0).diff(), io.bottom(0).diff());
            }
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
        proto::{LayerParameter, TileParameter},
    };

    fn tile(tiles: Option<i32>, axis: i32) -> LayerParameter {
        let tile_param = Some(TileParameter { tiles, axis: Some(axis) });
        LayerParameter { r#type: Some("Tile".into()), tile_param, ..Default::default() }
    }

    #[test]
    fn copies_lie_along_the_axis() {
        let x = [1.0, 2.0, 3.0, 4.0];
        let trial = Trial::of(&tile(Some(2), 1)).bottom([2, 2], x).run().unwrap();
        assert_eq!((trial.top_shape(0), trial.top(0)), (vec![2, 4], vec![1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]));
        let trial = Trial::of(&tile(Some(2), 0)).bottom([2, 2], x).run().unwrap();
        assert_eq!(trial.top(0), [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn gradients() {
        for axis in [0, 1, -1] {
            let mut trial = Trial::of(&tile(Some(3), axis)).bottom([2, 2, 3], values(12, 1)).run().unwrap();
            GradientCheck::default().run_each(&mut trial);
        }
    }

    #[test]
    fn wrong_options_are_named() {
        for tiles in [None, Some(0), Some(-1), Some(i32::MAX)] {
            let error = Trial::of(&tile(tiles, 1)).bottom([2, 2], values(4, 1)).build().err().unwrap();
            assert!(error.to_string().contains("tile_param.tiles"));
        }
    }
}
