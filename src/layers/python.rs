//! `Python`: a layer that Caffe runs in its Python interpreter. There is none here, so it ends in an error that says what to do.

use crate::{
    error::{Error, Result},
    layers::Layer,
    proto::LayerParameter,
};

/// Never a layer.
///
/// # Errors
/// Always.
pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
    let options = layer.python_param.clone().unwrap_or_default();
    let message = format!(
        "Python layers cannot run: there is no Python in this program, so {}.{} is not computed; put layers of `rcaffe layers` \
         in its place, or, where it loads data, an HDF5Data, ImageData or MemoryData layer",
        options.module(),
        options.layer()
    );
    Err(Error::config("type", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::PythonParameter;

    #[test]
    fn the_error_names_what_is_missing_and_what_to_do() {
        let python_param =
            Some(PythonParameter { module: Some("roi".into()), layer: Some("Loader".into()), ..Default::default() });
        let error = new_layer(&LayerParameter { python_param, ..Default::default() }).err().unwrap().to_string();
        assert!(
            error.contains("no Python in this program, so roi.Loader is not") && error.contains("HDF5Data"),
            "{error}"
        );
    }
}
