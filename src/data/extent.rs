//! How much data a layer has: images in its source, images in a batch. For epochs, which Caffe does not know.

use std::{fs, path::Path};

use super::{paths, source};
use crate::{
    error::{Error, Result},
    proto::LayerParameter,
};

/// The size of a data layer's set and of its batches.
#[derive(Debug)]
pub struct Extent {
    /// The layer's name.
    pub layer: String,
    /// The source as the net file names it.
    pub source: String,
    /// Images in a batch.
    pub batch: usize,
    /// Images in the source; `None` for a source without an end, an error for one that cannot be opened.
    pub images: Result<Option<usize>>,
}

/// The extent of a layer's data; `None` for a layer that reads none. `base` is the folder of the net file.
///
/// A LevelDB database has to be read through to be counted; the other sources know their size, or a list tells it.
pub fn extent(layer: &LayerParameter, base: Option<&Path>) -> Option<Extent> {
    let (source, batch, images) = match layer.r#type() {
        "Data" => {
            let parameter = layer.data_param.clone().unwrap_or_default();
            let count = source::open(&parameter, base).and_then(|source| source.count());
            (parameter.source().to_owned(), parameter.batch_size(), count.map(Some))
        }
        "ImageData" => {
            let parameter = layer.image_data_param.clone().unwrap_or_default();
            (parameter.source().to_owned(), parameter.batch_size(), lines(parameter.source(), base).map(Some))
        }
        "HDF5Data" => {
            let parameter = layer.hdf5_data_param.clone().unwrap_or_default();
            (parameter.source().to_owned(), parameter.batch_size(), Ok(None))
        }
        "WindowData" => {
            let parameter = layer.window_data_param.clone().unwrap_or_default();
            (parameter.source().to_owned(), parameter.batch_size(), Ok(None))
        }
        "MemoryData" => {
            let parameter = layer.memory_data_param.unwrap_or_default();
            (String::new(), parameter.batch_size(), Ok(None))
        }
        _ => return None,
    };
    Some(Extent { layer: layer.name().to_owned(), source, batch: batch as usize, images })
}

/// The entries of a list of images, one a line.
fn lines(name: &str, base: Option<&Path>) -> Result<usize> {
    let path = paths::resolve(name, base);
    let text = fs::read(&path).map_err(|cause| Error::io(&path, cause))?;
    Ok(text.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prototxt::parse_net;

    fn extent_of(layer: &str, base: Option<&Path>) -> Option<Extent> {
        let net = parse_net(format!("layer {{ name: \"data\" top: \"x\" {layer} }}"), "net").unwrap().message;
        extent(&net.layer[0], base)
    }

    #[test]
    fn sources_tell_their_size() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("list.txt"), "a.png 0\nb.png 1\n\n").unwrap();
        let images = |layer: &str| extent_of(layer, Some(folder.path())).unwrap().images;
        let synthetic = r#"type: "Data" data_param { source: "synthetic:shapes/test" batch_size: 50 }"#;
        assert_eq!(extent_of(synthetic, None).unwrap().batch, 50);
        assert_eq!(images(synthetic).unwrap(), Some(1000));
        assert_eq!(images(r#"type: "ImageData" image_data_param { source: "list.txt" }"#).unwrap(), Some(2));
        assert!(images(r#"type: "ImageData" image_data_param { source: "none.txt" }"#).is_err());
        assert_eq!(images(r#"type: "MemoryData""#).unwrap(), None);
        assert!(extent_of(r#"type: "ReLU""#, None).is_none());
    }
}
