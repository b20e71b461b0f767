//! DoGet's own path to the socket: Flight messages are written straight into the connection's buffer.
//!
//! tonic's generated service would first gather a message's buffers into one body and then copy that
//! body (apache/arrow-rs#6670); here each byte is copied once. Every other method takes the generated way.

use std::sync::Arc;

use arrow_flight::Ticket;
use bytes::BufMut;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, http};
use tonic::server::{Grpc, ServerStreamingService};
use tonic::{Request, Response, Status};

use crate::encode::{WireMessage, WireStream};
use crate::routes::REQUEST_BYTES_MAX;
use crate::service::Door;

// Fields of FlightData (format/Flight.proto).
const DATA_HEADER: u32 = 2;
const DATA_BODY: u32 = 1000;

/// Answers DoGet. The request holds its [`crate::call::Call`], as for any other method.
pub(crate) async fn do_get(door: Arc<Door>, request: http::Request<Body>) -> http::Response<Body> {
    let mut grpc = Grpc::new(DataCodec).max_decoding_message_size(REQUEST_BYTES_MAX);
    grpc.server_streaming(DoGet(door), request).await
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
