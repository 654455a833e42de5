//! A chart as text: the first line in Braille dots, eight to a character, further series in signs of their own.

use super::{
    Chart, Look,
    axis::{Ruler, Tick},
    curve::{self, Frame},
    layout::Rulers,
};

/// The signs of series after the first.
const SIGNS: [char; 6] = ['•', '+', '×', 'o', '*', '#'];
const FAINT: char = '·';
/// The Braille bit of each dot: by row, left and right.
const BITS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// The text of a chart: title, legend, frame with ticks, label of the x axis.
pub(super) fn text(chart: &Chart, columns: usize, rows: usize) -> String {
    let (columns, rows) = (columns.max(30), rows.max(8));
    let rulers = Rulers::of(chart, columns / 14, rows / 4);
    let widest = |ruler: &Ruler| ruler.ticks.iter().map(|tick| length(&tick.label)).max().unwrap_or(0);
    let left = widest(&rulers.y);
    let right = rulers.right.as_ref().map_or(0, |ruler| widest(ruler) + 1);
    let legend = legend(chart);
    let around = 2
        + usize::from(!chart.title.is_empty())
        + usize::from(!legend.is_empty())
        + usize::from(!chart.x.label.is_empty());
    let mut sheet = Sheet::new((columns - left - right).saturating_sub(3).max(8), rows.saturating_sub(around).max(3));
    draw(&mut sheet, chart, &rulers);

    let mut out = String::new();
    let mut add = |line: &str| {
        out.push_str(line.trim_end());
        out.push('\n');
    };
    let indent = " ".repeat(left + 2);
    if !chart.title.is_empty() {
        add(&format!("{indent}{}", cut(&chart.title, columns - left - 2)));
    }
    if !legend.is_empty() {
        add(&format!("{indent}{}", cut(&legend, columns - left - 2)));
    }
    let (names, others) =
        (sheet.names_of_rows(&rulers.y), rulers.right.as_ref().map(|ruler| sheet.names_of_rows(ruler)));
    for (row, name) in names.iter().enumerate() {
        let line = sheet.line(row);
        let edge = if name.is_empty() { '│' } else { '┤' };
        let other = others.as_ref().map_or(String::new(), |names| format!("│{}", names[row]));
        add(&format!("{name:>left$} {edge}{line}{other}"));
    }
    let (edge, names) = sheet.axis(&rulers.x);
    add(&format!("{} └{edge}", " ".repeat(left)));
    add(&format!("{indent}{names}"));
    if !chart.x.label.is_empty() {
        let over = sheet.columns.saturating_sub(length(&chart.x.label)) / 2;
        add(&format!("{indent}{}{}", " ".repeat(over), chart.x.label));
    }
    out
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn cut(text: &str, room: usize) -> String {
    if length(text) <= room {
        text.to_string()
    } else {
        text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    }
}

/// The sign of each series; None draws Braille.
fn signs(chart: &Chart) -> Vec<Option<char>> {
    let mut lines = 0;
    let sign = |look: Look| match look {
        Look::Faint => Some(FAINT),
        _ => {
            lines += 1;
            (lines > 1).then(|| SIGNS[(lines - 2) % SIGNS.len()])
        }
    };
    chart.series.iter().map(|series| series.look).map(sign).collect()
}

fn legend(chart: &Chart) -> String {
    let entries = chart.series.iter().zip(signs(chart)).filter(|(series, _)| !series.name.is_empty());
    let entries: Vec<String> =
        entries.map(|(series, sign)| format!("{} {}", sign.unwrap_or('⠒'), series.name)).collect();
    entries.join("   ")
}

fn draw(sheet: &mut Sheet, chart: &Chart, rulers: &Rulers) {
    let frame = sheet.frame();
    for mark in &chart.marks {
        let Some(place) = rulers.x.place(mark.x).filter(|place| (0.0..=1.0).contains(place)) else { continue };
        let column = (frame.x(place) / 2.0) as usize;
        (0..sheet.rows).for_each(|row| sheet.sign(column, row, '┊'));
    }
    let mut order: Vec<_> = chart.series.iter().zip(signs(chart)).collect();
    // Raw values stay behind.
    order.sort_by_key(|(series, _)| series.look != Look::Faint);
    for (series, sign) in order {
        let places = rulers.for_series(series);
        let pieces = match series.look {
            Look::Line => curve::lines(&series.points, places, &frame),
            Look::Points | Look::Faint => {
                curve::dots(&series.points, places, &frame).into_iter().map(|dot| vec![dot]).collect()
            }
        };
        for piece in &pieces {
            piece.first().iter().for_each(|dot| sheet.dot(**dot, sign));
            for pair in piece.windows(2) {
                sheet.stroke(pair[0], pair[1], sign);
            }
        }
    }
}

/// A sheet of characters, each two dots wide and four high.
struct Sheet {
    columns: usize,
    rows: usize,
    cells: Vec<char>,
}

impl Sheet {
    fn new(columns: usize, rows: usize) -> Self {
        Sheet { columns, rows, cells: vec![' '; columns * rows] }
    }

    fn frame(&self) -> Frame {
        Frame { left: 0.0, top: 0.0, right: (self.columns * 2 - 1) as f32, bottom: (self.rows * 4 - 1) as f32 }
    }

    fn stroke(&mut self, from: (f32, f32), to: (f32, f32), sign: Option<char>) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let steps = dx.abs().max(dy.abs()).ceil().max(1.0);
        for step in 0..=steps as usize {
            let part = step as f32 / steps;
            self.dot((from.0 + dx * part, from.1 + dy * part), sign);
        }
    }

    fn dot(&mut self, (x, y): (f32, f32), sign: Option<char>) {
        let (x, y) = (x.round().max(0.0) as usize, y.round().max(0.0) as usize);
        let (column, row) = (x / 2, y / 4);
        if let Some(sign) = sign {
            return self.sign(column, row, sign);
        }
        let bit = BITS[y % 4][x % 2];
        if let Some(cell) = self.cell(column, row) {
            let bits = (*cell as u32).checked_sub(0x2800).filter(|bits| *bits < 256).unwrap_or(0);
            *cell = char::from_u32(0x2800 + (bits | bit)).unwrap_or(' ');
        }
    }

    fn sign(&mut self, column: usize, row: usize, sign: char) {
        if let Some(cell) = self.cell(column, row) {
            *cell = sign;
        }
    }

    fn cell(&mut self, column: usize, row: usize) -> Option<&mut char> {
        if column >= self.columns { None } else { self.cells.get_mut(row * self.columns + column) }
    }

    fn line(&self, row: usize) -> String {
        self.cells[row * self.columns..(row + 1) * self.columns].iter().collect()
    }

    /// What stands beside each row.
    fn names_of_rows(&self, ruler: &Ruler) -> Vec<String> {
        let mut names = vec![String::new(); self.rows];
        for Tick { value, label } in &ruler.ticks {
            if let Some(place) = ruler.place(*value).filter(|place| (-0.01..=1.01).contains(place)) {
                let row = (self.frame().y(place).max(0.0) / 4.0) as usize;
                names[row.min(self.rows - 1)].clone_from(label);
            }
        }
        names
    }

    /// The axis below, and the names of its ticks.
    fn axis(&self, ruler: &Ruler) -> (String, String) {
        let mut edge = vec!['─'; self.columns];
        let mut names = vec![' '; self.columns];
        let mut free = 0;
        for Tick { value, label } in ruler.ticks.iter().filter(|tick| !tick.label.is_empty()) {
            let Some(place) = ruler.place(*value).filter(|place| (-0.01..=1.01).contains(place)) else { continue };
            let column = ((self.frame().x(place).max(0.0) / 2.0) as usize).min(self.columns - 1);
            edge[column] = '┬';
            let reach = length(label);
            let start = column.saturating_sub(reach / 2).min(self.columns.saturating_sub(reach));
            if start >= free {
                names.iter_mut().skip(start).zip(label.chars()).for_each(|(name, letter)| *name = letter);
                free = start + reach + 1;
            }
        }
        (edge.into_iter().collect(), names.into_iter().collect())
    }
}
