//! The reader: what it takes, what it refuses and in which words.

use crate::{
    proto::{LayerParameter, pooling_parameter::PoolMethod},
    prototxt::*,
};

fn net(text: &str) -> NetParameter {
    parse::<NetParameter>(text, "net.prototxt").unwrap_or_else(|error| panic!("{text}: {error}")).message
}

fn solver(text: &str) -> SolverParameter {
    parse::<SolverParameter>(text, "s").unwrap_or_else(|error| panic!("{text}: {error}")).message
}

fn solver_error(text: &str) -> String {
    parse::<SolverParameter>(text, "s").map(|document| document.message).expect_err(text).to_string()
}

fn net_error(text: &str) -> String {
    parse::<NetParameter>(text, "n").map(|document| document.message).expect_err(text).to_string()
}

#[test]
fn numbers_in_every_form() {
    for (text, rate) in [
        ("0.1", 0.1),
        ("1.", 1.0),
        (".5", 0.5),
        ("5", 5.0),
        ("-5", -5.0),
        ("- 5", -5.0),
        ("1e-3", 1e-3),
        ("2.5E+2f", 250.0),
        ("0f", 0.0),
        ("1F", 1.0),
        ("inf", f32::INFINITY),
        ("-Infinity", f32::NEG_INFINITY),
        ("1e39", f32::INFINITY),
        ("99999999999999999999", 1e20),
    ] {
        assert_eq!(solver(&format!("base_lr: {text}")).base_lr, Some(rate), "{text}");
    }
    assert!(solver("base_lr: -NaN").base_lr.is_some_and(f32::is_nan));
    for (text, count) in [("17", 17), ("0x1F", 31), ("017", 15), ("-0X10", -16), ("-2147483648", i32::MIN)] {
        assert_eq!(solver(&format!("max_iter: {text}")).max_iter, Some(count), "{text}");
    }
    for (text, flag) in [("true", true), ("True", true), ("t", true), ("1", true), ("0x0", false), ("f", false)] {
        assert_eq!(solver(&format!("debug_info: {text}")).debug_info, Some(flag), "{text}");
    }
}

#[test]
fn numbers_that_do_not_fit() {
    let cases = [
        ("max_iter: 1.5", "s:1:11: expected an integer for \"max_iter\" in SolverParameter, found \"1.5\""),
        (
            "max_iter: 2147483648",
            "s:1:11: 2147483648 is out of range for \"max_iter\" in SolverParameter; at most 2147483647",
        ),
        ("max_iter: 089", "s:1:11: a number with a leading zero is octal and has no digits 8 and 9"),
        ("base_lr: 010", "s:1:10: 010 is hexadecimal or octal; \"base_lr\" in SolverParameter takes decimals"),
        ("base_lr: 0.1max_iter: 5", "s:1:10: \"0.1max_iter\" is no number; put a blank between a number and a name"),
        ("base_lr: 1.2.3", "s:1:10: \"1.2.3\" is no number"),
        ("base_lr: 1e", "s:1:10: \"e\" in a number must be followed by an exponent"),
        ("base_lr: \"0.1\"", "s:1:10: expected a number for \"base_lr\" in SolverParameter, found \"0.1\""),
        ("debug_info: 2", "s:1:13: 2 is out of range for \"debug_info\" in SolverParameter; at most 1"),
        ("debug_info: yes", "s:1:13: expected true or false for \"debug_info\" in SolverParameter, found \"yes\""),
    ];
    for (text, message) in cases {
        assert_eq!(solver_error(text), message);
    }
    let message = "n:1:33: expected an integer of at least 0 for \"crop_size\" in TransformationParameter, found \"-\"";
    assert_eq!(net_error("layer{transform_param{crop_size:-1}}"), message);
}

#[test]
fn strings_with_escapes_and_joined() {
    for (text, name) in [
        (r#""a" 'b' "c""#, "abc"),
        (r#"'say "hi"'"#, "say \"hi\""),
        (r#""\"\'\\\n\t\r\a\b\f\v\?""#, "\"'\\\n\t\r\x07\x08\x0C\x0B?"),
        (r#""\101\x42\x4a\7z""#, "ABJ\x07z"),
        (r#""\u00e9\U0001F600""#, "é😀"),
        (r#""\ud83d\ude00""#, "😀"),
        (r#""\303\251""#, "é"),
        ("\"é\"", "é"),
        ("\"# no comment\" # a comment", "# no comment"),
    ] {
        assert_eq!(net(&format!("name: {text}")).name(), name, "{text}");
    }
    let bytes = parse::<NetParameter>(b"name: \"a\xFFb\" # \xFE\n", "n").expect("bytes outside UTF-8 are taken");
    assert_eq!(bytes.message.name(), "a\u{FFFD}b");
    let datum = parse::<crate::proto::Datum>(b"data: \"\\377\xFE\"", "d").expect("bytes stay as they are");
    assert_eq!(datum.message.data(), [0xFF, 0xFE]);
}

#[test]
fn strings_that_are_none() {
    let cases = [
        ("name: \"a\n\"", "n:1:7: this string has no closing \" on its line"),
        ("name: 'a", "n:1:7: this string has no closing ' on its line"),
        (r#"name: "a\q""#, "n:1:9: unknown escape in a string; write \\\\ for a backslash"),
        (r#"name: "\x""#, "n:1:8: \\x needs hexadecimal digits"),
        ("name: conv", "n:1:7: expected a quoted string for \"name\" in NetParameter, found \"conv\""),
        ("name: “a”", "n:1:7: curly quote “; write a plain \" or '"),
        ("name:\u{A0}\"a\"", "n:1:6: no-break space (U+00A0); write a plain space"),
        ("\u{7}", "n:1:1: control character \\u{7}"),
    ];
    for (text, message) in cases {
        assert_eq!(net_error(text), message);
    }
}

#[test]
fn blocks_lists_and_separators() {
    let plain = net("layer { name: 'a' bottom: 'x' bottom: 'y' } layer { name: 'b' }");
    for text in [
        "layer: { name: 'a', bottom: ['x', 'y'] }; layer < name: 'b' >",
        "layer [ { name: 'a' bottom: 'x' bottom: 'y' }, < name: 'b' > ]",
        "layer: [{ name: 'a'; bottom: [] bottom: ['x'], bottom: 'y' }]\r\nlayer: <name: 'b'>,",
        "\u{FEFF}#c\nlayer{name:'a'bottom:'x'bottom:'y'}layer{name:'b'}#",
    ] {
        let mut other = net(text);
        let mut plain = plain.clone();
        clear_source_lines(&mut other);
        clear_source_lines(&mut plain);
        assert_eq!(other, plain, "{text}");
    }
}

#[test]
fn grammar_errors() {
    let cases = [
        ("layer {\n name: 'a'\n", "n:3:1: expected \"}\" to close \"layer\" of line 1, found the end of the file"),
        ("layer { >", "n:1:9: expected \"}\" to close \"layer\" of line 1, found \">\""),
        ("}", "n:1:1: expected a field of NetParameter, found \"}\""),
        ("name 'a'", "n:1:6: expected \":\" after \"name\" in NetParameter, found 'a'"),
        ("layer 'a'", "n:1:7: expected \"{\" for \"layer\" in NetParameter, found 'a'"),
        ("name: 'a';; ", "n:1:11: expected a field of NetParameter, found \";\""),
        ("input_dim: [1 2]", "n:1:15: expected \",\" or \"]\" in the list \"input_dim\" in NetParameter, found \"2\""),
        ("input_dim: [1,]", "n:1:15: expected an integer for \"input_dim\" in NetParameter, found \"]\""),
        ("name: 'a'\n\n  name: 'b'", "n:3:3: \"name\" in NetParameter is given twice, first on line 1"),
        ("layer { clip_param { min: 0 } }", "n:1:9: \"max\" in ClipParameter is missing and has no default"),
        ("é: 1", "n:1:1: character é cannot stand outside quotes"),
    ];
    for (text, message) in cases {
        assert_eq!(net_error(text), message);
    }
}

#[test]
fn enums_by_name_or_number() {
    let pool = |value: &str| {
        let net = net(&format!("layer {{ pooling_param {{ pool: {value} }} }}"));
        net.layer[0].pooling_param.unwrap_or_default().pool()
    };
    assert_eq!(pool("AVE"), PoolMethod::Ave);
    assert_eq!(pool("2"), PoolMethod::Stochastic);
    assert_eq!(pool("0x1"), PoolMethod::Ave);
    let error = |value: &str| net_error(&format!("layer {{ pooling_param {{ pool: {value} }} }}"));
    assert_eq!(error("7"), "n:1:31: unknown value 7 for \"pool\" in PoolingParameter; use MAX, AVE or STOCHASTIC");
    assert_eq!(error("AVG"), "n:1:31: unknown value \"AVG\" for \"pool\" in PoolingParameter; did you mean AVE?");
    assert_eq!(
        error("'MAX'"),
        "n:1:31: expected MAX, AVE or STOCHASTIC for \"pool\" in PoolingParameter without quotes, found 'MAX'"
    );
}

#[test]
fn unknown_fields_are_explained() {
    let cases = [
        ("\n\n  bse_lr: 1", "s:3:3: unknown field \"bse_lr\" in SolverParameter; did you mean \"base_lr\"?"),
        ("BASE_LR: 1", "s:1:1: unknown field \"BASE_LR\" in SolverParameter; did you mean \"base_lr\"?"),
        (
            "larc_eta: 1",
            "s:1:1: unknown field \"larc_eta\" in SolverParameter; it belongs to NVIDIA Caffe, not to Caffe",
        ),
        (
            "eval_type: 'x'",
            "s:1:1: unknown field \"eval_type\" in SolverParameter; it belongs to SSD Caffe, not to Caffe",
        ),
        (
            "layer { }",
            "s:1:1: unknown field \"layer\" in SolverParameter; it is a field of NetParameter: is a brace missing or misplaced, or is this the wrong file?",
        ),
        ("qqqqqqqqqq: 1", "s:1:1: unknown field \"qqqqqqqqqq\" in SolverParameter"),
        ("source_line: 1", "s:1:1: unknown field \"source_line\" in SolverParameter"),
    ];
    for (text, message) in cases {
        assert_eq!(solver_error(text), message);
    }
    let cases = [
        ("layer { lr_mult: 1 }", "n:1:9: unknown field \"lr_mult\" in LayerParameter; write it inside param { }"),
        (
            "base_lr: 1",
            "n:1:1: unknown field \"base_lr\" in NetParameter; it is a field of SolverParameter: is a brace missing or misplaced, or is this the wrong file?",
        ),
        (
            "layer { dropout_param { wxyzwxyz: 1 } }",
            "n:1:25: unknown field \"wxyzwxyz\" in DropoutParameter; its fields are dropout_ratio",
        ),
        (
            "layer { type: CONVOLUTION }",
            "n:1:15: expected a quoted string for \"type\" in LayerParameter such as \"Convolution\" (an unquoted type belongs to the older \"layers\"), found \"CONVOLUTION\"",
        ),
        ("layer { source_line: 1 }", "n:1:9: unknown field \"source_line\" in LayerParameter"),
    ];
    for (text, message) in cases {
        assert_eq!(net_error(text), message);
    }
}

#[test]
fn fields_are_found_again_by_their_path() {
    let text = "net: 'n'\n stage { max_iter: 1 }\n  stage {\n    base_lr: 1 max_iter: 2\n  }\nstepvalue: [1, 2]";
    let locations = parse::<SolverParameter>(text, "s").expect("a good solver").locations;
    assert_eq!(locations.line_and_column("net"), Some((1, 1)));
    assert_eq!(locations.line_and_column("stage[1].max_iter"), Some((4, 16)));
    assert_eq!(locations.line_and_column("stage"), Some((2, 2)));
    assert_eq!(locations.line_and_column("stepvalue[1]"), Some((6, 1)));
    assert_eq!(locations.line_and_column("stage[1].stepsize"), None);
    let lines = ["net", "stage[1].max_iter", "stage[1].stepsize", "stepsize"].map(|path| locations.place(path).line);
    assert_eq!(lines, [Some(1), Some(4), Some(3), None]);
    assert_eq!(locations.place("stepsize").file.as_deref(), Some("s"));
    assert_eq!(Locations::default().place("net"), crate::error::Place::default());
}

#[test]
fn layers_know_their_line() {
    let lines = |layers: &[LayerParameter]| layers.iter().map(LayerParameter::source_line).collect::<Vec<_>>();
    let mut net = net("name: 'n'\nlayer {\n  name: 'a' }\n\nlayer { }");
    assert_eq!(lines(&net.layer), [2, 5]);
    clear_source_lines(&mut net);
    assert_eq!(lines(&net.layer), [0, 0]);
}

#[test]
fn a_missing_file_is_named() {
    let error =
        read_solver(Path::new("no/such/solver.prototxt")).map(|document| document.file).expect_err("no such file");
    assert!(matches!(error, Error::Io { .. }));
    assert!(error.to_string().starts_with("no/such/solver.prototxt: "), "{error}");
}

/// The reader recurses with the nesting of types; this is what bounds it.
#[test]
fn no_message_contains_itself() {
    fn check(message: &MessageDescriptor, path: &mut Vec<String>) {
        let name = message.full_name().to_string();
        assert!(!path.contains(&name), "{name} contains itself: {path:?}");
        path.push(name);
        message.fields().filter_map(|field| field.kind().as_message().cloned()).for_each(|inner| check(&inner, path));
        path.pop();
    }
    descriptor::<NetParameter>().parent_pool().all_messages().for_each(|message| check(&message, &mut Vec::new()));
}
