//! Where a name in a net or solver file leads, and what to do when it leads nowhere.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// The file or folder that `name` means: against the current directory, as in Caffe, and if nothing is there against
/// `base`, the folder of the file that holds the name. A name that leads nowhere comes back as it is.
pub fn resolve(name: &str, base: Option<&Path>) -> PathBuf {
    let plain = PathBuf::from(name);
    if plain.is_relative()
        && !plain.exists()
        && let Some(beside) = base.map(|base| base.join(name)).filter(|beside| beside.exists())
    {
        return beside;
    }
    plain
}

/// The error of a data set that is not there, with the command that makes it where the name tells which it is.
pub fn missing(name: &str) -> Error {
    let folder = match Path::new(name).parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.display().to_string(),
        _ => ".".to_owned(),
    };
    let lower = name.to_lowercase();
    let known = ["cifar10", "mnist"].into_iter().find(|known| lower.contains(known));
    let advice = match known {
        Some(known) => format!("`rcaffe data {known} {folder}` makes it"),
        None => "the path is taken from the current directory, then from the folder of the file that names it".into(),
    };
    Error::data(name, format!("not found; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_directory_comes_before_the_folder_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("only_here"), "").unwrap();
        std::fs::create_dir(folder.path().join("src")).unwrap();
        let base = Some(folder.path());
        assert_eq!(resolve("only_here", base), folder.path().join("only_here"));
        assert_eq!(resolve("src", base), Path::new("src"));
        assert_eq!(resolve("nowhere", base), Path::new("nowhere"));
    }

    #[test]
    fn a_missing_data_set_ends_with_the_command_that_makes_it() {
        let text = missing("examples/cifar10/cifar10_train_lmdb").to_string();
        assert!(text.ends_with("not found; `rcaffe data cifar10 examples/cifar10` makes it"), "{text}");
        assert!(missing("mnist_test_lmdb").to_string().contains("`rcaffe data mnist .`"));
        assert!(!missing("my_own_lmdb").to_string().contains("rcaffe data"));
    }
}
