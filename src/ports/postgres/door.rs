//! Where a server is met, for connections that the driver does not open itself.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::Host;

#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) host: String,
    port: u16,
    socket: Option<PathBuf>,
    patience: Duration,
}

impl Door {
    /// None where a choice of hosts is the driver's.
    pub(super) fn of(config: &tokio_postgres::Config) -> Option<Self> {
        let ([host], true) = (config.get_hosts(), config.get_hostaddrs().is_empty()) else { return None };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let patience = config.get_connect_timeout().copied().unwrap_or(Duration::from_secs(10));
        Some(match host {
            Host::Tcp(name) => Self { host: name.clone(), port, socket: None, patience },
            Host::Unix(folder) => Self { host: String::new(), port, socket: Some(folder.join(format!(".s.PGSQL.{port}"))), patience },
        })
    }

    pub(super) async fn open(&self) -> io::Result<Stream> {
        let opening = async {
            match &self.socket {
                Some(path) => UnixStream::connect(path).await.map(Stream::Unix),
                None => {
                    let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
                    stream.set_nodelay(true)?;
                    Ok(Stream::Tcp(stream))
                }
            }
        };
        tokio::time::timeout(self.patience, opening).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
