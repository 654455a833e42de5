//! From points to lines on paper: gaps, thinning to what a pixel can show, cutting at the edge.

use super::axis::Ruler;

/// Where on the sheet the curves are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    pub left: f32,
    pub top: f32,
    pub right: f32,
    pub bottom: f32,
}

impl Frame {
    pub fn width(&self) -> f32 {
        self.right - self.left
    }

    pub fn height(&self) -> f32 {
        self.bottom - self.top
    }

    /// The x of a place on the x axis.
    pub fn x(&self, place: f64) -> f32 {
        self.left + place as f32 * self.width()
    }

    /// The y of a place on an axis that goes up.
    pub fn y(&self, place: f64) -> f32 {
        self.bottom - place as f32 * self.height()
    }
}

/// The lines that join the points within the frame; a line of one point is a dot.
pub(super) fn lines(points: &[(f64, f64)], rulers: (&Ruler, &Ruler), frame: &Frame) -> Vec<Vec<(f32, f32)>> {
    let mut lines = Vec::new();
    for piece in places(points, rulers).split(|place| place.is_none()) {
        let piece: Vec<(f64, f64)> = piece.iter().flatten().copied().collect();
        for line in inside(&thinned(&piece, f64::from(frame.width()))) {
            lines.push(line.into_iter().map(|(x, y)| (frame.x(x), frame.y(y))).collect());
        }
    }
    lines
}

/// The points within the frame, one for each that would cover others.
pub(super) fn dots(points: &[(f64, f64)], rulers: (&Ruler, &Ruler), frame: &Frame) -> Vec<(f32, f32)> {
    let mut taken = std::collections::HashSet::new();
    let within = |place: &f64| (-1e-9..=1.0 + 1e-9).contains(place);
    let places = places(points, rulers).into_iter().flatten().filter(|(x, y)| within(x) && within(y));
    let dots = places.map(|(x, y)| (frame.x(x), frame.y(y)));
    dots.filter(|(x, y)| taken.insert(((x * 1.5) as i32, (y * 1.5) as i32))).collect()
}

/// Where points stand, from 0 to 1 on each axis within the frame; None where they have no place.
fn places(points: &[(f64, f64)], (x, y): (&Ruler, &Ruler)) -> Vec<Option<(f64, f64)>> {
    points.iter().map(|(across, up)| Some((x.place(*across)?, y.place(*up)?))).collect()
}

/// Of points that follow each other in one column of pixels: the first, the lowest, the highest and the last.
fn thinned(points: &[(f64, f64)], columns: f64) -> Vec<(f64, f64)> {
    if (points.len() as f64) < 2.0 * columns {
        return points.to_vec();
    }
    let column = |point: &(f64, f64)| (point.0 * columns).floor();
    let mut kept = Vec::new();
    for group in points.chunk_by(|one, next| column(one) == column(next)) {
        let lowest = (0..group.len()).min_by(|one, other| group[*one].1.total_cmp(&group[*other].1)).unwrap_or(0);
        let highest = (0..group.len()).max_by(|one, other| group[*one].1.total_cmp(&group[*other].1)).unwrap_or(0);
        let mut indices = [0, lowest, highest, group.len() - 1];
        indices.sort_unstable();
        let mut last = None;
        for index in indices {
            if last.replace(index) != Some(index) {
                kept.push(group[index]);
            }
        }
    }
    kept
}

/// The parts of a line that lie between 0 and 1 on both axes.
fn inside(points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
    let mut parts: Vec<Vec<(f64, f64)>> = Vec::new();
    if let [point] = points {
        return inside(&[*point, *point]).into_iter().map(|_| vec![*point]).collect();
    }
    let mut open = false;
    for pair in points.windows(2) {
        let Some((from, to, leaves)) = clipped(pair[0], pair[1]) else {
            open = false;
            continue;
        };
        match parts.last_mut().filter(|_| open) {
            Some(part) => part.push(to),
            None => parts.push(vec![from, to]),
        }
        open = !leaves;
    }
    parts
}

/// The part of a straight line that lies within the frame, and whether the line ends outside (Liang and Barsky's method).
#[expect(clippy::type_complexity, reason = "two points and an answer")]
fn clipped(from: (f64, f64), to: (f64, f64)) -> Option<((f64, f64), (f64, f64), bool)> {
    const EDGE: f64 = 1e-9;
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (mut enter, mut leave) = (0.0f64, 1.0f64);
    let sides = [(-dx, from.0 + EDGE), (dx, 1.0 + EDGE - from.0), (-dy, from.1 + EDGE), (dy, 1.0 + EDGE - from.1)];
    for (slope, room) in sides {
        if slope == 0.0 {
            if room < 0.0 {
                return None;
            }
        } else if slope < 0.0 {
            enter = enter.max(room / slope);
        } else {
            leave = leave.min(room / slope);
        }
    }
    let at = |part: f64| (from.0 + part * dx, from.1 + part * dy);
    (enter <= leave).then(|| (at(enter), at(leave), leave < 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::Axis;

    const FRAME: Frame = Frame { left: 0.0, top: 0.0, right: 100.0, bottom: 50.0 };

    fn ruler(low: f64, high: f64) -> Ruler {
        Ruler::new(&Axis::linear("").within(low, high), std::iter::empty(), 5, false)
    }

    fn draw(points: &[(f64, f64)]) -> Vec<Vec<(f32, f32)>> {
        lines(points, (&ruler(0.0, 10.0), &ruler(0.0, 1.0)), &FRAME)
    }

    #[test]
    fn what_is_not_finite_is_a_gap() {
        let drawn = draw(&[(0.0, 0.0), (1.0, 0.5), (2.0, f64::NAN), (5.0, 1.0), (6.0, f64::INFINITY)]);
        assert_eq!(drawn, [vec![(0.0, 50.0), (10.0, 25.0)], vec![(50.0, 0.0)]]);
    }

    #[test]
    fn lines_are_cut_at_the_edge_and_come_back() {
        let drawn = draw(&[(0.0, 0.5), (2.0, 2.5), (4.0, 0.5), (5.0, 0.5)]);
        assert_eq!(drawn.len(), 2, "{drawn:?}");
        assert_eq!(drawn[0], [(0.0, 25.0), (5.0, 0.0)]);
        assert_eq!(drawn[1], [(35.0, 0.0), (40.0, 25.0), (50.0, 25.0)]);
        assert!(draw(&[(0.0, 7.0), (9.0, 8.0)]).is_empty());
    }

    #[test]
    fn thinning_keeps_minima_and_maxima() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|index| (index as f64 / 1e4, 0.5)).collect();
        points[31_234].1 = 0.9;
        points[77_777].1 = 0.1;
        let drawn = draw(&points).concat();
        assert!(drawn.len() < 500, "{}", drawn.len());
        let heights = || drawn.iter().map(|(_, y)| *y);
        assert!((heights().fold(f32::MAX, f32::min) - 5.0).abs() < 1e-4);
        assert!((heights().fold(f32::MIN, f32::max) - 45.0).abs() < 1e-4);
        assert_eq!((drawn[0].0, drawn.last().unwrap().0.round()), (0.0, 100.0));
    }

    #[test]
    fn dots_that_cover_each_other_are_drawn_once() {
        let points: Vec<(f64, f64)> = (0..1000).map(|_| (5.0, 0.5)).chain([(20.0, 0.5)]).collect();
        assert_eq!(dots(&points, (&ruler(0.0, 10.0), &ruler(0.0, 1.0)), &FRAME), [(50.0, 25.0)]);
    }
}
