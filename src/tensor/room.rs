//! How large blobs may be: as many values as Caffe can count, as many bytes as the machine has.
//!
//! A net that asks for more ends in an error that names the layer, before any memory is asked for.

use std::fs;

use super::Shape;

/// Values of the largest blob that Caffe allows.
pub const MOST_VALUES: usize = i32::MAX as usize;

impl Shape {
    /// Whether a blob of this shape, and each part of it, has no more than [`MOST_VALUES`] values; dimensions of 0 do not excuse the
    /// others.
    pub fn is_countable(&self) -> bool {
        let count = self.dims().iter().try_fold(1usize, |count, &dim| count.checked_mul(dim.max(1)));
        count.is_some_and(|count| count <= MOST_VALUES)
    }
}

/// The bytes that the blobs of one net may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room(usize);

impl Room {
    /// So many bytes.
    pub fn of_bytes(bytes: usize) -> Self {
        Room(bytes)
    }

    /// All memory of this machine, or what the control group that the program runs in may take of it; no limit where neither is
    /// known.
    pub fn of_this_machine() -> Self {
        let physical = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
            Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? * 1024)
        });
        let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
        Room(physical.into_iter().chain(group).min().unwrap_or(usize::MAX))
    }

    /// Checks that a blob of this shape, data and gradient, has room.
    ///
    /// # Errors
    /// Says why it has none.
    pub fn check(self, shape: &Shape) -> Result<(), String> {
        if !shape.is_countable() {
            return Err(format!("{shape} is more than the {MOST_VALUES} values that a blob can hold"));
        }
        self.check_bytes(2 * shape.count() * size_of::<f32>())
    }

    /// Checks that so many bytes have room.
    ///
    /// # Errors
    /// Says how many there are.
    pub fn check_bytes(self, bytes: usize) -> Result<(), String> {
        if bytes <= self.0 {
            return Ok(());
        }
        let gigabytes = |bytes: usize| bytes as f64 / 1e9;
        Err(format!("{:.1} GB are needed, there are {:.1} GB", gigabytes(bytes), gigabytes(self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_cannot_be_counted_or_held_are_refused() {
        let room = Room::of_bytes(1_000);
        assert_eq!(room.check(&Shape::from([25, 5])), Ok(()));
        assert_eq!(room.check(&Shape::from([126])), Err("0.0 GB are needed, there are 0.0 GB".into()));
        let message = room.check(&Shape::from([usize::MAX, 3])).unwrap_err();
        assert!(message.contains("more than the 2147483647 values"), "{message}");
        assert!(room.check(&Shape::from([0, 1 << 40, 1 << 40])).is_err() && room.check(&Shape::from([0, 7])).is_ok());
        assert!(Room::of_this_machine().check_bytes(1 << 20).is_ok());
    }
}
