//! Downloads one file into the cache: resumes an interrupted download, and verifies the file before it is used.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use ureq::Body;
use ureq::http::{Response, StatusCode};

use super::cache::ModelCache;
use super::checksum::Checksum;
use super::client::{Client, Metadata};
use super::error::HubError;
use super::name::{Commit, ModelReference};
use super::observer::Observer;

const BUFFER_BYTES: usize = 1 << 17;

/// One file of a commit.
#[derive(Clone, Copy)]
pub struct Download<'d> {
    pub client: &'d Client,
    pub cache: &'d ModelCache,
    pub reference: &'d ModelReference,
    pub commit: &'d Commit,
    pub file: &'d str,
    pub observer: &'d dyn Observer,
}

/// How one attempt ended.
enum BodyEnd {
    Complete,
    /// The connection was lost, for this reason.
    Broken(String),
}

impl Download<'_> {
    /// Downloads, verifies and links the file. If two processes want the same file, one downloads it and the other
    /// waits.
    ///
    /// # Errors
    /// If the hub or the network fails, the content does not match the hub's metadata, or the cache can't be written.
    pub fn run(&self) -> Result<(), HubError> {
        let url = self
            .client
            .file_url(&self.reference.name, self.commit, self.file);
        let metadata = self.client.metadata(self.reference, &url)?;
        let blob = self.cache.blob(&metadata.etag);
        let incomplete = self.cache.incomplete(&metadata.etag)?;
        let _lock = self.cache.lock(&metadata.etag)?;
        if !blob.is_file() {
            self.transfer(&url, &metadata, &incomplete)?;
            self.check(&metadata, &incomplete)?;
            std::fs::rename(&incomplete, &blob).map_err(HubError::cache(&blob))?;
            self.observer.finished(self.file);
        }
        self.cache.link(self.commit, self.file, &metadata.etag)
    }

    /// Fills the incomplete file, over as many connections as needed.
    fn transfer(&self, url: &str, metadata: &Metadata, path: &Path) -> Result<(), HubError> {
        let failed = || HubError::cache(path);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(failed())?;
        let mut received = file.seek(SeekFrom::End(0)).map_err(failed())?;
        if metadata.size.is_some_and(|size| received > size) {
            file.set_len(0).map_err(failed())?;
            received = file.seek(SeekFrom::Start(0)).map_err(failed())?;
        }
        self.observer.started(self.file, metadata.size, received);
        let mut failures = 0;
        while metadata.size.is_none_or(|size| received < size) {
            let before = received;
            let response = self.client.content(self.reference, url, received)?;
            let ended = self
                .receive(response, metadata.size, &mut file, &mut received)
                .map_err(failed())?;
            let reason = match ended {
                BodyEnd::Complete if metadata.size.is_none_or(|size| received >= size) => break,
                BodyEnd::Complete => "the connection was closed".to_owned(),
                BodyEnd::Broken(reason) => reason,
            };
            failures = if received > before { 1 } else { failures + 1 };
            if !self.client.wait(failures, None, &reason) {
                return Err(HubError::Broken {
                    file: self.file.to_owned(),
                    received,
                    reason,
                });
            }
        }
        file.sync_all().map_err(failed())
    }

    /// Writes a response's body to the file. Appends if the response is the requested range, and starts over otherwise.
    fn receive(
        &self,
        response: Response<Body>,
        size: Option<u64>,
        file: &mut File,
        received: &mut u64,
    ) -> io::Result<BodyEnd> {
        let is_rest = response.status() == StatusCode::PARTIAL_CONTENT
            && range_start(&response) == Some(*received);
        if *received > 0 && !is_rest {
            // The response is the whole file, or a range that was not requested.
            file.set_len(0)?;
            *received = file.seek(SeekFrom::Start(0))?;
            self.observer.restarted(self.file);
        }
        if !is_rest && response.status() != StatusCode::OK {
            return Ok(BodyEnd::Broken(format!(
                "the range was answered {}",
                response.status()
            )));
        }
        // One byte more than announced is enough to detect that the file is too long.
        let limit = size.map_or(u64::MAX, |size| {
            size.saturating_sub(*received).saturating_add(1)
        });
        let mut body = response.into_body().into_reader().take(limit);
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let read = match body.read(&mut buffer) {
                Ok(0) => return Ok(BodyEnd::Complete),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(BodyEnd::Broken(error.to_string())),
            };
            file.write_all(buffer.get(..read).unwrap_or_default())?;
            *received = received.saturating_add(read as u64);
            self.observer.received(self.file, read as u64);
        }
    }

    /// Refuses and removes a file that does not match the hub's metadata.
    fn check(&self, metadata: &Metadata, path: &Path) -> Result<(), HubError> {
        let name = || self.reference.name.to_string();
        let found = std::fs::metadata(path)
            .map_err(HubError::cache(path))?
            .len();
        let wrong = match (metadata.size, Checksum::of_etag(metadata.etag.as_str())) {
            (Some(expected), _) if expected != found => Some(HubError::Size {
                name: name(),
                file: self.file.to_owned(),
                expected,
                found,
            }),
            (_, Some(expected)) => {
                let found = expected.of_file(path).map_err(HubError::cache(path))?;
                (found != expected).then(|| HubError::Checksum {
                    name: name(),
                    file: self.file.to_owned(),
                    expected,
                    found,
                })
            }
            (_, None) => {
                tracing::warn!(
                    file = self.file,
                    "the hub sends no checksum of this file; only its size was verified"
                );
                None
            }
        };
        let Some(wrong) = wrong else {
            return Ok(());
        };
        std::fs::remove_file(path).map_err(HubError::cache(path))?;
        Err(wrong)
    }
}

/// The first byte of `Content-Range: bytes 5-9/10`.
fn range_start(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get("content-range")?.to_str().ok()?;
    range
        .strip_prefix("bytes ")?
        .split('-')
        .next()?
        .trim()
        .parse()
        .ok()
}
