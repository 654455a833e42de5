//! The emulated card itself: it finds the mistakes it is there to find. Each case runs in a process of its own, which it may end.

use std::{
    env,
    process::{Command, Output},
};

use rcaffe::{
    cuda::{Card, Grid, Memory, Pointer, Source},
    tensor::Buffer,
};

use super::{folder, with_libraries};

static KERNELS: Source = Source {
    name: "emulator_test",
    text: r"
KERNEL twice(float *y, const float *x, u32 count) { EACH(index, count) y[index] = 2.0f * x[index]; }
KERNEL total(float *y, const float *x, u32 count) {
    float sum = 0.0f;
    EACH(index, count) sum += x[index];
    sum = block_sum(sum);
    if (threadIdx.x == 0) y[blockIdx.x] = sum;
}
KERNEL turned(float *y, const float *x, u32 meets) {
    SHARED float values[64];
    values[threadIdx.x] = x[threadIdx.x];
    if (meets) __syncthreads();
    y[threadIdx.x] = values[63 - threadIdx.x];
}
KERNEL before(float *y, const float *x, u32 count) { y[0] = x[-(int)count]; }
KERNEL some_meet(float *y, const float *x, u32 count) {
    if (threadIdx.x < count) __syncthreads();
    y[threadIdx.x] = x[0];
}
KERNEL beyond_an_array(float *y, const float *x, u32 from) {
    SHARED float values[32];
    values[threadIdx.x + from] = x[0];
    __syncthreads();
    y[0] = values[0];
}
KERNEL of_one_block(float *y, const float *x, u32 count) {
    EXPECT(gridDim.x == 1);
    y[0] = x[0] + (float)count;
}
",
};

/// Runs a kernel of 64 values x = 0, 1, 2, ...; returns what it wrote.
fn launch(card: &'static Card, kernel: &'static str, grid: Grid, number: u32) -> Vec<f32> {
    let [x, y] = [Buffer::from((0..64).map(|value| value as f32).collect::<Vec<_>>()), Buffer::zeros(64)];
    let x = x.device(card);
    card.launch(&KERNELS, kernel, grid, &[&y.device_mut(card), &x, &number]);
    y.host().to_vec()
}

/// What runs in the other process.
fn run(case: &str) {
    let card = Card::open(0).expect("the emulated card");
    let values = |kernel, number| launch(card, kernel, Grid::blocks(1, 64), number);
    match case {
        "twice" => assert_eq!(values("twice", 64)[63], 126.0),
        "sums" => assert_eq!(launch(card, "total", Grid::blocks(2, 32), 64)[..3], [496.0, 1520.0, 0.0]),
        "turned" => assert_eq!(values("turned", 1)[..3], [63.0, 62.0, 61.0]),
        "race" => {
            let turned = values("turned", 0);
            assert!(turned[0] != 63.0 || turned[63] != 0.0, "{turned:?}");
        }
        "beyond" => drop(values("twice", 65)),
        "before" => drop(values("before", 1)),
        "some meet" => drop(values("some_meet", 40)),
        "index" => drop(launch(card, "beyond_an_array", Grid::blocks(1, 32), 1)),
        "grid" => drop(launch(card, "of_one_block", Grid::blocks(2, 32), 1)),
        "fresh memory" => {
            let (memory, mut values) = (Memory::new(card, 64), [0.0_f32; 16]);
            card.receive(memory.pointer(), &mut values);
            assert!(values.iter().all(|value| value.is_nan()));
        }
        "graph" => {
            let y = Buffer::from(vec![1.0; 64]);
            let pointer = y.device_mut(card);
            let twice = || card.launch(&KERNELS, "twice", Grid::over(64), &[&pointer, &pointer, &64_u32]);
            twice();
            let graph = card.capture(twice).expect("a graph");
            assert_eq!(y.host()[5], 2.0);
            let _ = y.device_mut(card);
            (0..3).for_each(|_| graph.replay());
            assert_eq!(y.host()[5], 16.0);
        }
        "waiting in a capture" => {
            assert!(card.capture(|| card.synchronize()).is_none());
            let message = card.check().expect_err("a failure").to_string();
            assert!(message.contains("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"), "{message}");
        }
        "wrong kernel" => {
            static WRONG: Source = Source { name: "wrong", text: "KERNEL wrong(float *y) { y[0] = undefined; }" };
            card.launch(&WRONG, "wrong", Grid::over(1), &[&Pointer::NULL]);
            let message = card.check().expect_err("a failure").to_string();
            assert!(message.contains("compiling wrong.cu for sm_90") && message.contains("undefined"), "{message}");
        }
        _ => panic!("there is no case {case}"),
    }
    card.check().map_or_else(|error| eprintln!("{error}"), |()| ());
}

const CASE: &str = "RCAFFE_EMULATOR_CASE";

#[test]
#[ignore = "other tests run it in a process of its own"]
fn case_in_a_process_of_its_own() {
    run(&env::var(CASE).expect("the case"));
}

fn outcome(case: &str, environment: &[(&str, &str)]) -> (Output, String) {
    let mut command = Command::new(env::current_exe().expect("the tests have a path"));
    with_libraries(&mut command, folder());
    command.args(["--exact", "gpu::emulator::case_in_a_process_of_its_own", "--ignored", "--nocapture"]);
    let output = command.env(CASE, case).envs(environment.iter().copied()).output().expect("the process starts");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, text)
}

fn passes(case: &str, environment: &[(&str, &str)]) {
    let (output, text) = outcome(case, environment);
    assert!(output.status.success() && text.contains("1 passed"), "{case}: {text}");
}

/// The process ends with a line of the card that says all this.
fn faults(case: &str, environment: &[(&str, &str)], parts: &[&str]) {
    let (output, text) = outcome(case, environment);
    let line = text.lines().find(|line| line.starts_with("emulated card: ")).unwrap_or_default();
    assert!(!output.status.success() && parts.iter().all(|part| line.contains(part)), "{case}: {text}");
}

#[test]
fn right_kernels_compute_what_they_say_in_any_order() {
    for case in ["twice", "sums", "turned", "fresh memory", "graph"] {
        passes(case, &[]);
        passes(case, &[("EMULATED_CARD_ORDER", "reversed"), ("EMULATED_CARD_GUARD", "front")]);
    }
}

#[test]
fn a_missing_barrier_shows() {
    passes("race", &[]);
    passes("race", &[("EMULATED_CARD_ORDER", "reversed")]);
}

#[test]
fn accesses_outside_of_memory_name_kernel_block_and_thread() {
    let place = "kernel twice of emulator_test.cu, block [0, 0, 0] of [1, 1, 1], thread [0, 0, 0] of [64, 1, 1]";
    faults("beyond", &[], &["0 bytes behind the end of 256 bytes", place]);
    faults("before", &[("EMULATED_CARD_GUARD", "front")], &["4 bytes before 256 bytes", "kernel before"]);
}

#[test]
fn threads_that_do_not_meet_are_named() {
    faults("some meet", &[], &["thread 0 waits at a barrier", "thread 40 has ended", "kernel some_meet"]);
}

#[test]
fn indices_outside_of_shared_arrays_are_caught() {
    faults("index", &[], &["an index outside its array", "kernel beyond_an_array", "thread [31, 0, 0]"]);
}

#[test]
fn a_grid_that_a_kernel_does_not_expect_is_caught() {
    faults("grid", &[], &["EXPECT(gridDim.x == 1) does not hold", "kernel of_one_block"]);
}

#[test]
fn what_cannot_be_captured_or_compiled_is_an_error() {
    passes("waiting in a capture", &[]);
    passes("wrong kernel", &[]);
}
