//! A sensor's side of the ingest port without a sensor's manners: says what it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream};
use wardmesh_cli::local::CLUSTER;
use wardmesh_common::id::SensorId;
use wardmesh_common::tls::{self, INGEST_ALPN, Identity};
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::message::{Hello, Message, Outcome, Reason, Refusal};
use wardmesh_common::{clock, link};

/// How long an answer may take: below what a lane that is not opened is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// A connection to an ingest or Raft port.
pub struct Client {
    // Lives as long as its connection.
    _endpoint: Endpoint,
    /// The connection itself.
    pub connection: Connection,
}

/// One stream of it.
pub struct Stream {
    send: SendStream,
    receive: RecvStream,
}

/// A hello as the sensor with this id would say it.
pub fn hello(sensor: SensorId, epoch: u64) -> Hello {
    Hello {
        cluster: None,
        sensor: sensor.0,
        epoch,
        tails: Vec::new(),
        held: Vec::new(),
        version_min: 1,
        version_max: 1,
        compression: true,
        sent_at: clock::now().as_nanos(),
        software: "hostile".to_owned(),
    }
}

impl Client {
    /// Connects with a sensor's identity.
    pub async fn connect(address: &str, identity: &Identity) -> Result<Self, String> {
        Self::connect_with(address, identity.client(INGEST_ALPN).unwrap()).await
    }

    /// Connects with any configuration.
    pub async fn connect_with(address: &str, tls: QuicClientConfig) -> Result<Self, String> {
        let endpoint = Endpoint::client(SocketAddr::from(([0, 0, 0, 0], 0))).unwrap();
        let config = ClientConfig::new(Arc::new(tls));
        let name = tls::server_name(CLUSTER);
        let connecting = endpoint.connect_with(config, address.parse().unwrap(), &name).unwrap();
        let connected = tokio::time::timeout(PATIENCE, connecting).await;
        let connection = connected.map_err(|_| "no answer")?.map_err(|cause| cause.to_string())?;
        Ok(Self { _endpoint: endpoint, connection })
    }

    /// Opens a stream and says nothing on it.
    pub async fn stream(&self) -> Result<Stream, String> {
        let (send, receive) = self.connection.open_bi().await.map_err(|cause| cause.to_string())?;
        Ok(Stream { send, receive })
    }

    /// Opens both lanes properly; returns the bulk lane's stream, and the urgent one to be kept.
    pub async fn lanes(&self, hello: &Hello) -> (Stream, Stream) {
        let mut lanes = Vec::new();
        for lane in [Lane::Bulk, Lane::Urgent] {
            let mut stream = self.stream().await.unwrap();
            match stream.greet(lane, hello.clone()).await {
                Ok(Message::Welcome(_)) => lanes.push(stream),
                other => panic!("no welcome on {lane}: {other:?}"),
            }
        }
        let urgent = lanes.pop().unwrap();
        (lanes.pop().unwrap(), urgent)
    }

    /// That the peer closes the connection.
    pub async fn cut(&self) {
        let closed = tokio::time::timeout(PATIENCE, self.connection.closed()).await;
        assert!(closed.is_ok(), "the connection is still open");
    }

    /// That this connection is not served: a hello on it gets no welcome.
    pub async fn unserved(self, hello: &Hello) {
        let Ok(mut stream) = self.stream().await else { return };
        let answer = stream.greet(Lane::Bulk, hello.clone()).await;
        assert!(!matches!(answer, Ok(Message::Welcome(_))), "it was served: {answer:?}");
        self.cut().await;
    }
}

impl Stream {
    /// Says hello and returns the answer.
    pub async fn greet(&mut self, lane: Lane, hello: Hello) -> Result<Message, String> {
        let at = clock::now();
        self.send(Message::Hello(hello).seal(lane, at).unwrap()).await?;
        self.answer().await
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: Bytes) -> Result<(), String> {
        let sent = link::send(&mut self.send, clock::now(), frame).await;
        sent.map_err(|cause| cause.to_string())
    }

    /// Sends bytes as they are.
    pub async fn raw(&mut self, bytes: &[u8]) {
        self.send.write_all(bytes).await.unwrap();
    }

    /// The next message from the peer.
    pub async fn answer(&mut self) -> Result<Message, String> {
        let received = tokio::time::timeout(PATIENCE, link::receive(&mut self.receive)).await;
        let received = received.map_err(|_| "no answer")?.map_err(|cause| cause.to_string())?;
        let (_, frame) = received.ok_or("the stream was finished")?;
        Message::open(&frame).map_err(|cause| cause.to_string())
    }

    /// Sends a batch and returns what became of it, for its place. What cannot be taken now is sent
    /// again, as a sensor does.
    pub async fn submit(&mut self, place: (u64, u64), batch: Bytes) -> Outcome {
        loop {
            self.send(batch.clone()).await.unwrap();
            match self.answer().await.unwrap() {
                Message::Receipt(receipt) if (receipt.epoch, receipt.seq) == place => {
                    let Outcome::Unavailable(retry_after) = receipt.outcome else {
                        return receipt.outcome;
                    };
                    tokio::time::sleep(Duration::from_millis(retry_after.into())).await;
                }
                other => panic!("no receipt for {place:?}: {other:?}"),
            }
        }
    }

    /// That the next answer is a refusal with this reason.
    pub async fn refused(&mut self, expected: Reason) {
        match self.answer().await {
            Ok(Message::Refusal(Refusal { reason, .. })) => assert_eq!(reason, expected),
            other => panic!("no refusal ({expected}): {other:?}"),
        }
    }
}
