//! Launches of `resize.cu`.

use super::{Bilinear, Mix};
use crate::{
    cuda::{Argument, Card, Grid, Source},
    tensor::{Buffer, Synced},
};

static KERNELS: Source = Source { name: "resize", text: include_str!("resize.cu") };

/// The mixtures of an axis as kernels read them.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// For each place of the result first, second and the bits of both weights.
    mixtures: Synced<u32>,
    /// For each place of the source where its shares begin, and where the last ends.
    starts: Synced<u32>,
    /// Places of the result, each with the bits of the weight.
    shares: Synced<u32>,
}

impl Lists {
    /// Of an axis of `source` places.
    pub(super) fn new(source: usize, mixtures: &[Mix]) -> Self {
        let numbers =
            |mix: &Mix| [mix.first as u32, mix.second as u32, mix.weights[0].to_bits(), mix.weights[1].to_bits()];
        let share = |(place, mix): (usize, &Mix)| {
            [(mix.first, mix.weights[0]), (mix.second, mix.weights[1])].map(|(from, weight)| (from, place, weight))
        };
        let mut shares: Vec<_> = mixtures.iter().enumerate().flat_map(share).collect();
        // Stable: the order in which the CPU adds them up.
        shares.sort_by_key(|(from, ..)| *from);
        let start = |place: usize| shares.partition_point(|(from, ..)| *from < place) as u32;
        Lists {
            mixtures: Synced::from(mixtures.iter().flat_map(numbers).collect::<Vec<u32>>()),
            starts: Synced::from((0..=source).map(start).collect::<Vec<u32>>()),
            shares: Synced::from(
                shares.iter().flat_map(|&(_, place, weight)| [place as u32, weight.to_bits()]).collect::<Vec<u32>>(),
            ),
        }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Sizes {
    planes: u32,
    source_rows: u32,
    source_columns: u32,
    rows: u32,
    columns: u32,
}

// SAFETY: the kernels' Sizes, field by field.
unsafe impl Argument for Sizes {}

impl Sizes {
    fn new(plan: &Bilinear, values_of_source: usize) -> Self {
        Sizes {
            planes: (values_of_source / plan.source.max(1)) as u32,
            source_rows: (plan.source / plan.width.max(1)) as u32,
            source_columns: plan.width as u32,
            rows: plan.rows.len() as u32,
            columns: plan.columns.len() as u32,
        }
    }
}

pub(super) fn bilinear_forward(card: &'static Card, plan: &Bilinear, x: &Buffer, y: &Buffer) {
    let [rows, columns] = &plan.lists;
    let (from, sizes) = (x.device(card), Sizes::new(plan, x.len()));
    let (rows, columns) = (rows.mixtures.device(card), columns.mixtures.device(card));
    card.launch(
        &KERNELS,
        "bilinear_forward",
        Grid::over(y.len()),
        &[&y.device_mut(card), &from, &rows, &columns, &sizes],
    );
}

pub(super) fn bilinear_backward(card: &'static Card, plan: &Bilinear, dy: &Buffer, dx: &Buffer) {
    let [rows, columns] = &plan.lists;
    let (from, sizes) = (dy.device(card), Sizes::new(plan, dx.len()));
    card.launch(
        &KERNELS,
        "bilinear_backward",
        Grid::over(dx.len()),
        &[
            &dx.device_mut(card),
            &from,
            &rows.starts.device(card),
            &rows.shares.device(card),
            &columns.starts.device(card),
            &columns.shares.device(card),
            &sizes,
        ],
    );
}
