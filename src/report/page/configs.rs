//! Solver files side by side, with what differs marked.

use super::html::escaped;
use crate::report::runs::Run;

/// The section with the table; nothing when no run says what its solver was.
pub(super) fn section(runs: &[Run]) -> String {
    let configs: Vec<Vec<(String, String)>> =
        runs.iter().map(|run| run.solver_text.as_deref().map(options).unwrap_or_default()).collect();
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in configs.iter().flatten() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return String::new();
    }
    let known: Vec<usize> = (0..runs.len()).filter(|index| !configs[*index].is_empty()).collect();
    let value = |run: usize, name: &str| -> Option<&str> {
        configs[run].iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    };
    let row = |name: &&String| {
        let differs = known.iter().any(|run| value(*run, name) != value(known[0], name));
        let cells: String = known
            .iter()
            .map(|run| format!("<td class=\"text\">{}</td>", escaped(value(*run, name).unwrap_or("–"))))
            .collect();
        format!("<tr class=\"{}\"><th>{}</th>{cells}</tr>\n", if differs { "differs" } else { "same" }, escaped(name))
    };
    let heads: String =
        known.iter().map(|run| format!("<th class=\"text\">{}</th>", escaped(&runs[*run].name))).collect();
    let rows: String = names.iter().map(row).collect();
    let choice = if known.len() > 1 {
        "<p><label><input type=\"checkbox\" id=\"differing\"> only what differs</label></p>\n"
    } else {
        ""
    };
    format!(
        "<section>\n<h2>Solver</h2>\n{choice}<div class=\"scroll\"><table id=\"configs\" class=\"config\">\n<thead><tr>\
         <th>option</th>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n</section>\n"
    )
}

/// The options of a solver in text format as Caffe prints it, one on a line; those of blocks as `block.option`, repeated ones with
/// their number.
fn options(text: &str) -> Vec<(String, String)> {
    let mut blocks: Vec<String> = Vec::new();
    let mut options: Vec<(String, String)> = Vec::new();
    let mut counts: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for line in text.lines().map(str::trim) {
        if let Some(block) = line.strip_suffix('{') {
            let name = blocks
                .iter()
                .cloned()
                .chain([block.trim().trim_end_matches(':').trim_end().to_string()])
                .collect::<Vec<_>>()
                .join(".");
            let count = counts.entry(name).or_insert(0);
            let number = if *count > 0 { format!("[{count}]") } else { String::new() };
            *count += 1;
            blocks.push(format!("{}{number}", block.trim().trim_end_matches(':').trim_end()));
        } else if line == "}" {
            blocks.pop();
        } else if let Some((name, value)) = line.split_once(':') {
            let name = blocks.iter().map(String::as_str).chain([name.trim()]).collect::<Vec<_>>().join(".");
            let value = value.trim().to_string();
            // Lists, such as stepvalue, are one option.
            match options.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => *values += &format!(", {value}"),
                None => options.push((name, value)),
            }
        }
    }
    // The whole net in a solver would hide its options.
    options.retain(|(name, _)| {
        !["net_param", "train_net_param", "test_net_param"].iter().any(|net| name.starts_with(net))
    });
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, text: &str) -> Run {
        Run { name: name.into(), solver_text: Some(text.into()), ..Run::default() }
    }

    #[test]
    fn blocks_and_lists_become_options_of_one_name() {
        let text =
            "base_lr: 0.01\nstepvalue: 10\nstepvalue: 20\nstage {\n  base_lr: 0.1\n}\nstage {\n  base_lr: 0.2\n}\n";
        let found = options(text);
        let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            found,
            [("base_lr", "0.01"), ("stepvalue", "10, 20"), ("stage.base_lr", "0.1"), ("stage[1].base_lr", "0.2")]
        );
    }

    #[test]
    fn what_differs_is_marked() {
        let table = section(&[
            run("a", "base_lr: 0.01\nmomentum: 0.9\n"),
            run("b", "base_lr: 0.02\nmomentum: 0.9\ngamma: <5\n"),
        ]);
        assert!(
            table.contains("<tr class=\"differs\"><th>base_lr</th>")
                && table.contains("<tr class=\"same\"><th>momentum</th>")
        );
        assert!(
            table
                .contains("<tr class=\"differs\"><th>gamma</th><td class=\"text\">–</td><td class=\"text\">&lt;5</td>")
        );
        assert_eq!(section(&[Run::default()]), "");
    }
}
