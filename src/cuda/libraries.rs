//! Finding the libraries: the driver, NVRTC and cuBLAS, in any version that will do.
//!
//! `RCAFFE_CUDA_PATH` goes first (a folder, or several as in `PATH`), then what the system's loader finds, then the usual places: toolkits, the
//! libraries that Python's packages bring. What is found by its file is loaded here; `cudarc`, which asks the loader for a library by its name, then
//! gets the same one.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// A library that is looked for.
struct Library {
    /// `cuda` of `libcuda.so.1`.
    name: &'static str,
    /// What it is called among people.
    title: &'static str,
    /// What to do when it is nowhere.
    advice: &'static str,
    /// Endings of the file's name, best first.
    versions: &'static [&'static str],
    is_present: fn() -> bool,
}

const VERSIONS: &[&str] = &[".13", ".12", ""];

/// Loads the driver.
///
/// # Errors
/// When it is nowhere.
pub fn driver() -> Result<()> {
    // SAFETY: opens a library by name and closes it again; running the initialisers of NVIDIA's driver library is what we want.
    let is_present = || unsafe { cudarc::driver::sys::is_culib_present() };
    let advice = "install NVIDIA's driver (nvidia-smi must work), or leave --gpu out to run on the CPU";
    load(&Library { name: "cuda", title: "NVIDIA's driver", advice, versions: &[".1", ""], is_present })
}

/// Loads the compiler of kernels.
///
/// # Errors
/// When it is nowhere.
pub fn nvrtc() -> Result<()> {
    // SAFETY: as for the driver.
    let is_present = || unsafe { cudarc::nvrtc::sys::is_culib_present() };
    let advice =
        "install the CUDA toolkit, or `pip install nvidia-cuda-nvrtc`, and let RCAFFE_CUDA_PATH name its folder";
    load(&Library { name: "nvrtc", title: "CUDA's compiler", advice, versions: VERSIONS, is_present })
}

/// Loads the library of matrix products.
///
/// # Errors
/// When it is nowhere.
pub fn cublas() -> Result<()> {
    // SAFETY: as for the driver.
    let is_present = || unsafe { cudarc::cublas::sys::is_culib_present() };
    let advice = "install the CUDA toolkit, or `pip install nvidia-cublas`, and let RCAFFE_CUDA_PATH name its folder";
    load(&Library { name: "cublas", title: "cuBLAS", advice, versions: VERSIONS, is_present })
}

/// Loads the library of convolutions.
///
/// # Errors
/// When it is nowhere, which is no harm.
pub fn cudnn() -> Result<()> {
    // SAFETY: as for the driver.
    let is_present = || unsafe { cudarc::cudnn::sys::is_culib_present() };
    let advice = "`pip install nvidia-cudnn-cu13`, and let RCAFFE_CUDA_PATH name its folder";
    load(&Library { name: "cudnn", title: "cuDNN", advice, versions: &[".9", ".8", ""], is_present })
}

fn load(library: &Library) -> Result<()> {
    let asked = asked_folders();
    let found = open(library, &asked) || (library.is_present)() || open(library, &usual_folders());
    if found && (library.is_present)() {
        return Ok(());
    }
    let file = format!("{}{}{}", env::consts::DLL_PREFIX, library.name, env::consts::DLL_SUFFIX);
    let asked = match asked.first() {
        Some(first) => format!("{} (RCAFFE_CUDA_PATH), ", first.display()),
        None => String::new(),
    };
    let looked = format!("{asked}the system's library path, /usr/local/cuda, the folders of Python's packages");
    Err(Error::cuda(
        format!("{} ({file}) is missing", library.title),
        format!("looked in {looked}; {}", library.advice),
    ))
}

/// Loads the best version that lies in these folders, for good.
fn open(library: &Library, folders: &[PathBuf]) -> bool {
    let name = format!("{}{}{}", env::consts::DLL_PREFIX, library.name, env::consts::DLL_SUFFIX);
    let files = library
        .versions
        .iter()
        .flat_map(|version| folders.iter().map(|folder| folder.join(format!("{name}{version}"))).collect::<Vec<_>>());
    for file in files.filter(|file| file.exists()) {
        // SAFETY: one of NVIDIA's libraries, whose initialisers are what we want to run.
        if let Ok(loaded) = unsafe { libloading::Library::new(&file) } {
            // It stays loaded, so that asking for it by name finds it.
            std::mem::forget(loaded);
            return true;
        }
    }
    false
}

/// The folders that `RCAFFE_CUDA_PATH` names, and those in them where libraries lie.
fn asked_folders() -> Vec<PathBuf> {
    let Some(paths) = env::var_os("RCAFFE_CUDA_PATH") else { return Vec::new() };
    env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty()).flat_map(|root| within(&root)).collect()
}

/// A toolkit's or Python environment's folders of libraries.
fn within(root: &Path) -> Vec<PathBuf> {
    let mut folders = vec![root.to_path_buf()];
    folders
        .extend(["lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"].map(|inner| root.join(inner)));
    folders.extend(children(root).into_iter().map(|package| package.join("lib")));
    folders.extend(packages(&root.join("nvidia")));
    for python in children(&root.join("lib")) {
        folders.extend(
            ["site-packages", "dist-packages"].iter().flat_map(|site| packages(&python.join(site).join("nvidia"))),
        );
    }
    folders
}

/// The `lib` folders of NVIDIA's Python packages.
fn packages(nvidia: &Path) -> Vec<PathBuf> {
    children(nvidia).into_iter().map(|package| package.join("lib")).collect()
}

/// The usual places.
fn usual_folders() -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = ["CUDA_PATH", "CUDA_HOME", "CUDA_ROOT", "CONDA_PREFIX", "VIRTUAL_ENV"]
        .iter()
        .filter_map(env::var_os)
        .map(PathBuf::from)
        .collect();
    let mut toolkits: Vec<PathBuf> = children(Path::new("/usr/local"));
    toolkits.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("cuda")));
    roots.extend(toolkits.into_iter().rev());
    roots.extend(["/usr/local/nvidia", "/opt/cuda", "/usr/local", "/usr", "/usr/lib/wsl"].map(PathBuf::from));
    roots.extend(env::home_dir().map(|home| home.join(".local")));
    roots.extend(python_prefix());
    roots.iter().flat_map(|root| within(root)).chain([PathBuf::from("/usr/lib/x86_64-linux-gnu")]).collect()
}

/// The environment of the `python3` that the search path finds.
fn python_prefix() -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    let python = env::split_paths(&paths).map(|folder| folder.join("python3")).find(|file| file.exists())?;
    Some(python.parent()?.parent()?.to_path_buf())
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let mut children: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    children.sort();
    children
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_of_toolkits_and_python_packages_are_found() {
        let root = tempfile::tempdir().unwrap();
        let folders = ["lib64", "lib/python3.12/site-packages/nvidia/cublas/lib", "nvidia/cu13/lib"];
        for folder in folders {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let found = within(root.path());
        for folder in folders {
            assert!(found.contains(&root.path().join(folder)), "{folder}");
        }
        // A site-packages/nvidia folder itself may be named too.
        assert!(within(&root.path().join("nvidia")).contains(&root.path().join("nvidia/cu13/lib")));
    }
}
