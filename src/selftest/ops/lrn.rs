//! Checks of local response normalisation: both neighbourhoods, of any size.

use crate::{
    ops::lrn::{self, Normalization},
    selftest::check::{OpCheck, Trial},
    tensor::{Blob, Buffer, Device, Shape},
};

pub static CHECKS: &[OpCheck] =
    &[OpCheck { name: "across channels", run: across }, OpCheck { name: "within a channel", run: within }];

type Forward = fn(Device, Normalization, &Blob, &Blob, &mut Buffer);
type Backward = fn(Device, Normalization, &Blob, &Blob, &Buffer);

fn across(trial: &mut Trial) {
    check(trial, lrn::across_channels_forward, lrn::across_channels_backward);
}

fn within(trial: &mut Trial) {
    check(trial, lrn::within_channel_forward, lrn::within_channel_backward);
}

fn check(trial: &mut Trial, forward: Forward, backward: Backward) {
    let card = trial.card();
    for number in 0..trial.cases() {
        let options = Normalization {
            size: if number % 3 == 0 { 5 } else { 2 * trial.whole(0, 4) + 1 },
            alpha: trial.number(0.1, 2.0),
            beta: trial.pick(&[0.75, 0.5, 1.0, 0.6]),
            k: trial.number(0.5, 2.0),
        };
        // One plane in a while is too large for shared memory.
        let is_large = number % 8 == 7;
        let (low, high) = if is_large { (66, 70) } else { (1, 20) };
        let batch = if is_large { 1 } else { trial.batch(3) };
        let dims = [batch, trial.whole(1, 40), trial.whole(low, high), trial.whole(low, high)];
        let count = dims.iter().product();
        let (x, dy) = (trial.values(count), trial.values(count));
        let [y, dx] = [trial.results(count), trial.results(count)];
        for (place, device) in [Device::Cpu, card].into_iter().enumerate() {
            let shape = Shape::from(dims);
            let bottom = Blob::from_buffers(shape.clone(), x.clone(), dx[place].clone());
            let top = Blob::from_buffers(shape, y[place].clone(), dy.clone());
            let mut scale = Buffer::default();
            forward(device, options, &bottom, &top, &mut scale);
            backward(device, options, &bottom, &top, &scale);
        }
        for (what, [on_cpu, on_card]) in [("y", &y), ("dx", &dx)] {
            trial.close(&format!("{what} of {dims:?}, {options:?}"), on_cpu, on_card);
        }
    }
    let options = Normalization { size: 5, alpha: 1e-4, beta: 0.75, k: 1.0 };
    let [x, y] = [(); 2].map(|()| Blob::new(Shape::from([trial.large(64, 1), 64, trial.large(56, 3), 56])));
    let scale = Buffer::zeros(x.count());
    let count = x.count() as u64;
    trial.time(4 * 4 * count, 12 * count, || backward(card, options, &x, &y, &scale));
}
