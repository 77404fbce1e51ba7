//! Who watches transfers.

/// Follows transfers as they happen.
pub trait Observer {
    /// A transfer of `bytes`, where they are known, begins; so many of them are there already.
    fn started(&self, file: &str, bytes: Option<u64>, received: u64);
    /// So many bytes came.
    fn received(&self, file: &str, bytes: u64);
    /// What had come is of no use; it begins anew.
    fn restarted(&self, file: &str);
    /// The file is complete, and what it should be.
    fn finished(&self, file: &str);
}
