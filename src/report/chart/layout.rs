//! A chart as a picture: title, legend, grid, bands, curves, marks, axes.

use super::{
    Chart, HEIGHT, Look, Series, Side, WIDTH,
    axis::Ruler,
    curve::{self, Frame},
    font, legend,
    scene::{Anchor, Ink, Pen, Scene, Shape, Words},
};

const TICK: f32 = 12.0;
const LABEL: f32 = 13.0;
const EDGE: f32 = 18.0;
/// The height of a row of marks' labels.
const FLAG: f32 = 17.0;

/// The rulers of a chart.
pub(super) struct Rulers {
    pub x: Ruler,
    pub y: Ruler,
    pub right: Option<Ruler>,
}

impl Rulers {
    /// Rulers on which everything in the chart has its place, with about this many ticks.
    pub fn of(chart: &Chart, across: usize, up: usize) -> Self {
        let values = |side: Side| {
            let belongs = move |series: &&Series| chart.right.is_none() || series.side == side;
            chart.series.iter().filter(belongs).flat_map(|series| series.points.iter()).map(|point| point.1)
        };
        let points = chart.series.iter().flat_map(|series| series.points.iter());
        let extra = chart.bands.iter().flat_map(|band| [band.from, band.to]);
        let x = points.map(|point| point.0).chain(chart.marks.iter().map(|mark| mark.x)).chain(extra);
        Rulers {
            x: Ruler::new(&chart.x, x, across, false),
            y: Ruler::new(&chart.y, values(Side::Left), up, true),
            right: chart.right.as_ref().map(|axis| Ruler::new(axis, values(Side::Right), up, true)),
        }
    }

    /// The rulers of a series.
    pub fn for_series(&self, series: &Series) -> (&Ruler, &Ruler) {
        let right = self.right.as_ref().filter(|_| series.side == Side::Right);
        (&self.x, right.unwrap_or(&self.y))
    }
}

/// The picture of a chart.
pub(super) fn scene(chart: &Chart) -> Scene {
    let rulers = Rulers::of(chart, 7, 6);
    let mut scene = Scene::new(WIDTH, HEIGHT);
    scene.description = description(chart);
    let left = EDGE + axis_room(&rulers.y, &chart.y.label);
    let right = match (&chart.right, &rulers.right) {
        (Some(axis), Some(ruler)) => WIDTH - EDGE - axis_room(ruler, &axis.label),
        _ => WIDTH - 32.0,
    };
    let title = if chart.title.is_empty() { 16.0 } else { 52.0 };
    let places = legend::places(chart, left, right - left);
    let rows = places.last().map_or(0, |(_, _, row)| row + 1);
    let flags = flags(chart, &rulers, left, right);
    let highest = flags.iter().filter_map(|flag| flag.row).max().map_or(0, |row| row + 1);
    let top = title + rows as f32 * legend::ROW + 12.0 + highest as f32 * FLAG;
    let below = if chart.x.label.is_empty() { 38.0 } else { 62.0 };
    // A legend of very many series leaves the curves a third of the picture.
    let frame = Frame { left, top: top.min(HEIGHT * 0.6), right, bottom: HEIGHT - below };
    let mut heading = Words::new(left, 36.0, font::fitting(&chart.title, 17.0, WIDTH - left - EDGE));
    (heading.size, heading.bold, heading.anchor, heading.ink) = (17.0, true, Anchor::Start, Ink::Text);
    scene.write(heading);
    legend::draw(&mut scene, chart, &places, title, right - left);
    bands(&mut scene, chart, &rulers, &frame);
    grid(&mut scene, &rulers, &frame);
    curves(&mut scene, chart, &rulers, &frame);
    marks(&mut scene, &flags, highest, &frame);
    axes(&mut scene, chart, &rulers, &frame);
    scene
}

fn description(chart: &Chart) -> String {
    let names: Vec<&str> =
        chart.series.iter().map(|series| series.name.as_str()).filter(|name| !name.is_empty()).collect();
    let what = if names.is_empty() { chart.y.label.clone() } else { names.join(", ") };
    let title = if chart.title.is_empty() { String::new() } else { format!("{}: ", chart.title) };
    format!("{title}{what} over {}", chart.x.label)
}

/// Room beside the frame for an axis that goes up.
fn axis_room(ruler: &Ruler, label: &str) -> f32 {
    let widest = ruler.ticks.iter().map(|tick| font::width(&tick.label, TICK, false)).fold(0.0, f32::max);
    widest + 9.0 + if label.is_empty() { 0.0 } else { LABEL + 11.0 }
}

fn grid(scene: &mut Scene, rulers: &Rulers, frame: &Frame) {
    let pen = |named: bool| Pen { opacity: if named { 1.0 } else { 0.55 }, ..Pen::new(Ink::Grid, 1.0) };
    for tick in &rulers.y.ticks {
        if let Some(place) = rulers.y.place(tick.value) {
            let y = frame.y(place);
            scene.line((frame.left, y), (frame.right, y), pen(!tick.label.is_empty()));
        }
    }
    for tick in &rulers.x.ticks {
        if let Some(place) = rulers.x.place(tick.value) {
            let x = frame.x(place);
            scene.line((x, frame.top), (x, frame.bottom), pen(!tick.label.is_empty()));
        }
    }
}

fn curves(scene: &mut Scene, chart: &Chart, rulers: &Rulers, frame: &Frame) {
    let hues = legend::hues(&chart.series);
    let mut order: Vec<_> = chart.series.iter().zip(hues).collect();
    // What is looked for stands in front: the curves of the left axis.
    order.sort_by_key(|(series, _)| series.side == Side::Left);
    for (series, hue) in order {
        let places = rulers.for_series(series);
        let pen = legend::pen(series, hue, chart.right.is_some());
        if series.look == Look::Points {
            let points = curve::dots(&series.points, places, frame);
            scene.add(Shape::Dots { points, radius: 2.6, ink: pen.ink, opacity: 0.85 });
            continue;
        }
        for points in curve::lines(&series.points, places, frame) {
            if points.len() == 1 {
                scene.add(Shape::Dots { points, radius: pen.width * 1.3, ink: pen.ink, opacity: pen.opacity });
            } else {
                scene.add(Shape::Line { points, pen });
            }
        }
    }
}

fn bands(scene: &mut Scene, chart: &Chart, rulers: &Rulers, frame: &Frame) {
    for band in &chart.bands {
        let (Some(from), Some(to)) = (rulers.x.place(band.from), rulers.x.place(band.to)) else { continue };
        let (from, to) = (frame.x(from.clamp(0.0, 1.0)), frame.x(to.clamp(0.0, 1.0)));
        let (from, to) = (from.min(to), from.max(to));
        let (y, height) = (frame.top, frame.height());
        scene.add(Shape::Area { x: from, y, width: to - from, height, ink: Ink::Hue(4), opacity: 0.16 });
        let mut words =
            Words::new((from + to) / 2.0, frame.bottom - 9.0, font::fitting(&band.label, TICK, frame.width()));
        let half = font::width(&words.text, TICK, false) / 2.0 + 4.0;
        words.x = words.x.clamp(frame.left + half, (frame.right - half).max(frame.left + half));
        words.halo = true;
        scene.write(words);
    }
}

/// A mark and where its label stands.
struct Flag {
    x: f32,
    text: String,
    /// Where the label begins.
    begin: f32,
    /// Its row above the curves, counted from the top; None where the label has no room.
    row: Option<usize>,
}

/// Marks in order, their labels in rows above the curves: each below those that it would meet.
fn flags(chart: &Chart, rulers: &Rulers, left: f32, right: f32) -> Vec<Flag> {
    const ROWS: usize = 4;
    let mut sorted: Vec<_> = chart.marks.iter().filter_map(|mark| Some((rulers.x.place(mark.x)?, mark))).collect();
    sorted.retain(|(place, _)| (-1e-9..=1.0 + 1e-9).contains(place));
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut ends = [f32::MIN; ROWS];
    let mut flags = Vec::new();
    for (place, mark) in sorted {
        let x = left + place as f32 * (right - left);
        let text = font::fitting(&mark.label, TICK, (right - left) * 0.6);
        let reach = font::width(&text, TICK, false);
        let begin = if x + 5.0 + reach <= right + 10.0 { x + 5.0 } else { x - 5.0 - reach };
        let row = ends.iter().rposition(|end| *end >= begin).map_or(0, |row| row + 1);
        let row = Some(row).filter(|row| *row < ROWS && !text.is_empty());
        if let Some(row) = row {
            ends[row] = begin + reach + 8.0;
        }
        flags.push(Flag { x, text, begin, row });
    }
    flags
}

/// Vertical lines up to their labels.
fn marks(scene: &mut Scene, flags: &[Flag], rows: usize, frame: &Frame) {
    let pen = Pen { dashed: true, opacity: 0.8, ..Pen::new(Ink::Quiet, 1.2) };
    for flag in flags {
        let above = flag.row.map_or(0.0, |row| (rows - row) as f32 * FLAG);
        scene.line((flag.x, frame.top - above), (flag.x, frame.bottom), pen);
    }
    for Flag { text, begin, row, .. } in flags {
        let Some(row) = row else { continue };
        let mut words = Words::new(*begin, frame.top - (rows - row) as f32 * FLAG + 11.0, text);
        (words.anchor, words.ink, words.halo) = (Anchor::Start, Ink::Text, true);
        scene.write(words);
    }
}

fn axes(scene: &mut Scene, chart: &Chart, rulers: &Rulers, frame: &Frame) {
    scene.line(
        (frame.left, frame.bottom),
        (frame.right, frame.bottom),
        Pen { opacity: 0.6, ..Pen::new(Ink::Quiet, 1.0) },
    );
    let mut end = f32::MIN;
    for tick in &rulers.x.ticks {
        let Some(place) = rulers.x.place(tick.value) else { continue };
        let half = font::width(&tick.label, TICK, false) / 2.0;
        let x = frame.x(place).min(WIDTH - 4.0 - half);
        // Labels that would touch the one before are left out.
        if tick.label.is_empty() || x - half < end + 6.0 {
            continue;
        }
        end = x + half;
        scene.write(Words::new(x, frame.bottom + 20.0, &tick.label));
    }
    let mut label = Words::new((frame.left + frame.right) / 2.0, HEIGHT - 16.0, &chart.x.label);
    (label.size, label.ink) = (LABEL, Ink::Text);
    scene.write(label);
    side(scene, &rulers.y, &chart.y.label, frame, Side::Left);
    if let (Some(axis), Some(ruler)) = (&chart.right, &rulers.right) {
        side(scene, ruler, &axis.label, frame, Side::Right);
    }
}

/// The words of an axis that goes up.
fn side(scene: &mut Scene, ruler: &Ruler, label: &str, frame: &Frame, side: Side) {
    let (x, anchor, label_x) = match side {
        Side::Left => (frame.left - 9.0, Anchor::End, EDGE + LABEL * 0.6),
        Side::Right => (frame.right + 9.0, Anchor::Start, WIDTH - EDGE - LABEL * 0.1),
    };
    for tick in &ruler.ticks {
        let Some(place) = ruler.place(tick.value) else { continue };
        let mut words = Words::new(x, frame.y(place) + TICK * 0.36, &tick.label);
        words.anchor = anchor;
        scene.write(words);
    }
    let mut words = Words::new(label_x, (frame.top + frame.bottom) / 2.0, font::fitting(label, LABEL, frame.height()));
    (words.size, words.ink, words.upright) = (LABEL, Ink::Text, true);
    scene.write(words);
}
