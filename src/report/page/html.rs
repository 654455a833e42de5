//! The page as text.

use super::{Page, configs, confusion, data, layers, numbers};
use crate::{error::Result, report::chart};

const STYLE: &str = include_str!("assets/page.css");
const SCRIPT: &str = include_str!("assets/page.js");
const UPLOT: &str = include_str!("assets/uplot.js");
const UPLOT_STYLE: &str = include_str!("assets/uplot.css");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// The whole page.
pub(super) fn page(page: &Page) -> Result<String> {
    let names: Vec<&str> = page.runs.iter().map(|run| run.name.as_str()).collect();
    let title = if page.title.is_empty() { names.join(", ") } else { page.title.clone() };
    let title = escaped(if title.is_empty() { "rcaffe" } else { &title });
    let curves = data::Curves::of(page);
    let sections = [
        panels(&curves),
        numbers::section(&page.runs),
        configs::section(&page.runs),
        layers::section(&page.layers),
        confusion::section(page.confusion.as_ref())?,
    ];
    let when = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S");
    let state = if page.live { ", the run goes on: this page loads itself again" } else { "" };
    let count = match page.runs.len() {
        1 => String::new(),
        count => format!("{count} runs, "),
    };
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>\n{UPLOT_STYLE}\n{}{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n<p class=\"quiet\">{count}written {when}{state}</p>\n{}\
         <footer>rcaffe {}. Curves by uPlot, © Leon Sorokin, MIT License.</footer>\n</main>\n\
         <script type=\"application/json\" id=\"data\">{}</script>\n<script>\n{UPLOT}\n</script>\n<script>\n{SCRIPT}</script>\n\
         </body>\n</html>\n",
        hues(),
        sections.concat(),
        env!("CARGO_PKG_VERSION"),
        curves.json(page.live),
    ))
}

/// The colours of curves as variables of the style sheet.
fn hues() -> String {
    let rule = |dark: bool| -> String {
        let colors = chart::colors();
        let color =
            |(index, pair): (usize, &(u32, u32))| format!("--h{index}:#{:06x};", if dark { pair.1 } else { pair.0 });
        colors.iter().enumerate().map(color).collect()
    };
    format!(":root{{{}}}\n@media(prefers-color-scheme:dark){{:root{{{}}}}}\n", rule(false), rule(true))
}

fn panels(curves: &data::Curves) -> String {
    let places: String = curves
        .panels
        .iter()
        .enumerate()
        .map(|(index, panel)| {
            format!("<div class=\"panel\"><h3>{}</h3><div id=\"panel{index}\"></div></div>\n", escaped(&panel.title))
        })
        .collect();
    format!(
        "<section>\n<div class=\"controls\" id=\"controls\" hidden>\n<span class=\"choice\" id=\"over\" role=\"group\" \
         aria-label=\"x axis\"></span>\n<label>mean of <input type=\"range\" id=\"smooth\" min=\"1\" max=\"101\" step=\"2\"> \
         <span id=\"smoothed\">1</span></label>\n<label><input type=\"checkbox\" id=\"log\"> log loss</label>\n\
         <button class=\"reset\" id=\"reset\" disabled>whole run</button>\n</div>\n\
         <p class=\"quiet\">Drag over a curve to zoom, double-click for the whole run; with two fingers on a phone. \
         A name below a curve hides or shows it.</p>\n<noscript><p>The curves need JavaScript.</p></noscript>\n{places}</section>\n"
    )
}

/// Text that may stand in HTML, in quotes too.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
