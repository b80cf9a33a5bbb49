//! A server sends COPY a message a row, and the driver pays for every message. Here the messages of a COPY leave the stream
//! in blocks as large as they arrive, before the driver sees them:
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_util::io::poll_read_buf;

/// Room for what arrives; several blocks share it.
const ROOM: usize = 256 * 1024;
/// With less than this left a new room is opened.
const LITTLE: usize = 32 * 1024;
/// A read of less than this has emptied the socket.
const EMPTIED: usize = 64 * 1024;
/// So long a reader that has emptied the socket lets it fill again: to be woken for every few rows costs the server a
/// quarter of its time. Every connection has a thread of its own, so that nobody else waits.
const NAP: Duration = Duration::from_micros(500);
/// Kind and length.
pub const HEAD: usize = 5;
const COPY_DATA: u8 = b'd';

/// Takes the messages of a COPY, heads and all, and may make the reader wait; false when nobody wants more.
pub type Tap = Box<dyn FnMut(Bytes) -> bool + Send>;

/// Who taps: the stream itself, or where there is TLS, what comes out of it; and not before the session has begun.
#[derive(Default)]
pub struct Switch {
    begun: AtomicBool,
    encrypted: AtomicBool,
    tap: Mutex<Option<Tap>>,
}

impl Switch {
    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// For the next COPY; what it sends does not reach the driver.
    pub fn divert(&self, tap: Tap) {
        if let Ok(mut slot) = self.tap.lock() {
            *slot = Some(tap);
        }
    }

    /// What the tap holds on to is let go.
    pub fn stop(&self) {
        if let Ok(mut slot) = self.tap.lock() {
            *slot = None;
        }
    }
}

/// A stream whose COPY messages can be diverted.
pub(super) struct Tapped<S> {
    inner: S,
    switch: Arc<Switch>,
    /// Above TLS, not below.
    above: bool,
    raw: BytesMut,
    /// For the driver.
    through: BytesMut,
    /// The last message was of a COPY: more will come.
    copying: bool,
    ended: bool,
}

impl<S> Tapped<S> {
    pub(super) fn new(inner: S, switch: Arc<Switch>) -> Self {
        Self { inner, switch, above: false, raw: BytesMut::new(), through: BytesMut::new(), copying: false, ended: false }
    }

    fn is_on(&self) -> bool {
        self.switch.begun.load(Ordering::Acquire) && self.switch.encrypted.load(Ordering::Acquire) == self.above
    }

    /// Whole messages of one sort at a time; what has not arrived in full stays.
    fn sort(&mut self) -> io::Result<()> {
        while self.through.is_empty() {
            let (mut end, mut first) = (0, None);
            while let Some((kind, length)) = head(&self.raw[end..]) {
                if self.raw.len() - end < length || *first.get_or_insert(kind == COPY_DATA) != (kind == COPY_DATA) {
                    break;
                }
                end += length;
            }
            if end == 0 {
                return Ok(());
            }
            let messages = self.raw.split_to(end);
            self.copying = first == Some(true);
            let mut tap = self.switch.tap.lock().map_err(|_| io::ErrorKind::BrokenPipe)?;
            let Some(tap) = tap.as_mut().filter(|_| self.copying) else {
                self.through = messages;
                return Ok(());
            };
            if !tap(messages.freeze()) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        Ok(())
    }
}

/// Kind of the message at the front, and its length with the head.
fn head(bytes: &[u8]) -> Option<(u8, usize)> {
    let length: [u8; 4] = bytes.get(1..HEAD)?.try_into().ok()?;
    Some((bytes[0], 1 + usize::try_from(u32::from_be_bytes(length)).ok()?))
}

/// A message's content as a tap would see it, where the driver has read it after all.
pub fn message(content: &[u8]) -> Bytes {
    let length = u32::try_from(content.len() + 4).unwrap_or(u32::MAX).to_be_bytes();
    [&[COPY_DATA], &length[..], content].concat().into()
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            this.sort()?;
            if this.ended && this.through.is_empty() {
                // Half a message: the driver says that the connection was lost.
                this.through = this.raw.split();
            }
            if !this.through.is_empty() || this.ended {
                let n = this.through.len().min(buf.remaining());
                buf.put_slice(&this.through[..n]);
                this.through.advance(n);
                return Poll::Ready(Ok(()));
            }
            if !this.is_on() {
                return Pin::new(&mut this.inner).poll_read(cx, buf);
            }
            let wanted = head(&this.raw).map_or(0, |(_, length)| length.saturating_sub(this.raw.len()));
            if this.raw.capacity() - this.raw.len() < wanted.max(LITTLE) {
                this.raw.reserve(wanted.max(ROOM));
            }
            let read = ready!(poll_read_buf(Pin::new(&mut this.inner), cx, &mut this.raw))?;
            this.ended = read == 0;
            if this.copying && !this.ended && read < EMPTIED {
                std::thread::sleep(NAP);
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Tapped<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.inner.channel_binding()
    }
}

/// TLS, and the tap above it.
pub(super) struct TappedTls<T> {
    pub(super) inner: T,
    pub(super) switch: Arc<Switch>,
}

impl<S, T> TlsConnect<S> for TappedTls<T>
where
    T: TlsConnect<S> + Send + 'static,
    T::Future: Send + 'static,
{
    type Stream = Tapped<T::Stream>;
    type Error = T::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, Self::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        self.switch.encrypted.store(true, Ordering::Release);
        let Self { inner, switch } = self;
        let connecting = inner.connect(stream);
        Box::pin(async move {
            let mut tapped = Tapped::new(connecting.await?, switch);
            tapped.above = true;
            Ok(tapped)
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn of_kind(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = message(body).to_vec();
        bytes[0] = kind;
        bytes
    }

    #[tokio::test]
    async fn rows_leave_in_order_and_the_rest_stays_as_it_is() {
        let (mut server, client) = tokio::io::duplex(1 << 20);
        let switch = Arc::new(Switch::default());
        let mut tapped = Tapped::new(client, switch.clone());
        server.write_all(b"S").await.expect("before the session");
        assert_eq!(tapped.read_u8().await.expect("as it is"), b'S');
        switch.begin();
        let untapped = [of_kind(b'H', b"head"), message(b"zero").to_vec(), of_kind(b'Z', b"")].concat();
        server.write_all(&untapped).await.expect("messages");
        let mut read = vec![0; untapped.len()];
        tapped.read_exact(&mut read).await.expect("as it is");
        assert_eq!(read, untapped);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = seen.clone();
        switch.divert(Box::new(move |bytes| {
            all.lock().expect("lock").extend_from_slice(&bytes);
            true
        }));
        let (rows, torn) = ([message(b"one"), message(b"two"), message(b"three")], message(b"four"));
        server
            .write_all(&[of_kind(b'H', b"head"), rows[..2].concat(), of_kind(b'N', b"notice"), rows[2].to_vec(), of_kind(b'c', b"")].concat())
            .await
            .expect("copy");
        server.write_all(&torn[..6]).await.expect("half");
        server.shutdown().await.expect("lost");
        let mut rest = Vec::new();
        tapped.read_to_end(&mut rest).await.expect("all");
        assert_eq!(rest, [of_kind(b'H', b"head"), of_kind(b'N', b"notice"), of_kind(b'c', b""), torn[..6].to_vec()].concat());
        assert_eq!(*seen.lock().expect("lock"), rows.concat());
    }
}
