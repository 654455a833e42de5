//! Checks of a solver's options that do not belong to a schedule or an update rule.

use super::Sources;
use crate::error::Result;

/// Checks options by their ranges.
///
/// # Errors
/// When a value cannot be right; the message names file and line.
pub(super) fn check(sources: &Sources<'_>) -> Result<()> {
    let parameter = sources.parameter;
    let at_least_one = [
        ("average_loss", parameter.average_loss(), "how many losses the shown one is the mean of"),
        ("iter_size", parameter.iter_size(), "how many batches one update sums up"),
    ];
    for (field, value, meaning) in at_least_one {
        if value < 1 {
            return Err(sources.config(field, format!("must be at least 1, not {value}: {meaning}")));
        }
    }
    let not_negative = [
        ("max_iter", parameter.max_iter(), "the iteration to end at"),
        ("display", parameter.display(), "the iterations between two log lines, 0 for none"),
        ("snapshot", parameter.snapshot(), "the iterations between two snapshots, 0 for none"),
        ("test_interval", parameter.test_interval(), "the iterations between two test passes, 0 for none"),
    ];
    for (field, value, meaning) in not_negative {
        if value < 0 {
            return Err(sources.config(field, format!("must not be negative, is {value}: {meaning}")));
        }
    }
    if !matches!(parameter.regularization_type(), "L1" | "L2") {
        let message = format!("unknown regularization type {:?}; there are L1 and L2", parameter.regularization_type());
        return Err(sources.config("regularization_type", message));
    }
    Ok(())
}
