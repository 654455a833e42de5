//! Batches of windows: chosen by chance, cut out of their pictures, warped.

use std::path::PathBuf;

use super::{
    Image, Values,
    batch::{Batch, Load, check_source},
    image_list::read_picture,
    picture::{Color, Decoder},
    resize::{Resize, View},
    transform::Mean,
    windows::{Crop, Placed, Window, WindowList},
};
use crate::{
    error::{Error, Result},
    proto::LayerState,
    rng::Random,
};

/// Pictures are read in colour.
const CHANNELS: usize = 3;

/// What to choose and what to do with it.
#[derive(Debug)]
pub struct Options {
    /// The list as the user names it.
    pub name: String,
    /// The folder of the net file.
    pub base: Option<PathBuf>,
    /// Windows in a batch, and how many of them, the last, are foreground.
    pub sizes: [usize; 2],
    /// How windows become squares.
    pub crop: Crop,
    /// Flip half of the windows.
    pub mirror: bool,
    /// What is subtracted.
    pub mean: Mean,
    /// Factor, applied last.
    pub scale: f32,
}

/// Fills batches with windows.
pub struct WindowLoader {
    options: Options,
    list: WindowList,
    /// All files, where they are kept.
    cache: Option<Vec<Vec<u8>>>,
    random: Random,
    decoder: Decoder,
    resize: Resize,
    bytes: Vec<u8>,
    warped: Vec<u8>,
}

impl WindowLoader {
    /// A loader of windows of this list.
    ///
    /// # Errors
    /// When the mean image is smaller than a crop.
    pub fn new(list: WindowList, options: Options, random: Random) -> Result<Self> {
        let side = options.crop.side;
        match &options.mean {
            Mean::Image { shape: [c, h, w], .. } if *c != CHANNELS || *w < side || *h < (w - side) / 2 + side => {
                let message = format!("its image is {c}×{h}×{w}, too small for windows of {CHANNELS}×{side}×{side}");
                return Err(Error::config("transform_param.mean_file", message));
            }
            Mean::Values(values) if ![1, CHANNELS].contains(&values.len()) => {
                let message = format!("is given {} times: give one, or one per channel", values.len());
                return Err(Error::config("transform_param.mean_value", message));
            }
            _ => {}
        }
        Ok(WindowLoader {
            options,
            list,
            cache: None,
            random,
            decoder: Decoder::new(Color::Bgr),
            resize: Resize::default(),
            bytes: Vec::new(),
            warped: Vec::new(),
        })
    }

    /// The shape of every batch.
    pub fn shape(&self) -> [usize; 4] {
        let side = self.options.crop.side;
        [self.options.sizes[0], CHANNELS, side, side]
    }

    /// Reads all files, and keeps them.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn cache(&mut self) -> Result<()> {
        let Options { name, base, .. } = &self.options;
        let read = |picture: &String| {
            let mut bytes = Vec::new();
            read_picture("", picture, base.as_deref(), &mut bytes).map_err(|message| Error::data(name, message))?;
            Ok(bytes)
        };
        self.cache = Some(self.list.pictures.iter().map(read).collect::<Result<_>>()?);
        Ok(())
    }

    fn window(&mut self, window: Window, mirrored: bool, out: &mut [f32]) -> Result<(), String> {
        let WindowLoader { options, list, cache, decoder, resize, bytes, warped, .. } = self;
        let bytes = match cache {
            Some(files) => &files[window.picture],
            None => {
                read_picture("", &list.pictures[window.picture], options.base.as_deref(), bytes)?;
                bytes
            }
        };
        let picture = decoder.decode(Image::Encoded(bytes))?;
        let Values::Bytes(planes) = picture.values else { return Err("is no picture of bytes".into()) };
        let placed = options.crop.place(window.corners, [picture.shape[1], picture.shape[2]], mirrored)?;
        let view = View { planes, shape: picture.shape, start: placed.start, size: placed.from };
        resize.run(view, placed.to, warped);
        options.fill(warped, placed, mirrored, out);
        Ok(())
    }
}

impl Load for WindowLoader {
    /// Fills a batch: background first, then foreground.
    ///
    /// # Errors
    /// When a picture cannot be read, or a window does not lie in it.
    fn load(&mut self, batch: &mut Batch) -> Result<()> {
        batch.shape = self.shape();
        let [size, foreground] = self.options.sizes;
        let length = batch.shape[1..].iter().product();
        batch.labels.resize(size, 0.0);
        batch.images.clear();
        batch.images.resize(size * length, 0.0);
        for (item, out) in batch.images.chunks_exact_mut(length).enumerate() {
            let windows = if item < size - foreground { &self.list.background } else { &self.list.foreground };
            let window = windows[self.random.next_u32() as usize % windows.len()];
            let mirrored = self.options.mirror && self.random.next_u32() % 2 == 1;
            self.window(window, mirrored, out).map_err(|message| {
                let picture = &self.list.pictures[window.picture];
                Error::data(&self.options.name, format!("picture {picture:?}: {message}"))
            })?;
            batch.labels[item] = window.label as f32;
        }
        Ok(())
    }

    fn save(&self, state: &mut LayerState) {
        if state.source.as_deref() != Some(&self.options.name) {
            state.source = Some(self.options.name.clone());
        }
        self.random.state_into(&mut state.random);
    }

    fn restore(&mut self, state: &LayerState) -> Result<()> {
        check_source(state, &self.options.name)?;
        let random = Random::from_state(&state.random);
        self.random = random.ok_or_else(|| Error::data("random stream", "the numbers are not its state"))?;
        Ok(())
    }
}

impl Options {
    /// Puts a warped window in its place in the crop.
    fn fill(&self, warped: &[u8], Placed { to, padding, .. }: Placed, mirrored: bool, out: &mut [f32]) {
        let [height, width] = to;
        let side = self.crop.side;
        for (index, line) in warped.chunks_exact(width).enumerate() {
            let (channel, row) = (index / height, index % height + padding[0]);
            let line = line.iter().enumerate();
            for (column, &pixel) in line {
                let column = padding[1] + if mirrored { width - 1 - column } else { column };
                let value = self.subtract_mean(f32::from(pixel), [channel, row, column]);
                out[(channel * side + row) * side + column] = value * self.scale;
            }
        }
    }

    /// Of a mean image the middle is used: as far from the top as from the left.
    fn subtract_mean(&self, value: f32, [channel, row, column]: [usize; 3]) -> f32 {
        match &self.mean {
            Mean::None => value,
            Mean::Values(means) => value - means[if means.len() == 1 { 0 } else { channel }],
            Mean::Image { shape: [_, height, width], values } => {
                let offset = (width - self.crop.side) / 2;
                value - values[(channel * height + row + offset) * width + column + offset]
            }
        }
    }
}
