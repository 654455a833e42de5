//! The printer: the same text as protobuf's C++ library.

use super::golden;
use crate::{
    proto::{BlobProto, ClipParameter, Datum, LayerParameter, PoolingParameter},
    prototxt::*,
};

/// Read and printed again, what Caffe printed into its log stays the same to the byte.
#[test]
fn caffes_own_log_is_reproduced() {
    let solver = golden("print/solver.prototxt");
    assert_eq!(print_solver(&parse_solver(&solver, "s").expect("a good solver").message), solver);
    let net = golden("print/net.prototxt");
    assert_eq!(print_net(&parse_net(&net, "n").expect("a good net").message), net);
}

#[test]
fn extensions_come_last_and_empty_blocks_stay() {
    let text = "stage { } max_lr: 3 weights: 'a' net: 'n' base_lr: 1e-3 train_state { stage: '' }";
    let printed = print_solver(&parse_solver(text, "s").expect("a good solver").message);
    let expected =
        "base_lr: 0.001\nnet: \"n\"\ntrain_state {\n  stage: \"\"\n}\nweights: \"a\"\nmax_lr: 3\nstage {\n}\n";
    assert_eq!(printed, expected);
}

#[test]
fn every_kind_of_value() {
    let datum = Datum { data: Some(b"a\x00\xFF'\"\\\n\x7F7".to_vec()), encoded: Some(true), ..Default::default() };
    assert_eq!(print(&datum), "data: \"a\\000\\377\\'\\\"\\\\\\n\\1777\"\nencoded: true\n");
    let blob = BlobProto { data: vec![0.1, -2.0], double_data: vec![0.1], num: Some(-1), ..Default::default() };
    assert_eq!(print(&blob), "num: -1\ndata: 0.1\ndata: -2\ndouble_data: 0.1\n");
    let layer = LayerParameter {
        name: Some("é".into()),
        clip_param: Some(ClipParameter { min: 0.0, max: f32::INFINITY }),
        pooling_param: Some(PoolingParameter { pool: Some(1), ..Default::default() }),
        source_line: Some(7),
        ..Default::default()
    };
    let expected = "name: \"\\303\\251\"\npooling_param {\n  pool: AVE\n}\nclip_param {\n  min: 0\n  max: inf\n}\n";
    assert_eq!(print(&layer), expected);
}
