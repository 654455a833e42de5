//! A picture as SVG. Colours are classes of a style sheet with one set for light pages and one for dark ones; words name the
//! program's font first and then what systems have.

use std::fmt::Write;

use super::scene::{Anchor, Ink, Pen, Scene, Shape, Words};

const FONTS: &str = "Inter,system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif";

/// The SVG of a picture.
pub(super) fn text(scene: &Scene) -> String {
    let mut out = String::new();
    let (width, height) = (number(scene.width), number(scene.height));
    // Writing into a String cannot fail.
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" class="rc" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="{FONTS}" role="img">"#
    );
    let _ = writeln!(out, "<title>{}</title>\n<style>\n{}</style>", escaped(&scene.description), style());
    for shape in &scene.shapes {
        out.push_str(&element(shape));
        out.push('\n');
    }
    out.push_str("</svg>\n");
    out
}

/// `f…` fills and `s…` strokes with each ink.
fn style() -> String {
    let rules = |dark: bool| -> String {
        let color = |ink: Ink| if dark { ink.colors().1 } else { ink.colors().0 };
        Ink::all()
            .map(|ink| format!(".rc .f{0}{{fill:#{1:06x}}}.rc .s{0}{{stroke:#{1:06x}}}\n", class(ink), color(ink)))
            .collect()
    };
    format!(
        "{}.rc polyline{{fill:none;stroke-linejoin:round;stroke-linecap:round}}\n@media(prefers-color-scheme:dark){{\n{}}}\n",
        rules(false),
        rules(true)
    )
}

fn class(ink: Ink) -> String {
    match ink {
        Ink::Paper => "p".into(),
        Ink::Text => "t".into(),
        Ink::Quiet => "q".into(),
        Ink::Grid => "g".into(),
        Ink::Hue(index) => (index % super::HUES).to_string(),
    }
}

fn element(shape: &Shape) -> String {
    match shape {
        Shape::Area { x, y, width, height, ink, opacity } => format!(
            r#"<rect class="f{}" x="{}" y="{}" width="{}" height="{}"{}/>"#,
            class(*ink),
            number(*x),
            number(*y),
            number(*width),
            number(*height),
            faded("fill-opacity", *opacity)
        ),
        Shape::Line { points, pen } => line(points, pen),
        Shape::Dots { points, radius, ink, opacity } => {
            // A line of no length with round ends is a dot.
            let path: String = points.iter().map(|(x, y)| format!("M{} {}h0", number(*x), number(*y))).collect();
            let width = number(radius * 2.0);
            let faded = faded("stroke-opacity", *opacity);
            format!(
                r#"<path class="s{}" d="{path}" stroke-width="{width}" stroke-linecap="round" fill="none"{faded}/>"#,
                class(*ink)
            )
        }
        Shape::Words(words) => self::words(words),
    }
}

fn line(points: &[(f32, f32)], pen: &Pen) -> String {
    let places: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
    let dashes = if pen.dashed { r#" stroke-dasharray="5 4""# } else { "" };
    format!(
        r#"<polyline class="s{}" points="{}" stroke-width="{}"{dashes}{}/>"#,
        class(pen.ink),
        places.join(" "),
        number(pen.width),
        faded("stroke-opacity", pen.opacity)
    )
}

fn words(words: &Words) -> String {
    let anchor = match words.anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    };
    let (x, y) = (number(words.x), number(words.y));
    let weight = if words.bold { r#" font-weight="600""# } else { "" };
    let turn = if words.upright { format!(r#" transform="rotate(-90 {x} {y})""#) } else { String::new() };
    let (halo, paint) = if words.halo {
        (" sp", r#" stroke-width="3" stroke-linejoin="round" paint-order="stroke""#)
    } else {
        ("", "")
    };
    format!(
        r#"<text class="f{}{halo}" x="{x}" y="{y}" font-size="{}" text-anchor="{anchor}"{weight}{turn}{paint}>{}</text>"#,
        class(words.ink),
        number(words.size),
        escaped(&words.text)
    )
}

fn faded(attribute: &str, opacity: f32) -> String {
    if opacity < 1.0 { format!(r#" {attribute}="{}""#, number(opacity)) } else { String::new() }
}

/// At most two decimals.
fn number(value: f32) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Text that may stand in XML: no markup, and none of the characters that XML cannot hold.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}
