//! Opens and reads the files of models, whatever somebody put in their place.
//!
//! Opening a named pipe waits for a writer, and reading a device may never end. So only regular files are opened, or
//! links to them, which is how Kubernetes mounts files. Files that are read whole have a maximum size.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

/// Sizes in bytes up to which files are read whole. JSON and TOML take up to some 40 times as many bytes once parsed.
pub mod most {
    /// config.json, with the names of up to 65,536 labels.
    pub const CONFIG: u64 = 4 << 20;
    /// electra.toml.
    pub const SETTINGS: u64 = 1 << 20;
    /// tokenizer.json and vocab.txt; vocabularies of 250,000 tokens take 17 MB.
    pub const TOKENIZER: u64 = 20 << 20;
    /// A graph, where its weights are read too.
    pub const GRAPH: u64 = 4 << 30;
    /// The small files beside them.
    pub const NOTE: u64 = 1 << 20;
}

/// Opens a regular file for reading. Never waits for another process.
///
/// # Errors
/// If it is missing, can't be read, or is not a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    // Before opening, because opening a device can have effects.
    check(path)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    // The path may mean another file by now.
    refuse_irregular(&file.metadata()?)?;
    Ok(file)
}

/// Checks that a path leads to a regular file, for libraries that open it themselves.
///
/// # Errors
/// If it is missing or not a regular file.
pub fn check(path: &Path) -> io::Result<()> {
    refuse_irregular(&std::fs::metadata(path)?)
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// As for [`open`], and if the file is longer.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    if length <= most {
        file.take(most + 1).read_to_end(&mut bytes)?;
    }
    // Some files, such as those in /proc, have more bytes than they say.
    let length = length.max(bytes.len() as u64);
    if length > most {
        let reason = format!("it has {length} bytes, and at most {most} are read");
        return Err(io::Error::new(ErrorKind::FileTooLarge, reason));
    }
    Ok(bytes)
}

/// Reads a regular file of at most `most` bytes as UTF-8.
///
/// # Errors
/// As for [`read`], and if the file is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Puts a file with these bytes at a path. Replaces whatever file or link is there, without opening it.
///
/// # Errors
/// If the folder is not writable.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // As if it were created by name: as readable as the umask allows.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

fn refuse_irregular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let reason = format!("it is not a regular file but {}", kind(metadata));
    Err(io::Error::new(ErrorKind::InvalidInput, reason))
}

fn kind(metadata: &Metadata) -> &'static str {
    if metadata.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    "something else"
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn reason(path: &Path) -> String {
        let error = read(path, 8).unwrap_err().to_string();
        assert_eq!(open(path).unwrap_err().to_string(), error);
        error
    }

    #[test]
    fn only_regular_files_and_links_to_them_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        symlink(at("pipe"), at("link-to-pipe")).unwrap();
        symlink(at("loop"), at("loop")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        for (path, kind) in [
            (at("pipe"), "a named pipe"),
            (at("link-to-pipe"), "a named pipe"),
            (at("socket"), "a socket"),
            (folder.path().to_owned(), "a folder"),
            ("/dev/zero".into(), "a device"),
        ] {
            let reason = reason(&path);
            let expected = format!("it is not a regular file but {kind}");
            assert_eq!(reason, expected, "{}", path.display());
        }
        assert!(open(&at("loop")).is_err());
        assert_eq!(open(&at("none")).unwrap_err().kind(), ErrorKind::NotFound);
        std::fs::write(at("file"), "12345678").unwrap();
        symlink("file", at("link")).unwrap();
        assert_eq!(read(&at("link"), 8).unwrap(), b"12345678");
    }

    #[test]
    fn what_is_read_whole_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "123456789").unwrap();
        let error = read(&path, 8).unwrap_err();
        assert_eq!(error.to_string(), "it has 9 bytes, and at most 8 are read");
        assert_eq!(read_text(&path, 9).unwrap(), "123456789");
        // Its metadata says that it is empty.
        assert!(read(Path::new("/proc/self/maps"), 8).is_err());
        std::fs::write(&path, b"\xff").unwrap();
        assert!(read_text(&path, 9).is_err());
    }

    #[test]
    fn what_is_replaced_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        std::fs::write(at("other"), "kept").unwrap();
        symlink("other", at("link")).unwrap();
        for name in ["pipe", "link", "new"] {
            replace(&at(name), b"text").unwrap();
            assert_eq!(read_text(&at(name), 8).unwrap(), "text", "{name}");
        }
        assert_eq!(read_text(&at("other"), 8).unwrap(), "kept");
    }
}
