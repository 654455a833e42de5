//! The checks of all ops that have code for cards: a file for each family, a row for each op.

mod elementwise;

use super::check::OpCheck;

/// Families of ops and their checks.
pub static FAMILIES: &[(&str, &[OpCheck])] = &[("elementwise", elementwise::CHECKS)];
