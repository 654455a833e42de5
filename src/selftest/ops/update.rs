//! Checks of the update rules: the CPU's bits, over parameters of all sizes.

use crate::{
    ops::update::{self, Parameters, Preparation, Regularization, Rule, Segment, Workspace},
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[
    OpCheck { name: "sgd", run: |trial| rule(trial, Rule::Sgd { momentum: 0.9 }) },
    OpCheck { name: "nesterov", run: |trial| rule(trial, Rule::Nesterov { momentum: 0.9 }) },
    OpCheck { name: "ada_grad", run: |trial| rule(trial, Rule::AdaGrad { delta: 1e-3 }) },
    OpCheck { name: "rms_prop", run: |trial| rule(trial, Rule::RmsProp { decay: 0.95, delta: 1e-3 }) },
    OpCheck { name: "ada_delta", run: |trial| rule(trial, Rule::AdaDelta { momentum: 0.95, delta: 1e-3 }) },
    OpCheck {
        name: "adam",
        run: |trial| rule(trial, Rule::Adam { beta1: 0.9, beta2: 0.99, delta: 1e-4, correction: 0.7 }),
    },
    OpCheck { name: "bad_segment", run: bad_segment },
    OpCheck { name: "norm", run: norm },
];

/// Parameters of these sizes, one behind the other.
fn segments(trial: &mut Trial, counts: &[usize]) -> Vec<Segment> {
    let mut start = 0;
    let segment = |&count: &usize| {
        let (rate, decay) = (trial.number(0.0, 0.5), trial.pick(&[0.0, 0.01]));
        start += count;
        Segment { start: start - count, count, rate, decay }
    };
    counts.iter().map(segment).collect()
}

fn rule(trial: &mut Trial, rule: Rule) {
    for case in 0..trial.cases() {
        let parameters = trial.whole(1, 6);
        let counts: Vec<usize> = (0..parameters).map(|_| trial.batch(9_000)).collect();
        let segments = segments(trial, &counts);
        let count = counts.iter().sum();
        let regularization = trial.pick(&[Regularization::L1, Regularization::L2]);
        let preparation = Preparation { scale: trial.pick(&[1.0, 0.25]), regularization };
        let ([data, diff], positive) = ([trial.values(count), trial.values(count)], (case % 2) as f32);
        let histories = [(); 2].map(|()| trial.values_within(0.0, 0.1 + positive, count));
        let twins = [&data, &diff, &histories[0], &histories[1]].map(|buffer| trial.twin(buffer));
        let [card_data, card_diff, first, second] = twins;
        let card_histories = [first, second];
        let (mut on_cpu, mut on_card) = (Workspace::default(), Workspace::default());
        for _ in 0..2 {
            let parameters = Parameters { data: &data, diff: &diff, histories: &histories, segments: &segments };
            update::update(Device::Cpu, rule, preparation, parameters, &mut on_cpu);
            let parameters =
                Parameters { data: &card_data, diff: &card_diff, histories: &card_histories, segments: &segments };
            update::update(trial.card(), rule, preparation, parameters, &mut on_card);
        }
        trial.same("values", &data, &card_data);
        trial.same("steps", &diff, &card_diff);
        trial.same("first history", &histories[0], &card_histories[0]);
        trial.same("second history", &histories[1], &card_histories[1]);
        trial.expect(on_cpu.bad_segment() == on_card.bad_segment(), || "one found steps that are not finite".into());
    }
    let (count, card) = (trial.large(1 << 25, 5_000), trial.card());
    let [data, diff, first, second] = [(); 4].map(|()| Buffer::zeros(count));
    let (segments, histories) = ([Segment { start: 0, count, rate: 0.1, decay: 0.01 }], [first, second]);
    let preparation = Preparation { scale: 1.0, regularization: Regularization::L2 };
    let mut workspace = Workspace::default();
    let parameters = Parameters { data: &data, diff: &diff, histories: &histories, segments: &segments };
    let bytes = 8 * (2 + rule.histories()) * count;
    trial.time(bytes as u64, 4 * count as u64, || update::update(card, rule, preparation, parameters, &mut workspace));
}

fn bad_segment(trial: &mut Trial) {
    for _ in 0..trial.cases() {
        let counts = [trial.size(5_000), trial.size(5_000), trial.size(5_000)];
        let segments = segments(trial, &counts);
        let count: usize = counts.iter().sum();
        let (data, diff, histories) = (trial.values(count), trial.values(count), [trial.values(count)]);
        let (bad, value) = (trial.whole(0, count - 1), trial.pick(&[f32::NAN, f32::INFINITY]));
        diff.host_mut()[bad] = value;
        let expected = segments.iter().position(|segment| bad < segment.start + segment.count);
        let mut workspace = Workspace::default();
        let preparation = Preparation { scale: 1.0, regularization: Regularization::L2 };
        let parameters = Parameters { data: &data, diff: &diff, histories: &histories, segments: &segments };
        // A rate of 0 makes no number of an infinite gradient.
        update::update(trial.card(), Rule::Sgd { momentum: 0.5 }, preparation, parameters, &mut workspace);
        let found = workspace.bad_segment();
        trial.expect(found == expected, || format!("value {bad} is {value}: segment {found:?}, not {expected:?}"));
    }
}

fn norm(trial: &mut Trial) {
    for _ in 0..trial.cases() {
        let count = trial.size(20_000);
        let (segments, values) = (segments(trial, &[count]), trial.values(count));
        let lengths = [Device::Cpu, trial.card()]
            .map(|device| update::norm(device, &values, &segments, &mut Workspace::default()))
            .map(|length| Buffer::from(vec![length]));
        trial.close("norm", &lengths[0], &lengths[1]);
    }
    let (count, card, mut workspace) = (trial.large(1 << 25, 5_000), trial.card(), Workspace::default());
    let values = Buffer::zeros(count);
    trial.time(4 * count as u64, 2 * count as u64, || {
        update::norm(card, &values, &[], &mut workspace);
    });
}
