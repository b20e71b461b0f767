//! DoGet's own path to the socket: Flight messages are written straight into the connection's buffer.
//!
//! tonic's generated service would first gather a message's buffers into one body and then copy that
//! body (apache/arrow-rs#6670); here each byte is copied once. Every other method takes the generated way.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow_flight::Ticket;
use arrow_flight::flight_service_server::FlightServiceServer;
use bytes::BufMut;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};

use crate::encode::{WireMessage, WireStream};
use crate::service::Door;

/// Requests: statements and bound parameters.
const DECODE_BYTES_MAX: usize = 16 << 20;
const DO_GET: &str = "/arrow.flight.protocol.FlightService/DoGet";

// Fields of FlightData (format/Flight.proto).
const DATA_HEADER: u32 = 2;
const DATA_BODY: u32 = 1000;

/// The Flight service as a tower service.
#[derive(Clone)]
pub(crate) struct FlightRoutes {
    door: Arc<Door>,
    generated: FlightServiceServer<Door>,
}

impl FlightRoutes {
    pub(crate) fn new(door: Arc<Door>) -> Self {
        let generated = FlightServiceServer::from_arc(Arc::clone(&door)).max_decoding_message_size(DECODE_BYTES_MAX);
        Self { door, generated }
    }
}

impl NamedService for FlightRoutes {
    const NAME: &'static str = "arrow.flight.protocol.FlightService";
}

impl Service<http::Request<Body>> for FlightRoutes {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != DO_GET {
            return self.generated.call(request);
        }
        let door = Arc::clone(&self.door);
        Box::pin(async move {
            let mut grpc = Grpc::new(DataCodec).max_decoding_message_size(DECODE_BYTES_MAX);
            Ok(grpc.server_streaming(DoGet(door), request).await)
        })
    }
}

struct DoGet(Arc<Door>);

impl ServerStreamingService<Ticket> for DoGet {
    type Response = WireMessage;
    type ResponseStream = WireStream;
    type Future = BoxFuture<Response<WireStream>, Status>;

    fn call(&mut self, request: Request<Ticket>) -> Self::Future {
        let door = Arc::clone(&self.0);
        Box::pin(async move { door.stream_ticket(request).await })
    }
}

struct DataCodec;

impl Codec for DataCodec {
    type Encode = WireMessage;
    type Decode = Ticket;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for DataCodec {
    type Item = WireMessage;
    type Error = Status;

    fn encode(&mut self, message: WireMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let body_len = message.body_len();
        buffer.reserve(field_len(DATA_HEADER, message.header.len()) + field_len(DATA_BODY, body_len));
        write_message(&message, body_len, buffer);
        Ok(())
    }
}

impl Decoder for DataCodec {
    type Item = Ticket;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Ticket>, Status> {
        Ticket::decode(buffer).map(Some).map_err(|error| crate::error::malformed(format!("ticket: {error}")))
    }
}

fn field_len(tag: u32, length: usize) -> usize {
    key_len(tag) + encoded_len_varint(length as u64) + length
}

/// FlightData as prost would write it.
fn write_message(message: &WireMessage, body_len: usize, buffer: &mut impl BufMut) {
    encode_key(DATA_HEADER, WireType::LengthDelimited, buffer);
    encode_varint(message.header.len() as u64, buffer);
    buffer.put_slice(&message.header);
    if body_len > 0 {
        encode_key(DATA_BODY, WireType::LengthDelimited, buffer);
        encode_varint(body_len as u64, buffer);
        message.body.iter().for_each(|part| buffer.put_slice(part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::buffer::Buffer;
    use arrow_flight::FlightData;
    use bytes::Bytes;

    #[test]
    fn messages_are_written_as_prost_writes_them() {
        for body in [vec![], vec![Buffer::from(vec![1u8; 300]), Buffer::from(vec![2u8; 8])]] {
            let message = WireMessage { header: Bytes::from_static(b"header"), body };
            let mut bytes = Vec::new();
            write_message(&message, message.body_len(), &mut bytes);
            assert_eq!(bytes, FlightData::from(message).encode_to_vec());
        }
    }
}
