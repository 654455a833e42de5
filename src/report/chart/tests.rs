//! Whole pictures: what is in them and that nothing is outside.

use super::*;

fn example() -> Chart {
    let accuracy = (0..=50).map(|index| (f64::from(index) * 500.0, 0.8 - 0.7 / (1.0 + f64::from(index)))).collect();
    let triangle = |index: i32| f64::from(25 - (index % 50 - 25).abs()) / 25.0;
    let rate = (0..=50).map(|index| (f64::from(index) * 500.0, 0.001 + 0.005 * triangle(index))).collect();
    Chart {
        title: "CIFAR-10 <full> & \"more\"".into(),
        right: Some(Axis::linear("learning rate")),
        series: vec![Series::new("accuracy", accuracy), Series::new("learning rate", rate).right()],
        marks: vec![Mark { x: 12_500.0, label: "end of cycle 1".into() }],
        bands: vec![Band { from: 2_000.0, to: 6_000.0, label: "range".into() }],
        ..Chart::new(Axis::linear("iteration"), Axis::linear("test accuracy"))
    }
}

/// The decoded pixels of a PNG file.
fn decoded(path: &Path) -> image::RgbImage {
    image::open(path).unwrap().to_rgb8()
}

#[test]
fn an_svg_holds_every_word_escaped_and_colours_for_both_kinds_of_page() {
    let svg = example().svg().unwrap();
    for words in [
        "CIFAR-10 &lt;full&gt; &amp; &quot;more&quot;",
        ">iteration<",
        ">test accuracy<",
        ">20,000<",
        ">0.006<",
        ">end of cycle 1<",
    ] {
        assert!(svg.contains(words), "{words}\n{svg}");
    }
    assert!(svg.contains(r#"viewBox="0 0 960 540""#) && svg.contains("prefers-color-scheme:dark"));
    assert!(svg.trim_end().ends_with("</svg>") && !svg.contains("NaN") && !svg.contains("inf"));
}

#[test]
fn a_png_has_two_pixels_for_each_point_and_the_colours_of_the_series() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chart.png");
    example().write(&path).unwrap();
    let picture = decoded(&path);
    assert_eq!(picture.dimensions(), (1920, 1080));
    let count = |color: [u8; 3]| picture.pixels().filter(|pixel| pixel.0 == color).count();
    assert!(count([0xff, 0xff, 0xff]) > 1_000_000);
    assert!(count([0x00, 0x72, 0xb2]) > 1_000, "the first series is missing");
}

#[test]
fn words_stay_on_the_sheet() {
    let mut chart = example();
    chart.title = "A very long title that goes on and on ".repeat(8);
    chart.y.label = "a label that is longer than the axis is high ".repeat(4);
    chart.series.extend((0..40).map(|index| Series::new(format!("run {index} with a rather long name"), Vec::new())));
    let scene = layout::scene(&chart);
    for shape in &scene.shapes {
        let scene::Shape::Words(words) = shape else { continue };
        let reach = font::width(&words.text, words.size, words.bold);
        let start = match words.anchor {
            scene::Anchor::Start => 0.0,
            scene::Anchor::Middle => -reach / 2.0,
            scene::Anchor::End => -reach,
        };
        let (low, high) = if words.upright {
            (words.y - start - reach, words.y - start)
        } else {
            (words.x + start, words.x + start + reach)
        };
        let room = if words.upright { scene.height } else { scene.width };
        assert!(low >= -0.5 && high <= room + 0.5, "{words:?} reaches from {low} to {high}");
    }
}

#[test]
fn charts_without_points_draw_their_axes() {
    let mut chart = Chart::new(Axis::log("learning rate"), Axis::linear("loss"));
    assert!(chart.svg().unwrap().contains(">loss<"));
    chart.series.push(Series::new("nothing finite", vec![(0.1, f64::NAN), (f64::INFINITY, 1.0)]));
    assert!(chart.svg().unwrap().contains(">nothing finite<"));
    assert!(chart.terminal(0, 0).contains('└'));
}

#[test]
fn raw_values_share_the_colour_of_the_line_before_them() {
    let faint = Series::new("raw", Vec::new()).look(Look::Faint);
    let series = [faint.clone(), Series::new("one", Vec::new()), faint, Series::new("two", Vec::new())];
    assert_eq!(legend::hues(&series), [0, 0, 1, 1]);
}

#[test]
fn another_extension_is_refused_with_both_names() {
    let error = example().write(Path::new("chart.pdf")).unwrap_err().to_string();
    assert_eq!(error, "chart.pdf: pictures are written as .svg or .png: give one of these");
    assert!(!Path::new("chart.pdf").exists());
}

#[test]
fn a_terminal_chart_has_the_size_that_was_asked_for() {
    for (columns, rows) in [(80, 24), (40, 10), (120, 40)] {
        let text = example().terminal(columns, rows);
        assert_eq!(text.lines().count(), rows, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= columns), "{text}");
        assert!(text.chars().any(|letter| ('\u{2801}'..='\u{28ff}').contains(&letter)), "{text}");
        assert!(text.contains("• learning rate") && text.contains('┊'), "{text}");
    }
}

#[test]
fn a_grid_names_its_classes_and_shows_its_counts() {
    let names: Vec<String> = ["airplane", "automobile", "bird"].map(String::from).to_vec();
    let values = vec![vec![900, 60, 40], vec![30, 950, 20], vec![0, 0, 0]];
    let mut grid =
        Grid { title: "Confusion".into(), row_label: "truth".into(), column_label: "prediction".into(), names, values };
    let svg = grid.svg().unwrap();
    for words in [">airplane<", ">900<", ">60<", ">truth<", ">prediction<"] {
        assert!(svg.contains(words), "{words}");
    }
    assert!(!svg.contains(">0<") && !svg.contains("NaN"));
    let folder = tempfile::tempdir().unwrap();
    grid.write(&folder.path().join("grid.png")).unwrap();
    assert!(decoded(&folder.path().join("grid.png")).width() > 300);
    grid.values.pop();
    assert_eq!(grid.svg().unwrap_err().to_string(), "the grid: needs 3 rows of 3 values, one for each of the 3 names");
}

#[test]
fn a_grid_of_a_thousand_classes_is_drawn_without_counts() {
    let count = 1000;
    let names = (0..count).map(|index| format!("class {index}")).collect();
    let values = (0..count).map(|row| (0..count).map(|column| u64::from(row == column) * 50).collect()).collect();
    let grid =
        Grid { title: String::new(), row_label: "truth".into(), column_label: "prediction".into(), names, values };
    let svg = grid.svg().unwrap();
    assert!(!svg.contains(">50<") && svg.contains(">class 0<") && svg.len() < 1_000_000);
}
