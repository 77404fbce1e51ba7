//! A socket that notes whether its peer takes what is written.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::record::Record;

/// A socket, with what was read from it already.
pub struct Transport {
    stream: TcpStream,
    read: Bytes,
    record: Record,
    is_writable: bool,
    reset: ResetOnClose,
}

impl Transport {
    /// `read` was read from the stream, and is still to be served.
    pub fn new(stream: TcpStream, read: Bytes, record: Record) -> Self {
        Self {
            stream,
            read,
            record,
            is_writable: true,
            reset: ResetOnClose::default(),
        }
    }

    pub fn reset_on_close(&self) -> ResetOnClose {
        self.reset.clone()
    }

    /// Notes the result of writing.
    fn note<R>(&mut self, written: Poll<R>) -> Poll<R> {
        let is_writable = written.is_ready();
        if self.is_writable != is_writable {
            self.is_writable = is_writable;
            self.record.set_writable(is_writable);
        }
        written
    }
}

/// Whether the socket is closed by a reset. What is unsent is then discarded; otherwise the system would keep it for
/// minutes for a peer that takes nothing.
#[derive(Clone, Debug, Default)]
pub struct ResetOnClose(Arc<AtomicBool>);

impl ResetOnClose {
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        if self.reset.0.load(Ordering::Relaxed)
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::debug!(%error, "a connection can't be reset");
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = self.read.len().min(buffer.remaining());
        buffer.put_slice(&self.read.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
