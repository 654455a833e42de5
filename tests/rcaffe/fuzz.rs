//! Net files with random changes go through reading, wiring and shapes, and where they still stand, through a forward and a
//! backward pass: whatever comes out, it is a result or an error, never a panic, never a program that hangs.
//!
//! `RCAFFE_FUZZ=100000 cargo test --release fuzz` tries that many, `RCAFFE_FUZZ=4711..4712` one case again: it depends on its
//! number alone.

use std::{
    fs,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::detection::DETECTOR;
use rcaffe::{
    layers::TABLE,
    net::Net,
    proto::{BlobShape, DummyDataParameter, LayerParameter, NetState, Phase},
    prototxt::{parse_net, print_net},
    rng::SharedRandom,
    tensor::Room,
};

/// Cases tried when nothing else is asked for.
const CASES: usize = 1_500;

/// What the nets may take: enough for the small ones, and an end to those that a change made huge.
const ROOM: usize = 32 << 20;

/// A case that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(60);

/// The steps of splitmix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    fn pick<'a, T: ?Sized + ToOwned>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "prototxt") {
            found.push(path);
        }
    }
}

/// A net to change, and the file in whose folder its data are.
struct Example {
    text: String,
    file: String,
}

/// The example nets: all models, the nets of the reference cases, and nets of the layers of forks. Databases of the models,
/// which are not there, become DummyData.
fn examples() -> Vec<Example> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["models", "tests/golden/layers", "tests/golden/images", "tests/golden/hdf5", "tests/golden/db"] {
        files(&root.join(folder), &mut paths);
    }
    paths.sort();
    let example = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a text file");
        let mut net = parse_net(&text, "net.prototxt").expect("an example net").message;
        if path.starts_with(root.join("models")) {
            net.layer.iter_mut().filter(|layer| layer.r#type() == "Data").for_each(without_database);
        }
        Example { text: print_net(&net), file: path.to_str().expect("a path in UTF-8").to_owned() }
    };
    let mut examples: Vec<Example> = paths.iter().map(example).collect();
    // As often as the many small nets of single layers.
    for text in [DETECTOR, FORKS].repeat(10) {
        examples.push(Example { text: text.to_owned(), file: "net.prototxt".to_owned() });
    }
    examples
}

/// Layers of forks that DETECTOR has not.
const FORKS: &str = r#"
force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 8 dim: 6 dim: 6 } } }
layer { name: "rois" type: "DummyData" top: "rois" dummy_data_param { shape { dim: 3 dim: 5 } data_filler { value: 1 } } }
layer { name: "mix" type: "ShuffleChannel" bottom: "x" top: "mix"
  shuffle_channel_param { group: 2 } }
layer { name: "gates" type: "Pooling" bottom: "mix" top: "gates"
  pooling_param { pool: AVE global_pooling: true } }
layer { name: "axpy" type: "Axpy" bottom: "gates" bottom: "mix" bottom: "x" top: "axpy" }
layer { name: "drop" type: "StochasticDepth" bottom: "axpy" top: "drop"
  stochastic_depth_param { survival_prob: 0.8 } }
layer { name: "pool" type: "Pooling" bottom: "drop" top: "pool" top: "mask"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "up" type: "Upsample" bottom: "pool" bottom: "mask" top: "up"
  upsample_param { scale: 2 } }
layer { name: "wide" type: "Upsample" bottom: "pool" top: "wide"
  upsample_param { scale: 3 } }
layer { name: "interp" type: "Interp" bottom: "up" top: "interp"
  interp_param { height: 9 width: 7 pad_beg: 0 pad_end: -1 } }
layer { name: "centre" type: "CropCenter" bottom: "wide" top: "centre"
  crop_center_param { crop_size: 0 crop_size: 0 crop_size: 1 crop_size: 2 } }
layer { name: "roi" type: "ROIPooling" bottom: "interp" bottom: "rois" top: "roi"
  roi_pooling_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.5 } }
layer { name: "psroi" type: "PSROIPooling" bottom: "x" bottom: "rois" top: "psroi"
  psroi_pooling_param { spatial_scale: 0.5 output_dim: 2 group_size: 2 } }
"#;

fn without_database(layer: &mut LayerParameter) {
    let crop = layer.transform_param.as_ref().map_or(0, |transform| transform.crop_size());
    let side = i64::from(if crop > 0 { crop } else { 32 });
    let shape = |dim: Vec<i64>| BlobShape { dim };
    let shapes = [shape(vec![2, 3, side, side]), shape(vec![2])];
    layer.r#type = Some("DummyData".into());
    layer.dummy_data_param =
        Some(DummyDataParameter { shape: shapes[..layer.top.len()].to_vec(), ..Default::default() });
    layer.data_param = None;
    layer.transform_param = None;
}

/// The text cut into words, numbers, strings and single characters.
fn tokens(text: &str) -> Vec<&str> {
    let kind = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | '-' => 1,
        ' ' => 2,
        _ => 3,
    };
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = match (first, kind(first)) {
            ('"', _) => rest[1..].find('"').map_or(rest.len(), |end| end + 2),
            (_, 3) => first.len_utf8(),
            (_, kind_of_first) => rest.find(|letter| kind(letter) != kind_of_first).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(end);
        tokens.push(token);
        rest = after;
    }
    tokens
}

/// What a number may become: mostly small ones, and the ends of the types.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "11",
    "13",
    "16",
    "64",
    "1000",
    "65536",
    "46341",
    "2147483647",
    "2147483648",
    "4294967295",
    "-1",
    "-2",
    "-3",
    "-4",
    "-2147483648",
    "0.5",
    "1e30",
    "-1e-30",
    "nan",
    "inf",
];

/// Values of some options that are no numbers; most belong to one message only.
const WORDS: &[&str] = &[
    "true",
    "false",
    "MAX",
    "AVE",
    "STOCHASTIC",
    "SUM",
    "PROD",
    "SUMSQ",
    "ASUM",
    "MEAN",
    "WITHIN_CHANNEL",
    "FLOOR",
    "TRAIN",
    "TEST",
    "L1",
    "L2",
    "FULL",
    "VALID",
    "BATCH_SIZE",
    "NONE",
];

fn changed(text: &str, numbers: &mut Numbers) -> String {
    let mut pieces: Vec<String> = tokens(text).into_iter().map(str::to_owned).collect();
    for _ in 0..1 + numbers.below(5) {
        change(&mut pieces, numbers);
    }
    let mut text = pieces.concat();
    if numbers.below(40) == 0 {
        let mut bytes = text.into_bytes();
        let place = numbers.below(bytes.len());
        if let Some(byte) = bytes.get_mut(place) {
            *byte = numbers.next() as u8;
        }
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    text
}

/// Changes one token, or one line.
fn change(pieces: &mut Vec<String>, numbers: &mut Numbers) {
    let Some(place) = pick_place(pieces, numbers) else { return };
    let piece = pieces[place].clone();
    let line = line_of(place, pieces);
    let is_option = pieces[line.clone()].iter().any(|piece| piece == ":");
    match numbers.below(24) {
        0 => drop(pieces.remove(place)),
        1 => pieces.insert(place, piece),
        2 | 3 if is_option => drop(pieces.drain(line)),
        4 | 5 if is_option => {
            let line: Vec<String> = pieces[line].to_vec();
            let other = pick_place(pieces, numbers).map_or(0, |other| line_of(other, pieces).start);
            pieces.splice(other..other, line);
        }
        6 => pieces[place] = pick_place(pieces, numbers).map_or(piece, |other| pieces[other].clone()),
        _ if piece.starts_with('"') => {
            let strings: Vec<&String> = pieces.iter().filter(|piece| piece.starts_with('"')).collect();
            let is_type = pieces[line].iter().any(|piece| piece == "type");
            let string = strings[numbers.below(strings.len())].clone();
            pieces[place] = if is_type { format!("\"{}\"", TABLE[numbers.below(TABLE.len())].name) } else { string };
        }
        _ if is_number(&piece) => pieces[place] = numbers.pick(NUMBERS).to_owned(),
        _ if WORDS.contains(&piece.as_str()) => pieces[place] = numbers.pick(WORDS).to_owned(),
        _ => {}
    }
}

/// The tokens of the line that this one stands in.
fn line_of(place: usize, pieces: &[String]) -> Range<usize> {
    let start = pieces[..place].iter().rposition(|piece| piece == "\n").map_or(0, |start| start + 1);
    let end = pieces[place..].iter().position(|piece| piece == "\n").map_or(pieces.len(), |end| place + end + 1);
    start..end
}

fn is_number(piece: &str) -> bool {
    piece.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-')
}

/// A token that is not blank; numbers, which are rarer than names, half of the time.
fn pick_place(pieces: &[String], numbers: &mut Numbers) -> Option<usize> {
    let wants_number = numbers.below(2) == 0;
    let fits = |piece: &String| !piece.trim().is_empty() && (!wants_number || is_number(piece));
    let places: Vec<usize> = (0..pieces.len()).filter(|&place| fits(&pieces[place])).collect();
    (!places.is_empty()).then(|| places[numbers.below(places.len())])
}

/// How far a net came: 0 it does not parse, 1 it is no net, 2 it runs not, 3 it runs.
fn run(text: &str, file: &str, phase: Phase) -> usize {
    let Ok(document) = parse_net(text, file) else { return 0 };
    let mut net = document.message;
    net.state = Some(NetState { phase: Some(phase as i32), ..NetState::default() });
    let Ok(mut net) = Net::within(Room::of_bytes(ROOM), &net, file, SharedRandom::new(1)) else { return 1 };
    if net.forward().is_err() || net.backward().is_err() { 2 } else { 3 }
}

#[test]
fn the_nets_of_forks_run_as_they_are() {
    assert_eq!([DETECTOR, FORKS].map(|text| run(text, "net.prototxt", Phase::Test)), [3, 3]);
}

#[test]
fn fuzzed_nets_end_in_a_result_or_an_error() {
    let wanted = std::env::var("RCAFFE_FUZZ").unwrap_or_else(|_| CASES.to_string());
    let (start, end) = wanted.split_once("..").unwrap_or(("0", &wanted));
    let [start, end] = [start, end].map(|number| number.parse::<usize>().expect("the number of a case"));
    let examples = examples();
    let (next, done) = (AtomicUsize::new(start), AtomicUsize::new(0));
    let outcomes: [AtomicUsize; 4] = Default::default();
    let running: Mutex<Vec<Option<(usize, Instant)>>> = Mutex::new(vec![None; 2]);
    let failed = Mutex::new(Vec::new());
    let example_of = |case: usize| {
        let mut numbers = Numbers(case as u64);
        let Example { text, file } = &examples[numbers.below(examples.len())];
        Example { text: changed(text, &mut numbers), file: file.clone() }
    };
    thread::scope(|scope| {
        for worker in 0..2 {
            let (next, done, running, failed, outcomes, example_of) =
                (&next, &done, &running, &failed, &outcomes, &example_of);
            scope.spawn(move || {
                loop {
                    let case = next.fetch_add(1, Ordering::Relaxed);
                    if case >= end {
                        break;
                    }
                    running.lock().expect("no panic with the lock")[worker] = Some((case, Instant::now()));
                    let Example { text, file } = example_of(case);
                    let phase = if case.is_multiple_of(2) { Phase::Train } else { Phase::Test };
                    match catch_unwind(AssertUnwindSafe(|| run(&text, &file, phase))) {
                        Ok(outcome) => drop(outcomes[outcome].fetch_add(1, Ordering::Relaxed)),
                        Err(_) => failed.lock().expect("no panic with the lock").push(case),
                    }
                }
                running.lock().expect("no panic with the lock")[worker] = None;
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        while done.load(Ordering::Relaxed) < 2 {
            thread::sleep(Duration::from_millis(50));
            let running = running.lock().expect("no panic with the lock").clone();
            if let Some((case, _)) = running.into_iter().flatten().find(|(_, start)| start.elapsed() > LONGEST) {
                eprintln!("case {case} hangs:\n{}", example_of(case).text);
                process::exit(101);
            }
        }
    });
    println!("{} cases: {outcomes:?} (not read, no net, did not run, ran)", end - start);
    let failed = failed.into_inner().expect("no panic with the lock");
    let first = failed.first().map(|&case| example_of(case).text).unwrap_or_default();
    assert!(failed.is_empty(), "cases {failed:?} panicked; the first:\n{first}");
    assert!(outcomes[3].load(Ordering::Relaxed) >= (end - start) / 100, "hardly a net runs: {outcomes:?}");
}
