//! Upgrades: old nets and solvers as Caffe's own upgrade tools print them, and what Caffe refuses.

use super::golden;
use crate::prototxt::*;

fn net(text: &str) -> NetParameter {
    parse_net(text, "n").unwrap_or_else(|error| panic!("{text}: {error}")).message
}

fn net_error(text: &str) -> String {
    parse_net(text, "n").map(|document| document.message).expect_err(text).to_string()
}

#[test]
fn old_nets_become_what_caffes_tool_makes_of_them() {
    for case in ["v0_net", "v1_net", "old_bn_net"] {
        let upgraded = print_net(&net(&golden(&format!("upgrade/{case}.prototxt"))));
        assert_eq!(upgraded, golden(&format!("upgrade/{case}.upgraded.prototxt")), "{case}");
    }
}

#[test]
fn old_solvers_become_what_caffes_tool_makes_of_them() {
    let old = parse_solver(golden("upgrade/old_solver.prototxt"), "s").expect("a solver of its time");
    assert_eq!(print_solver(&old.message), golden("upgrade/old_solver.upgraded.prototxt"));
    let both = parse_solver("type: 'SGD'\nsolver_type: SGD", "s").map(|document| document.file).expect_err("both");
    let expected = "s:2: solver_type: the older form of \"type\" cannot stand beside it; remove solver_type";
    assert_eq!(both.to_string(), expected);
    let inside = parse_solver("net_param { layers { name: 'a' type: RELU } }", "s").expect("an old net inside");
    assert_eq!(inside.message.net_param.expect("the net").layer[0].r#type(), "ReLU");
}

#[test]
fn layers_keep_their_line() {
    let lines = |text: &str| net(text).layer.iter().map(|layer| layer.source_line).collect::<Vec<_>>();
    let v0 = "input: 'd' input_shape { }\n layers { layer { type: 'padding' } bottom: 'd' top: 'p' }\n\
              layers { layer { type: 'conv' } bottom: 'p' top: 'c' }\n";
    assert_eq!(lines(v0), [Some(3)]);
    assert_eq!(lines("input: 'd' input_shape { }\nlayers { type: RELU }\n\nlayers { }"), [None, Some(2), Some(4)]);
}

#[test]
fn a_padding_layer_becomes_the_pad_of_the_pooling_behind_it() {
    let text = "input: 'd'\nlayers { layer { type: 'padding' pad: 3 } bottom: 'd' top: 'p' }\n\
                layers { layer { name: 'pool' type: 'pool' kernelsize: 2 } bottom: 'p' top: 'c' }";
    let expected = "layer {\n  name: \"pool\"\n  type: \"Pooling\"\n  bottom: \"d\"\n  top: \"c\"\n  pooling_param {\n    \
                    kernel_size: 2\n    pad: 3\n  }\n}\n";
    assert_eq!(print_net(&net(text)), expected);
}

/// The options of the first format that go to data layers; an option that the type does not have is dropped.
#[test]
fn data_layers_of_the_first_format() {
    let text =
        "layers { layer { name: 'd' type: 'images' source: 'list' meanfile: 'm' batchsize: 5 cropsize: 6 mirror: true
                scale: 0.5 rand_skip: 7 shuffle_images: true new_height: 8 new_width: 9 num_output: 4 } top: 'data' }";
    let expected = "layer {\n  name: \"d\"\n  type: \"ImageData\"\n  top: \"data\"\n  transform_param {\n    scale: 0.5\n    \
                    mirror: true\n    crop_size: 6\n    mean_file: \"m\"\n  }\n  image_data_param {\n    source: \"list\"\n    \
                    batch_size: 5\n    rand_skip: 7\n    shuffle: true\n    new_height: 8\n    new_width: 9\n  }\n}\n";
    assert_eq!(print_net(&net(text)), expected);
}

#[test]
fn what_caffe_refuses() {
    let cases = [
        (
            "layer { }\nlayers { name: 'a' }",
            "n:2: layer \"a\": layers: this net has both \"layers\", the older form, and \"layer\"; write all of them as \"layer\"",
        ),
        (
            "\nlayers { layer { name: 'a' type: 'convolution' } }",
            "n:2: layer \"a\": type: unknown type \"convolution\" of a layer in Caffe's first format",
        ),
        (
            "layers { layer { name: 'a' type: 'relu' } bottom: 'x' }",
            "n:1: layer \"a\": bottom: no layer before this one makes \"x\"",
        ),
        (
            "layers { layer { type: 'data' } top: 'd' }\nlayers { layer { type: 'padding' } bottom: 'd' top: 'p' }\n\
             layers { layer { name: 'r' type: 'relu' } bottom: 'p' }",
            "n:3: layer \"r\": bottom: a padding layer can only stand before \"conv\" and \"pool\", not before \"relu\"",
        ),
        (
            "input: 'a' input: 'b' input_dim: [1, 2, 3, 4, 5, 6, 7]",
            "n: input_dim: input \"b\" has no dimensions; give each of the 2 inputs its own",
        ),
        (
            "input: 'a' input: 'b' input_shape { dim: 1 }",
            "n: input_shape: input \"b\" has no dimensions; give each of the 2 inputs its own",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(net_error(text), message);
    }
}

#[test]
fn inputs_of_weight_files_without_dimensions_are_dropped() {
    assert_eq!(net("input: 'data' name: 'n'"), NetParameter { name: Some("n".into()), ..Default::default() });
}

#[test]
fn snapshots_go_beside_the_solver_or_into_a_folder() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let solver = folder.path().join("lenet.prototxt");
    let prefix = |text: String| {
        fs::write(&solver, text).expect("the solver is written");
        read_solver(&solver).expect("a good solver").message.snapshot_prefix().to_string()
    };
    let beside = folder.path().join("lenet").display().to_string();
    assert_eq!(prefix(String::new()), beside);
    assert_eq!(prefix(format!("snapshot_prefix: '{}'", folder.path().display())), beside);
    assert_eq!(prefix("snapshot_prefix: 'out/x'".into()), "out/x");
}
