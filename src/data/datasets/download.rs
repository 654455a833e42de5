//! Downloads: resumed where they broke off, verified by their md5 sum, shown by a progress bar.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use md5::{Digest, Md5};
use ureq::http::StatusCode;

use super::progress;
use crate::error::{Error, Result};

/// The files of a data set, as their authors or well-known mirrors publish them.
#[derive(Debug, Clone, Copy)]
pub struct Official {
    /// Addresses of folders that hold all files; each is tried in turn.
    pub servers: &'static [&'static str],
    /// The files.
    pub files: &'static [OfficialFile],
}

/// A published file.
#[derive(Debug, Clone, Copy)]
pub struct OfficialFile {
    /// Its name.
    pub name: &'static str,
    /// Its md5 sum in hexadecimal digits.
    pub md5: &'static str,
}

/// Brings all files into `folder`, except those that lie there already, and returns those that it brought.
///
/// # Errors
/// When no server gives out a file, or what came has another md5 sum.
pub fn fetch_all(official: Official, folder: &Path, mirror: Option<&str>) -> Result<Vec<PathBuf>> {
    let mut fetched = Vec::new();
    for file in official.files {
        let path = folder.join(file.name);
        if path.exists() && md5_of(&path)? == file.md5 {
            continue;
        }
        let servers = mirror.map_or(official.servers.to_vec(), |mirror| vec![mirror]);
        let urls: Vec<String> =
            servers.iter().map(|server| format!("{}/{}", server.trim_end_matches('/'), file.name)).collect();
        fetch(&urls, file.md5, &path)?;
        fetched.push(path);
    }
    Ok(fetched)
}

/// Downloads the first of `urls` that answers to `path`. An unfinished download stays in `PATH.part`, and the next one goes
/// on from there.
///
/// # Errors
/// When no server gives out the file, or what came has another md5 sum.
pub fn fetch(urls: &[String], md5: &str, path: &Path) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut failures = Vec::new();
    for url in urls {
        match transfer(url, &part) {
            Ok(()) => return verify(url, md5, &part, path),
            Err(Failure::Network(message)) => failures.push(format!("{url}: {message}")),
            Err(Failure::Disk(cause)) => return Err(Error::io(&part, cause)),
        }
    }
    let message = format!(
        "download failed ({}); the same command goes on where it stopped, and --from takes files or an archive that \
         were brought otherwise",
        failures.join("; ")
    );
    Err(Error::data(path.display().to_string(), message))
}

enum Failure {
    Network(String),
    Disk(io::Error),
}

/// Appends what is missing of the file at `url` to `part`.
fn transfer(url: &str, part: &Path) -> Result<(), Failure> {
    let have = fs::metadata(part).map_or(0, |metadata| metadata.len());
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    // A packed file must come as it is, not unpacked on the way.
    let mut request = agent.get(url).header("Accept-Encoding", "identity");
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let network = |message: String| Failure::Network(message);
    let mut response = request.call().map_err(|cause| network(cause.to_string()))?;
    let start = match response.status() {
        StatusCode::PARTIAL_CONTENT => have,
        StatusCode::OK => 0,
        // There is nothing behind what we have: it is the whole file, or none of it.
        StatusCode::RANGE_NOT_SATISFIABLE => return Ok(()),
        status => return Err(network(format!("the server answers {status}"))),
    };
    let rest = response.body().content_length();
    let mut options = OpenOptions::new();
    options.create(true).append(start > 0).write(true).truncate(start == 0);
    let mut file = options.open(part).map_err(Failure::Disk)?;
    let message = url.rsplit('/').next().unwrap_or(url).to_owned();
    let template = "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
    let bar = progress(start + rest.unwrap_or(0), template, message);
    bar.set_position(start);
    let mut body = response.body_mut().with_config().limit(u64::MAX).reader();
    let mut received = 0;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = body.read(&mut buffer).map_err(|cause| network(cause.to_string()))?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count]).map_err(Failure::Disk)?;
        received += count as u64;
        bar.inc(count as u64);
    }
    bar.finish();
    match rest {
        Some(rest) if rest != received => {
            Err(network(format!("the connection broke after {received} of {rest} bytes")))
        }
        _ => file.sync_all().map_err(Failure::Disk),
    }
}

fn verify(url: &str, md5: &str, part: &Path, path: &Path) -> Result<()> {
    let found = md5_of(part)?;
    if found == md5 {
        return fs::rename(part, path).map_err(|cause| Error::io(path, cause));
    }
    // What is there cannot be a beginning of the right file: do not go on from it.
    fs::remove_file(part).map_err(|cause| Error::io(part, cause))?;
    let message = format!("what came has the md5 sum {found} instead of {md5} and was removed; try again");
    Err(Error::data(url, message))
}

/// The md5 sum of a file in hexadecimal digits.
fn md5_of(path: &Path) -> Result<String> {
    let mut sum = Md5::new();
    let mut file = File::open(path).map_err(|cause| Error::io(path, cause))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer).map_err(|cause| Error::io(path, cause))?;
        if count == 0 {
            break;
        }
        sum.update(&buffer[..count]);
    }
    Ok(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        net::TcpListener,
        slice,
        thread::JoinHandle,
    };

    use super::*;

    const CONTENT: &[u8] = b"the quick brown fox jumps over the lazy dog";
    const MD5: &str = "77add1d5f41223d5582fca736a5cb335";

    /// What a test's server does with one request.
    enum Answer {
        /// Gives the file, from where the request asks.
        File,
        /// Gives the first so many bytes, then breaks the connection.
        Break(usize),
        /// Gives the whole file, whatever the request asks.
        Whole,
        Missing,
    }

    /// Serves one request per answer; gives back the address and, in the end, what the requests' Range fields were.
    fn serve(content: &'static [u8], answers: Vec<Answer>) -> (String, JoinHandle<Vec<Option<usize>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/pub/file.bin", listener.local_addr().unwrap());
        let serve_one = move |answer: Answer| {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
            let range =
                head.iter().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
            let start = range.unwrap_or(0);
            let rest = content.get(start..).unwrap_or_default();
            let (status, length, body) = match answer {
                Answer::Missing => ("404 Not Found", 0, &[][..]),
                Answer::Whole => ("200 OK", content.len(), content),
                _ if rest.is_empty() => ("416 Range Not Satisfiable", 0, rest),
                Answer::Break(count) => ("206 Partial Content", rest.len(), &rest[..count]),
                Answer::File => (if start > 0 { "206 Partial Content" } else { "200 OK" }, rest.len(), rest),
            };
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n").unwrap();
            stream.write_all(body).unwrap();
            range
        };
        (address, std::thread::spawn(move || answers.into_iter().map(serve_one).collect()))
    }

    struct Target {
        _folder: tempfile::TempDir,
        path: PathBuf,
        part: PathBuf,
    }

    fn target() -> Target {
        let folder = tempfile::tempdir().unwrap();
        let (path, part) = (folder.path().join("file.bin"), folder.path().join("file.bin.part"));
        Target { _folder: folder, path, part }
    }

    #[test]
    fn a_broken_download_goes_on_where_it_stopped() {
        let target = target();
        let (url, server) = serve(CONTENT, vec![Answer::Break(10), Answer::Break(5), Answer::File]);
        for _ in 0..2 {
            let error = fetch(slice::from_ref(&url), MD5, &target.path).unwrap_err().to_string();
            assert!(error.contains("the same command goes on where it stopped"), "{error}");
            assert!(!target.path.exists());
        }
        fetch(&[url], MD5, &target.path).unwrap();
        assert_eq!(fs::read(&target.path).unwrap(), CONTENT);
        assert!(!target.part.exists());
        assert_eq!(server.join().unwrap(), [None, Some(10), Some(15)]);
    }

    #[test]
    fn a_server_that_knows_no_ranges_starts_over() {
        let target = target();
        fs::write(&target.part, "something else").unwrap();
        let (url, server) = serve(CONTENT, vec![Answer::Whole]);
        fetch(&[url], MD5, &target.path).unwrap();
        assert_eq!(fs::read(&target.path).unwrap(), CONTENT);
        server.join().unwrap();
    }

    #[test]
    fn a_part_that_is_the_whole_file_needs_no_more() {
        let target = target();
        fs::write(&target.part, CONTENT).unwrap();
        let (url, server) = serve(CONTENT, vec![Answer::File]);
        fetch(&[url], MD5, &target.path).unwrap();
        assert_eq!(fs::read(&target.path).unwrap(), CONTENT);
        assert_eq!(server.join().unwrap(), [Some(CONTENT.len())]);
    }

    #[test]
    fn another_md5_sum_leaves_nothing_behind() {
        let target = target();
        let (url, server) = serve(b"the quick brown fox jumps over the lazy cat", vec![Answer::File]);
        let error = fetch(&[url], MD5, &target.path).unwrap_err().to_string();
        assert!(error.contains(&format!("instead of {MD5}")), "{error}");
        assert!(!target.path.exists() && !target.part.exists());
        server.join().unwrap();
    }

    #[test]
    fn the_next_server_is_asked_when_one_fails() {
        let target = target();
        let (missing, first) = serve(CONTENT, vec![Answer::Missing, Answer::Missing]);
        let (url, second) = serve(CONTENT, vec![Answer::File]);
        let error = fetch(slice::from_ref(&missing), MD5, &target.path).unwrap_err().to_string();
        assert!(error.contains("404"), "{error}");
        fetch(&[missing, url], MD5, &target.path).unwrap();
        assert_eq!(fs::read(&target.path).unwrap(), CONTENT);
        first.join().unwrap();
        second.join().unwrap();
    }

    #[test]
    fn files_that_are_there_are_not_fetched() {
        let target = target();
        fs::write(&target.path, CONTENT).unwrap();
        let official =
            Official { servers: &["http://127.0.0.1:9"], files: &[OfficialFile { name: "file.bin", md5: MD5 }] };
        assert!(fetch_all(official, target.path.parent().unwrap(), None).unwrap().is_empty());
    }
}
