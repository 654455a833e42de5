//! A heat map as a picture: what is on the diagonal in one colour, what is beside it in another.

use super::{
    Grid, font,
    scene::{Anchor, Ink, Scene, Shape, Words},
};
use crate::error::{Error, Result};

/// The longest name that is shown whole.
const NAME: f32 = 150.0;
const EDGE: f32 = 20.0;

/// The picture of a grid.
///
/// # Errors
/// When there are no classes, or rows and names do not fit each other.
pub(super) fn scene(grid: &Grid) -> Result<Scene> {
    check(grid)?;
    let count = grid.names.len();
    let cell = (640.0 / count as f32).clamp(2.0, 60.0);
    // Not every name has room beside small cells.
    let every = (13.0 / cell).ceil().max(1.0) as usize;
    let size = (cell * 0.7).clamp(9.0, 13.0);
    let names: Vec<String> = grid.names.iter().map(|name| font::fitting(name, size, NAME)).collect();
    let longest = names.iter().map(|name| font::width(name, size, false)).fold(0.0, f32::max);
    let turned = longest > cell - 6.0;
    let side = cell * count as f32;
    let left = EDGE + 26.0 + longest + 10.0;
    let heading = if grid.title.is_empty() { 14.0 } else { 52.0 };
    let top = heading + 24.0 + if turned { longest } else { size } + 10.0;
    let width = (left + side + EDGE).max(left + font::width(&grid.title, 17.0, true) + EDGE);
    let mut scene = Scene::new(width.ceil(), (top + side + EDGE + 8.0).ceil());
    scene.description = description(grid);

    let mut words = Words::new(left, 36.0, &grid.title);
    (words.size, words.bold, words.anchor, words.ink) = (17.0, true, Anchor::Start, Ink::Text);
    scene.write(words);
    let mut words = Words::new(left + side / 2.0, heading + 12.0, &grid.column_label);
    (words.size, words.ink) = (13.0, Ink::Text);
    scene.write(words.clone());
    (words.x, words.y, words.text, words.upright) = (EDGE + 10.0, top + side / 2.0, grid.row_label.clone(), true);
    scene.write(words);

    for (index, name) in names.iter().enumerate().step_by(every) {
        let middle = cell * (index as f32 + 0.5);
        let mut words = Words::new(left - 8.0, top + middle + size * 0.36, name);
        (words.size, words.anchor) = (size, Anchor::End);
        scene.write(words.clone());
        (words.x, words.y) = (left + middle, top - 9.0);
        words.anchor = Anchor::Middle;
        if turned {
            (words.x, words.anchor, words.upright) = (left + middle + size * 0.36, Anchor::Start, true);
        }
        scene.write(words);
    }
    cells(&mut scene, grid, (left, top), cell);
    Ok(scene)
}

fn check(grid: &Grid) -> Result<()> {
    let count = grid.names.len();
    if count == 0 {
        return Err(Error::config("the grid", "has no classes"));
    }
    let fits = grid.values.len() == count && grid.values.iter().all(|row| row.len() == count);
    if !fits {
        let message = format!("needs {count} rows of {count} values, one for each of the {count} names");
        return Err(Error::config("the grid", message));
    }
    Ok(())
}

fn description(grid: &Grid) -> String {
    let what = format!("{} by {} of {} classes", grid.row_label, grid.column_label, grid.names.len());
    if grid.title.is_empty() { what } else { format!("{}: {what}", grid.title) }
}

fn cells(scene: &mut Scene, grid: &Grid, (left, top): (f32, f32), cell: f32) {
    let gap = if cell > 12.0 { 1.0 } else { 0.0 };
    let largest = grid.values.iter().flatten().max().copied().unwrap_or(0);
    let size = (cell * 0.34).clamp(7.0, 14.0);
    let counts = font::width(&largest.to_string(), size, false) + 4.0 <= cell;
    // The ground shows where rows and columns are though cells are empty.
    let side = cell * grid.names.len() as f32;
    scene.add(Shape::Area { x: left, y: top, width: side, height: side, ink: Ink::Grid, opacity: 0.45 });
    for (row, values) in grid.values.iter().enumerate() {
        let total: u64 = values.iter().sum();
        for (column, value) in values.iter().enumerate().filter(|(_, value)| **value > 0) {
            let share = *value as f32 / total as f32;
            // Few of many still show.
            let opacity = 0.08 + 0.92 * share.sqrt();
            let (x, y) = (left + cell * column as f32, top + cell * row as f32);
            let ink = Ink::Hue(usize::from(row != column));
            let room = cell - gap;
            scene.add(Shape::Area { x, y, width: room, height: room, ink: Ink::Paper, opacity: 1.0 });
            scene.add(Shape::Area { x, y, width: room, height: room, ink, opacity });
            if counts {
                let mut words = Words::new(x + room / 2.0, y + room / 2.0 + size * 0.36, value.to_string());
                (words.size, words.ink) = (size, if opacity > 0.55 { Ink::Paper } else { Ink::Text });
                scene.write(words);
            }
        }
    }
}
