//! Checks of batches that a card makes: the host's bits.

use crate::{
    ops::cut::{self, Cutting, Means},
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device, Synced},
};

pub static CHECKS: &[OpCheck] = &[OpCheck { name: "images cut out of records", run: images }];

fn images(trial: &mut Trial) {
    for number in 0..trial.cases() {
        let means = [Means::None, Means::One, Means::Channels, Means::Image][number % 4];
        let record = [trial.whole(1, 4), trial.whole(1, 33), trial.whole(1, 33)];
        let batch = [trial.whole(1, 9), record[0], trial.whole(1, record[1]), trial.whole(1, record[2])];
        check(trial, means, record, batch);
    }
    let items = trial.large(1024, 2);
    let (records, cuts, mean) =
        (Synced::<u8>::zeros(items * 3072), Synced::<u32>::zeros(5 * items), Buffer::zeros(3072));
    let (images, labels) = (Buffer::zeros(items * 3072), Buffer::zeros(items));
    let cutting =
        Cutting { stride: 3072, record: [3, 32, 32], batch: [items, 3, 32, 32], means: Means::Image, scale: 1.0 };
    let Device::Cuda(card) = trial.card() else { return };
    trial.time(5 * 3072 * items as u64, 2 * 3072 * items as u64, || {
        cut::cut(card, &cutting, records.device(card), &cuts, &mean, &images, Some(&labels));
    });
}

fn check(trial: &mut Trial, means: Means, record: [usize; 3], batch: [usize; 4]) {
    let ([channels, height, width], [items, _, out_height, out_width]) = (record, batch);
    let (values, slots) = (channels * height * width, trial.whole(1, 5));
    let stride = values.next_multiple_of(4);
    let scale = trial.number(0.1, 2.0);
    let bytes: Vec<u8> = (0..slots * stride).map(|_| trial.whole(0, 255) as u8).collect();
    let mean = match means {
        Means::None => Vec::new(),
        Means::One => vec![trial.number(0.0, 255.0)],
        Means::Channels => (0..channels).map(|_| trial.number(0.0, 255.0)).collect(),
        Means::Image => (0..values).map(|_| trial.number(0.0, 255.0)).collect(),
    };
    let (mut cuts, mut images, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for item in 0..items {
        let (top, left) = (trial.whole(0, height - out_height), trial.whole(0, width - out_width));
        let (slot, mirrored) = (trial.whole(0, slots - 1), trial.chance());
        cuts.extend([slot, top, left, usize::from(mirrored)].map(|number| number as u32));
        cuts.push((item as f32).to_bits());
        labels.push(item as f32);
        for (channel, y) in (0..channels).flat_map(|channel| (0..out_height).map(move |y| (channel, y))) {
            for x in 0..out_width {
                let column = left + if mirrored { out_width - 1 - x } else { x };
                let place = (channel * height + top + y) * width + column;
                let value = f32::from(bytes[slot * stride + place]);
                let value = match means {
                    Means::None => value,
                    Means::One => value - mean[0],
                    Means::Channels => value - mean[channel],
                    Means::Image => value - mean[place],
                };
                images.push(value * scale);
            }
        }
    }
    let Device::Cuda(card) = trial.card() else { return };
    let (on_card, labels_on_card) = (trial.values(images.len()), trial.values(items));
    let cutting = Cutting { stride, record, batch, means, scale };
    let (records, cuts, mean) = (Synced::from(bytes), Synced::from(cuts), Buffer::from(mean));
    cut::cut(card, &cutting, records.device(card), &cuts, &mean, &on_card, Some(&labels_on_card));
    trial.same("images", &Buffer::from(images), &on_card);
    trial.same("labels", &Buffer::from(labels), &labels_on_card);
}
