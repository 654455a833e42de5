//! Whole pages: what is in them.

use super::*;
use crate::report::runs::Record;

fn run(name: &str, rate: f64) -> Run {
    let train = (0..5000).map(|index| Record {
        iteration: index,
        seconds: Some(index as f64 / 10.0),
        lr: Some(rate),
        loss: Some(if index == 3000 { f64::NAN } else { 2.0 - index as f64 / 5000.0 }),
        outputs: vec![("loss".into(), 2.0 - index as f64 / 5000.0)],
        ..Record::default()
    });
    let test = [(0, 0.1), (2500, 0.75), (5000, 0.7)].map(|(iteration, accuracy)| Record {
        iteration,
        outputs: vec![("accuracy".into(), accuracy), ("loss".into(), 1.0)],
        ..Record::default()
    });
    let solver = format!("base_lr: {rate}\nmomentum: 0.9\n");
    Run { name: name.into(), train: train.collect(), test: test.to_vec(), solver_text: Some(solver) }
}

fn json(text: &str) -> serde_json::Value {
    let begin = text.find("id=\"data\">").expect("data") + "id=\"data\">".len();
    let end = begin + text[begin..].find("</script>").expect("an end");
    serde_json::from_str(&text[begin..end]).expect("JSON")
}

#[test]
fn a_page_has_panels_for_what_runs_have_and_loads_nothing() {
    let text = html::page(&Page { runs: vec![run("fixed", 0.01), run("cyclical", 0.02)], ..Page::default() }).unwrap();
    let data = json(&text);
    let titles: Vec<&str> =
        data["panels"].as_array().unwrap().iter().map(|panel| panel["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["accuracy", "learning rate", "loss"]);
    let names = |panel: usize| -> Vec<String> {
        let series = data["panels"][panel]["series"].as_array().unwrap();
        series.iter().map(|one| one["name"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(names(0), ["fixed", "cyclical"]);
    assert_eq!(names(2).len(), 6);
    assert_eq!(data["x"], serde_json::json!(["iter", "time", "lr"]));
    let outside =
        |attribute: &str| text.contains(&format!("{attribute}\"http")) || text.contains(&format!("{attribute}\"//"));
    assert!(!outside("src=") && !outside("href=") && text.contains("default-src 'none'"));
    assert!(text.contains("name=\"viewport\"") && text.contains("prefers-color-scheme:dark"));
}

#[test]
fn curves_are_thinned_and_gaps_are_null() {
    let text = html::page(&Page { runs: vec![run("a", 0.01)], ..Page::default() }).unwrap();
    let data = json(&text);
    let loss = &data["panels"][2]["series"][0];
    let values = loss["y"].as_array().unwrap();
    assert!(values.len() < 3100 && values.len() == loss["iter"].as_array().unwrap().len());
    assert!(values.iter().any(|value| value.is_null()));
    assert!(text.len() < 400_000, "{}", text.len());
}

#[test]
fn the_table_has_final_and_best_numbers() {
    let text = html::page(&Page { runs: vec![run("a", 0.01)], ..Page::default() }).unwrap();
    assert!(text.contains("<th>test accuracy, final</th><th>test accuracy, best</th><th>at</th>"));
    assert!(
        text.contains("<td>0.7</td><td>0.75</td><td>2,500</td>"),
        "{}",
        &text[text.find("<table").unwrap()..][..1500]
    );
    assert!(text.contains("<td>5,000</td><td>8:20 min</td>"));
}

#[test]
fn names_of_runs_cannot_break_the_page() {
    let text = html::page(&Page { runs: vec![run("</script><b>\"x\"&", 0.01)], ..Page::default() }).unwrap();
    assert!(!text.contains("</script><b>") && text.contains("&lt;/script&gt;&lt;b&gt;&quot;x&quot;&amp;"));
    assert_eq!(json(&text)["runs"][0]["name"], "</script><b>\"x\"&");
}

#[test]
fn a_page_is_written_without_runs_and_only_a_live_one_loads_itself_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.html");
    write(&Page { live: true, ..Page::default() }, &path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"live\":true") && text.contains("the run goes on") && text.contains("<h1>rcaffe</h1>"));
    write(&Page::default(), &path).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains("\"live\":false"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the page");
}
