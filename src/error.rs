//! The one error type of the crate: where, what, why, what to do.
//!
//! Every message is a single line that a user can act on. Layers and ops say what is wrong; the net adds the place
//! (file, line, layer) with [`Error::at`], the command line prints the result and exits with code 1.

use std::{fmt, io, path::PathBuf};

/// A result with rcaffe's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, by kind.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text file that does not parse: `solvers/x.prototxt:12:3: unknown field "bse_lr" in SolverParameter; ...`.
    #[error("{file}:{line}:{column}: {message}")]
    Parse {
        /// The file as the user named it.
        file: String,
        /// Line, counted from 1.
        line: usize,
        /// Column in characters, counted from 1.
        column: usize,
        /// What is wrong and, where known, what to do.
        message: String,
    },
    /// An option whose value cannot be right.
    #[error("{place}{field}: {message}")]
    Config {
        /// Where the option stands.
        place: Place,
        /// The option as the user writes it, for example `convolution_param.kernel_size`.
        field: String,
        /// Why, and what to do.
        message: String,
    },
    /// Blobs whose shapes or number do not fit.
    #[error("{place}{message}")]
    Shape {
        /// The layer concerned.
        place: Place,
        /// The shapes and why they do not fit.
        message: String,
    },
    /// A data source that cannot be used.
    #[error("{place}{origin}: {message}")]
    Data {
        /// The layer that reads it.
        place: Place,
        /// The database, list or file, with the key where one is known.
        origin: String,
        /// Why, and what to do.
        message: String,
    },
    /// A file that cannot be read or written.
    #[error("{place}{}: {cause}", path.display())]
    Io {
        /// The layer or solver field that names the file.
        place: Place,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// A GPU that cannot be used, or a call on it that failed.
    #[error("{place}{call}: {message}")]
    Cuda {
        /// The layer that was running.
        place: Place,
        /// The call, or what is missing.
        call: String,
        /// What CUDA said, and what to do.
        message: String,
    },
    /// Training that left the finite numbers.
    #[error("training stopped at iteration {iteration}: {message}")]
    NonFinite {
        /// The iteration, counted from 0.
        iteration: usize,
        /// Which value, the learning rate, and the last good snapshot.
        message: String,
    },
}

/// Where an error belongs: a file, a line in it, a layer. Parts that are not known are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub file: Option<String>,
    /// Line, counted from 1.
    pub line: Option<usize>,
    /// The layer as `"conv1" (Convolution)`.
    pub layer: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            match self.line {
                Some(line) => write!(out, "{file}:{line}: ")?,
                None => write!(out, "{file}: ")?,
            }
        }
        match &self.layer {
            Some(layer) => write!(out, "layer {layer}: "),
            None => Ok(()),
        }
    }
}

impl Error {
    /// An option whose value cannot be right; the place is added by whoever knows it.
    pub fn config(field: impl Into<String>, message: impl Into<String>) -> Self {
        Error::Config { place: Place::default(), field: field.into(), message: message.into() }
    }

    /// Blobs whose shapes or number do not fit.
    pub fn shape(message: impl Into<String>) -> Self {
        Error::Shape { place: Place::default(), message: message.into() }
    }

    /// A data source that cannot be used.
    pub fn data(origin: impl Into<String>, message: impl Into<String>) -> Self {
        Error::Data { place: Place::default(), origin: origin.into(), message: message.into() }
    }

    /// A GPU that cannot be used, or a call on it that failed.
    pub fn cuda(call: impl Into<String>, message: impl Into<String>) -> Self {
        Error::Cuda { place: Place::default(), call: call.into(), message: message.into() }
    }

    /// A file that cannot be read or written.
    pub fn io(path: impl Into<PathBuf>, cause: io::Error) -> Self {
        Error::Io { place: Place::default(), path: path.into(), cause }
    }

    /// Where the error belongs, as far as that is known; nothing for those that say it themselves.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Error::Config { place, .. } | Error::Shape { place, .. } => Some(place),
            Error::Data { place, .. } | Error::Io { place, .. } | Error::Cuda { place, .. } => Some(place),
            Error::Parse { .. } | Error::NonFinite { .. } => None,
        }
    }

    /// Adds the place, keeping parts of it that are already known.
    #[must_use]
    pub fn at(mut self, known: &Place) -> Self {
        let place = match &mut self {
            Error::Config { place, .. } | Error::Shape { place, .. } => place,
            Error::Data { place, .. } | Error::Io { place, .. } | Error::Cuda { place, .. } => place,
            Error::Parse { .. } | Error::NonFinite { .. } => return self,
        };
        if place.file.is_none() {
            place.file = known.file.clone();
            place.line = known.line;
        }
        if place.layer.is_none() {
            place.layer = known.layer.clone();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_added_once_and_printed_in_front() {
        let place =
            Place { file: Some("net.prototxt".into()), line: Some(3), layer: Some("\"ip1\" (InnerProduct)".into()) };
        let error = Error::config("inner_product_param.num_output", "must be at least 1").at(&place);
        let expected =
            "net.prototxt:3: layer \"ip1\" (InnerProduct): inner_product_param.num_output: must be at least 1";
        assert_eq!(error.to_string(), expected);
        let other = Place { file: Some("other.prototxt".into()), ..Place::default() };
        assert_eq!(error.at(&other).to_string(), expected);
    }
}
