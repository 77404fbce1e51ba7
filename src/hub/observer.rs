//! The observer of downloads.

/// Receives the progress of downloads.
pub trait Observer {
    /// A download of `bytes` bytes in total, if known, starts with `received` bytes already on disk.
    fn started(&self, file: &str, bytes: Option<u64>, received: u64);
    /// `bytes` more bytes arrived.
    fn received(&self, file: &str, bytes: u64);
    /// The bytes received so far were discarded, and the download starts over.
    fn restarted(&self, file: &str);
    /// The file is complete and verified.
    fn finished(&self, file: &str);
}
