//! Default boxes.

/// The default boxes around the positions of a plane.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Priors {
    /// Positions: rows and columns.
    pub positions: [usize; 2],
    /// Height and width of the image, in pixels.
    pub image: [usize; 2],
    /// Pixels from one position to the next, down and across.
    pub steps: [f32; 2],
    /// Where in its cell a position's centre lies.
    pub offset: f32,
    /// Width and height of the boxes, in pixels.
    pub sizes: Vec<[f32; 2]>,
    /// Boxes are cut at the image's borders.
    pub clip: bool,
    /// What offsets from each coordinate are multiplied by.
    pub variances: [f32; 4],
}

impl Priors {
    /// Width and height of the boxes around one position: for each of the small sizes a square; with large sizes one whose side
    /// is √(small·large); then for each other ratio a box of that width to height.
    pub fn sizes(small: &[i32], large: &[i32], ratios: &[f32]) -> Vec<[f32; 2]> {
        let mut sizes = Vec::new();
        for (index, &side) in small.iter().enumerate() {
            sizes.push([side as f32; 2]);
            if let Some(&large) = large.get(index) {
                sizes.push([(f64::from(side) * f64::from(large)).sqrt() as f32; 2]);
            }
            for &ratio in ratios.iter().filter(|ratio| !is_same(**ratio, 1.0)) {
                let root = f64::from(ratio).sqrt();
                sizes.push([(f64::from(side) * root) as f32, (f64::from(side) / root) as f32]);
            }
        }
        sizes
    }

    /// The ratio 1 and these, each once and, with `flip`, also the other way round.
    pub fn ratios(given: &[f32], flip: bool) -> Vec<f32> {
        let mut ratios = vec![1.0];
        for &ratio in given {
            if !ratios.iter().any(|&known| is_same(ratio, known)) {
                ratios.push(ratio);
                if flip {
                    ratios.push(1.0 / ratio);
                }
            }
        }
        ratios
    }

    pub(super) fn write(&self, y: &mut [f32]) {
        let (boxes, variances) = y.split_at_mut(y.len() / 2);
        let [height, width] = self.image;
        let mut places = boxes.chunks_exact_mut(4);
        for row in 0..self.positions[0] {
            for column in 0..self.positions[1] {
                let centre = |place: usize, step: f32| f64::from((place as f32 + self.offset) * step);
                let (x, y) = (centre(column, self.steps[1]), centre(row, self.steps[0]));
                for (&[across, down], place) in self.sizes.iter().zip(&mut places) {
                    let (across, down) = (f64::from(across) / 2.0, f64::from(down) / 2.0);
                    let corners = [(x - across, width), (y - down, height), (x + across, width), (y + down, height)];
                    for (place, (pixel, extent)) in place.iter_mut().zip(corners) {
                        let part = (pixel / extent as f64) as f32;
                        *place = if self.clip { part.clamp(0.0, 1.0) } else { part };
                    }
                }
            }
        }
        variances.chunks_exact_mut(4).for_each(|place| place.copy_from_slice(&self.variances));
    }
}

/// Ratios that SSD takes for the same.
fn is_same(a: f32, b: f32) -> bool {
    (f64::from(a) - f64::from(b)).abs() < 1e-6
}
