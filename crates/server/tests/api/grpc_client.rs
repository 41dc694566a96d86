//! A gRPC client for tests: tonic's own, on one HTTP/2 connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::uri::PathAndQuery;
use axum::http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::Status;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic_prost::ProstCodec;

/// One connection, as tonic takes it.
#[derive(Clone)]
pub(crate) struct Channel(SendRequest<tonic::body::Body>);

impl tower::Service<Request<tonic::body::Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Channel {
    let (send, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    Channel(send)
}

/// A client of one index.
pub(crate) struct Client {
    pub(crate) grpc: Grpc<Channel>,
    pub(crate) metadata: Vec<(&'static str, String)>,
}

impl Client {
    /// Speaks plainly with `host`, or by TLS where it says https and the
    /// certificate is one of `roots`.
    pub(crate) async fn to(host: &str, roots: Option<&rustls::RootCertStore>) -> Self {
        let origin: Uri = host.parse().unwrap();
        let stream = TcpStream::connect(origin.authority().unwrap().as_str()).await.unwrap();
        let channel = match roots {
            None => over(stream).await,
            Some(roots) => {
                let mut config = rustls::ClientConfig::builder()
                    .with_root_certificates(roots.clone())
                    .with_no_client_auth();
                config.alpn_protocols = vec![b"h2".to_vec()];
                let name = ServerName::try_from(origin.host().unwrap().to_owned()).unwrap();
                let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
                let stream = connector.connect(name, stream).await.unwrap();
                assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                over(stream).await
            }
        };
        let grpc = Grpc::with_origin(channel, origin).max_decoding_message_size(64 << 20);
        Self { grpc, metadata: Vec::new() }
    }

    /// Calls a method; gives the answer and what came before it.
    pub(crate) async fn full<Q, A>(
        &mut self,
        path: &str,
        message: Q,
    ) -> Result<(A, MetadataMap), Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        self.grpc.ready().await.unwrap();
        let mut request = tonic::Request::new(message);
        for (name, value) in &self.metadata {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        let path = PathAndQuery::try_from(path).unwrap();
        let answer = self.grpc.unary(request, path, ProstCodec::<Q, A>::default()).await?;
        let (metadata, message, _) = answer.into_parts();
        Ok((message, metadata))
    }

    /// The answer of a method of the service.
    pub(crate) async fn call<Q, A>(&mut self, method: &str, message: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let path = format!("/VectorService/{method}");
        self.full(&path, message).await.map(|(answer, _)| answer)
    }
}

/// Sends `body` as the bytes of a request and gives status, message and HTTP
/// status.
pub(crate) async fn raw(
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: tonic::body::Body,
) -> (Option<i32>, String, u16) {
    let origin: Uri = host.parse().unwrap();
    let stream = TcpStream::connect(origin.authority().unwrap().as_str()).await.unwrap();
    let mut channel = over(stream).await;
    let mut request = Request::post(format!("{host}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = channel.0.send_request(request.body(body).unwrap()).await.unwrap();
    let header = |name: &str| answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
    let status = header("grpc-status").map(|status| status.parse().unwrap());
    (status, header("grpc-message").unwrap_or_default(), answer.status().as_u16())
}

/// A message with what stands before it.
pub(crate) fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag], &length[..], message].concat()
}
