//! Which colour each series has, and the legend, in rows between the title and the curves.

use super::{
    Chart, HUES, Look, Series, Side, font,
    scene::{Anchor, Ink, Pen, Scene, Shape, Words},
};

const SIZE: f32 = 13.0;
const SWATCH: f32 = 24.0;
const GAP: f32 = 22.0;
pub(super) const ROW: f32 = 21.0;

/// The colour of each series: the one that it asks for or the next; raw values share that of the line in front of them.
pub(super) fn hues(series: &[Series]) -> Vec<usize> {
    let mut next = 0;
    let hue = |series: &Series| {
        let hue = series.hue.unwrap_or(next);
        if series.look != Look::Faint && series.hue.is_none() {
            next += 1;
        }
        hue
    };
    series.iter().map(hue).collect()
}

/// The pen of a series' line.
pub(super) fn pen(series: &Series, hue: usize, two_axes: bool) -> Pen {
    let right = two_axes && series.side == Side::Right;
    let (width, opacity) = match series.look {
        Look::Faint => (1.0, 0.35),
        _ if right => (1.4, 0.85),
        _ => (2.0, 1.0),
    };
    Pen { ink: Ink::Hue(hue), width, opacity, dashed: right || hue >= HUES }
}

/// Where the entries of the legend stand: series, x, row; from `left`, no wider than `room`.
pub(super) fn places(chart: &Chart, left: f32, room: f32) -> Vec<(usize, f32, usize)> {
    let (mut x, mut row) = (0.0, 0);
    let mut places = Vec::new();
    for (index, series) in chart.series.iter().enumerate() {
        if series.name.is_empty() {
            continue;
        }
        let reach = SWATCH + 7.0 + font::width(&name(series, room), SIZE, false);
        if x > 0.0 && x + reach > room {
            (x, row) = (0.0, row + 1);
        }
        places.push((index, left + x, row));
        x += reach + GAP;
    }
    places
}

/// Draws the legend; `top` is the top of its first row.
pub(super) fn draw(scene: &mut Scene, chart: &Chart, places: &[(usize, f32, usize)], top: f32, room: f32) {
    let hues = hues(&chart.series);
    for (index, x, row) in places {
        let (series, hue) = (&chart.series[*index], hues[*index]);
        let middle = top + ROW * *row as f32 + ROW / 2.0;
        let pen = pen(series, hue, chart.right.is_some());
        if series.look == Look::Points {
            let points = vec![(x + SWATCH / 2.0, middle)];
            scene.add(Shape::Dots { points, radius: 3.5, ink: pen.ink, opacity: 1.0 });
        } else {
            let pen = Pen { width: pen.width.max(1.5), ..pen };
            scene.line((*x, middle), (x + SWATCH, middle), pen);
        }
        let mut words = Words::new(x + SWATCH + 7.0, middle + SIZE * 0.36, name(series, room));
        (words.size, words.anchor, words.ink) = (SIZE, Anchor::Start, Ink::Text);
        scene.write(words);
    }
}

fn name(series: &Series, room: f32) -> String {
    font::fitting(&series.name, SIZE, room - SWATCH - 7.0)
}
