//! Pictures and pages that the program makes of runs: their sizes, titles and series.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::tempdir;

use crate::program::{error, run, run_in, stderr, stdout};

/// Logs that Caffe 1.0 wrote.
fn golden(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/log").join(name).display().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn plot(folder: &Path, arguments: &[&str]) -> PathBuf {
    let output = run_in(folder, &[&["plot"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    folder.join(arguments.last().expect("a file"))
}

/// Width and height of a PNG, from its header.
fn png_size(path: &Path) -> (u32, u32) {
    let bytes = fs::read(path).expect("a picture");
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    (number(16), number(20))
}

#[test]
fn a_caffe_log_becomes_a_picture_with_accuracy_and_rate() {
    let folder = tempdir().expect("a folder");
    let svg = read(&plot(folder.path(), &[&golden("table2_first_cycle.log"), "-o", "run.svg"]));
    assert!(svg.contains(r#"width="960" height="540""#));
    for words in [">table2_first_cycle<", ">accuracy<", ">learning rate<", ">iteration<", ">4,000<", ">0.005<"] {
        assert!(svg.contains(words), "{words}\n{svg}");
    }
    // One line in the legend and one curve for each of the two.
    assert_eq!((svg.matches(r#"class="s0""#).count(), svg.matches(r#"class="s1""#).count()), (2, 2));
    let png = plot(folder.path(), &[&golden("caffe.log"), "-o", "run.png"]);
    assert_eq!(png_size(&png), (1920, 1080));
}

#[test]
fn several_runs_have_a_name_and_a_colour_each() {
    let folder = tempdir().expect("a folder");
    let (one, two) = (format!("short={}", golden("caffe.log")), format!("long={}", golden("table2_first_cycle.log")));
    let arguments = [&one, &two, "--y", "loss", "--smooth", "5", "--title", "Two runs", "-o", "runs.svg"];
    let svg = read(&plot(folder.path(), &arguments));
    for words in [">Two runs<", ">short<", ">long<", ">loss<"] {
        assert!(svg.contains(words), "{words}\n{svg}");
    }
    assert!(svg.contains(r#"stroke-opacity="0.35""#), "the raw values are missing");
    assert!(!svg.contains(">learning rate<"));
}

#[test]
fn a_picture_without_a_file_is_drawn_in_the_terminal() {
    let output = run(&["plot", &golden("caffe.log"), "--y", "loss", "--x", "lr"]);
    let text = stdout(&output);
    assert!(output.status.success() && text.contains('└') && text.contains("learning rate"), "{text}");
    assert!(text.chars().any(|letter| ('\u{2801}'..='\u{28ff}').contains(&letter)), "{text}");
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let log = golden("caffe.log");
    let message = error(&run(&["plot", &log, "-o", "run.pdf"]));
    assert_eq!(message, "run.pdf: pictures are written as .svg or .png: give one of these");
    let message = error(&run(&["plot", &log, "--y", "top5"]));
    assert!(message.starts_with("--y top5: caffe has no such quantity; there are: "), "{message}");
    let message = error(&run(&["report", &log, "--time", &log]));
    assert!(message.ends_with("holds no times of layers: give a file with what `rcaffe time` printed"), "{message}");
}

#[test]
fn a_report_is_one_page_with_curves_numbers_solvers_and_confusions() {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("confusion.csv"), "cat,dog\n90,10\n25,75\n").expect("a file");
    let arguments = ["report", &golden("caffe.log"), &golden("table2_first_cycle.log"), "-o", "report.html"];
    let output =
        run_in(folder.path(), &[&arguments[..], &["--confusion", "confusion.csv", "--title", "Both"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let page = read(&folder.path().join("report.html"));
    for part in [
        "<title>Both</title>",
        "id=\"panel0\"",
        "id=\"numbers\"",
        "id=\"configs\"",
        "id=\"layers\"",
        "id=\"confusions\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // The solvers differ in this and agree in that.
    assert!(
        page.contains("<tr class=\"differs\"><th>base_lr</th>")
            && page.contains("<tr class=\"same\"><th>momentum</th>")
    );
    assert!(page.contains("<tr><th>dog</th><td class=\"text\">cat</td><td>25</td><td>25.0 %</td></tr>"));
    assert!(page.contains("\"name\":\"table2_first_cycle\"") && page.len() < 250_000, "{}", page.len());
    for outside in ["src=\"", "href=\"http", "url(http", "@import"] {
        assert!(!page.contains(outside), "{outside}: a page loads nothing");
    }
}

#[test]
fn a_run_keeps_its_page_current_and_leaves_it_finished() {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("solver.prototxt"), SOLVER).expect("a file");
    let output = run_in(folder.path(), &["train", "--solver", "solver.prototxt", "--report", "run.html"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let page = read(&folder.path().join("run.html"));
    assert!(page.contains("<h1>solver</h1>") && page.contains("\"live\":false"));
    assert!(page.contains("\"title\":\"learning rate\"") && page.contains("\"title\":\"loss\""));
    let resumed =
        ["train", "--solver", "solver.prototxt", "--snapshot", "net_iter_20.solverstate", "--report", "run.html"];
    let output = run_in(folder.path(), &resumed);
    assert!(output.status.success(), "{}", stderr(&output));
    let page = read(&folder.path().join("run.html"));
    let begins = page.contains("\"records\":{\"iter\":[0,") || page.contains("\"iter\":[0,");
    assert!(begins, "the iterations before the snapshot are missing");
}

const SOLVER: &str = r#"
net_param {
  layer { name: "data" type: "DummyData" top: "x" top: "y"
    dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 1 } data_filler { type: "gaussian" std: 1 } } }
  layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 1 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "y" top: "loss" }
}
lr_policy: "triangular" base_lr: 0.001 max_lr: 0.01 stepsize: 10 max_iter: 40 display: 5 snapshot: 20 snapshot_prefix: "net"
"#;
