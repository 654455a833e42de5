//! How long an iteration of the nets in `models/` takes: forward, backward and update, on random data that lies in memory.
//!
//! ```text
//! cargo bench --bench nets              # all
//! cargo bench --bench nets -- alexnet   # one
//! ```

use std::{path::Path, time::Duration};

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use rcaffe::{
    proto::NetParameter,
    prototxt::{parse_net, parse_solver, read_net},
    solver::Solver,
};

/// Model, channels and extent of an image, batch.
const NETS: &[(&str, [usize; 2], usize)] = &[
    ("lenet", [1, 28], 64),
    ("cifar10_full", [3, 32], 100),
    ("resnet20", [3, 32], 128),
    ("alexnet", [3, 227], 10),
    ("googlenet", [3, 224], 10),
];

const SOLVER: &str = r#"base_lr: 0.0001 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005"#;

criterion_group! {
    name = nets;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = iterations
}
criterion_main!(nets);

fn iterations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("iteration");
    group.sampling_mode(SamplingMode::Flat);
    for &(model, [channels, extent], batch) in NETS {
        group.bench_function(format!("{model}-{batch}"), |bench| {
            let mut solver = solver(model, [batch, channels, extent, extent]);
            let start = solver.begin();
            bench.iter(|| solver.iterate(start).expect("an iteration"));
        });
    }
}

/// The solver of a model whose data layers have become inputs, filled once.
fn solver(model: &str, shape: [usize; 4]) -> Solver {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(format!("{model}.prototxt"));
    let mut net = read_net(&file).expect("a net file").message;
    net.layer.retain(|layer| layer.r#type() != "Data");
    net.layer.insert(0, inputs(shape).layer.remove(0));
    let mut document = parse_solver(SOLVER, "bench").expect("a solver");
    document.message.net_param = Some(net);
    let solver = Solver::new(document, Vec::new()).expect("a solver");
    let data = solver.net().blob("data").expect("the data").data();
    let mut state = 1u32;
    data.host_mut().iter_mut().for_each(|value| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *value = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
    });
    solver
}

fn inputs([batch, channels, height, width]: [usize; 4]) -> NetParameter {
    let text = format!(
        r#"layer {{ name: "data" type: "Input" top: "data" top: "label" input_param {{
           shape {{ dim: {batch} dim: {channels} dim: {height} dim: {width} }} shape {{ dim: {batch} }} }} }}"#
    );
    parse_net(&text, "bench").expect("an input layer").message
}
