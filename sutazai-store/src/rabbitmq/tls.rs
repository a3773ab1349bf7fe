//! TLS connections to a broker: lapin's runtime, with a reactor whose streams have completed the handshake.
//!
//! The TLS features of lapin bring parsers of PKCS #12 files with DES and RC2, which nothing here needs. This
//! module uses rustls with aws-lc-rs, as the HTTP server does.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket as AsRawFd, AsSocket as AsFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures::{AsyncRead, AsyncWrite, Stream};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties};
use sutazai_core::{Error, Result};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

/// Client configuration and server name of a TLS connection.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    server: ServerName<'static>,
}

impl Tls {
    /// Builds the configuration for an `amqps` address; returns `None` for `amqp`. The roots are those of the
    /// file in the parameter `cacertfile`, as in RabbitMQ's own clients, or the system's.
    ///
    /// # Errors
    /// `InvalidInput` naming `RABBITMQ_URL`.
    pub(super) fn of(uri: &AMQPUri, url: &str) -> Result<Option<Self>> {
        if uri.scheme != AMQPScheme::AMQPS {
            return Ok(None);
        }
        let invalid = |message: String| Error::invalid("RABBITMQ_URL", message);
        let roots = match ca_file(url) {
            Some(path) => roots_of(&path).map_err(invalid)?,
            None => system_roots().map_err(invalid)?,
        };
        let host = uri.authority.host.trim_matches(['[', ']']).to_owned();
        let server = ServerName::try_from(host)
            .map_err(|_| invalid("expected a host name or an IP address after amqps://".to_owned()))?;
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::internal("cannot configure TLS").with_source(e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Some(Self { config: Arc::new(config), server }))
    }

    /// Connects over TLS and opens an AMQP connection on the stream.
    pub(super) async fn connect(
        &self,
        mut uri: AMQPUri,
        properties: ConnectionProperties,
    ) -> lapin::Result<Connection> {
        // lapin must not start a handshake of its own. The default port was already derived from the scheme.
        uri.scheme = AMQPScheme::AMQP;
        let tokio = Tokio::current();
        let reactor = TlsReactor { tokio: tokio.clone(), tls: self.clone() };
        let runtime = Runtime::new(RuntimeParts::new(tokio, reactor));
        Connection::connect_uri_with_runtime(uri, properties, runtime).await
    }
}

/// Tokio's reactor, except that TCP connections use TLS.
#[derive(Debug, Clone)]
struct TlsReactor {
    tokio: Tokio,
    tls: Tls,
}

impl Reactor for TlsReactor {
    type TcpStream = Compat<TlsStream<TcpStream>>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.tokio.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.tokio.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.tokio.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let Tls { config, server } = self.tls.clone();
        async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(TlsConnector::from(config).connect(server, stream).await?.compat())
        }
    }
}

/// Returns the value of `cacertfile` in the address.
fn ca_file(url: &str) -> Option<Cow<'_, str>> {
    let (_, query) = url.split_once('?')?;
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "cacertfile").map(|(_, path)| path)
}

fn roots_of(path: &str) -> Result<RootCertStore, String> {
    let pem = std::fs::read(path).map_err(|e| format!("cannot read cacertfile {path}: {e}"))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.ok().map(|certificate| roots.add(certificate));
        if !matches!(added, Some(Ok(()))) {
            return Err(format!("cacertfile {path} contains something that is not a certificate in PEM"));
        }
    }
    if roots.is_empty() {
        Err(format!("cacertfile {path} contains no certificate in PEM"))
    } else {
        Ok(roots)
    }
}

fn system_roots() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this system has no root certificates; name a file with ?cacertfile=PATH".to_owned());
    }
    Ok(roots)
}
