//! What operators see: health checks and reflection.

use std::time::Duration;

use arrow_flight::{FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, Location, PollInfo, Ticket};
use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorProto};
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::client::ticket_of;
use super::statements::many_rows;
use super::{Server, with_server};

async fn channel(server: &Server) -> Channel {
    Channel::from_shared(format!("http://{}", server.address)).unwrap().connect().await.unwrap()
}

async fn health(server: &Server, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel(server).await).check(request).await.unwrap().into_inner().status()
}

#[test]
fn health_checks_are_told_when_a_drain_begins() {
    with_server(|server| async move {
        let services = ["", "arrow.flight.protocol.FlightService"];
        for service in services {
            assert_eq!(health(&server, service).await, ServingStatus::Serving, "{service}");
        }
        let mut client = server.client().await;
        let info = client.plan(&many_rows(14)).await.unwrap();
        let mut stream = client.get(ticket_of(&info)).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        let engine = server.engine.clone();
        let drain = tokio::spawn(async move { engine.drain(Duration::from_secs(60)).await });
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!drain.is_finished());
        for service in services {
            assert_eq!(health(&server, service).await, ServingStatus::NotServing, "{service}");
        }
        drain.abort();
    });
}

/// The file in which a symbol, or a file of this name, is described.
async fn described(server: &Server, asked: MessageRequest) -> FileDescriptorProto {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(asked) };
    let requests = futures::stream::iter([request]);
    let mut client = ServerReflectionClient::new(channel(server).await);
    let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
    match answers.message().await.unwrap().unwrap().message_response.unwrap() {
        MessageResponse::FileDescriptorResponse(files) => {
            FileDescriptorProto::decode(files.file_descriptor_proto[0].as_slice()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn reflection_describes_the_service_and_all_it_names() {
    with_server(|server| async move {
        let symbol = "arrow.flight.protocol.FlightService".to_owned();
        let flight = described(&server, MessageRequest::FileContainingSymbol(symbol)).await;
        let timestamp = described(&server, MessageRequest::FileByFilename(flight.dependency[0].clone())).await;
        let mut known: Vec<String> = Vec::new();
        for file in [&flight, &timestamp] {
            for message in &file.message_type {
                let name = format!(".{}.{}", file.package(), message.name());
                known.extend(message.enum_type.iter().map(|inner| format!("{name}.{}", inner.name())));
                known.push(name);
            }
        }
        let fields = flight.message_type.iter().flat_map(|message| &message.field);
        let methods = flight.service.iter().flat_map(|service| &service.method);
        let named = fields.filter_map(|field| field.type_name.clone());
        let taken =
            methods.clone().flat_map(|method| [method.input_type().to_owned(), method.output_type().to_owned()]);
        for name in named.chain(taken) {
            assert!(known.contains(&name), "{name} of {known:?}");
        }
        assert_eq!(methods.count(), 10);
    });
}

/// What is described is what arrow-flight writes: each field under its tag and in its form.
#[test]
fn described_fields_are_those_that_are_sent() {
    with_server(|server| async move {
        let symbol = "arrow.flight.protocol.FlightService".to_owned();
        let flight = described(&server, MessageRequest::FileContainingSymbol(symbol)).await;
        let message = |name: &str| flight.message_type.iter().find(|message| message.name() == name).unwrap();
        let time = Some(std::time::SystemTime::now().into());
        let descriptor = FlightDescriptor { r#type: 1, cmd: "c".into(), path: vec!["p".into()] };
        let endpoint = FlightEndpoint {
            ticket: Some(Ticket::new("t")),
            location: vec![Location { uri: "u".into() }],
            expiration_time: time,
            app_metadata: "m".into(),
        };
        let info = FlightInfo {
            schema: "s".into(),
            flight_descriptor: Some(descriptor.clone()),
            endpoint: vec![endpoint.clone()],
            total_records: 1,
            total_bytes: 1,
            ordered: true,
            app_metadata: "m".into(),
        };
        let poll = PollInfo {
            info: Some(info.clone()),
            flight_descriptor: Some(descriptor.clone()),
            progress: Some(0.5),
            expiration_time: time,
        };
        let data = FlightData {
            flight_descriptor: Some(descriptor.clone()),
            data_header: "h".into(),
            app_metadata: "m".into(),
            data_body: "b".into(),
        };
        check(message("FlightDescriptor"), &descriptor);
        check(message("FlightEndpoint"), &endpoint);
        check(message("FlightInfo"), &info);
        check(message("PollInfo"), &poll);
        check(message("FlightData"), &data);
    });
}

fn check(described: &DescriptorProto, sent: &impl Message) {
    let bytes = sent.encode_to_vec();
    let mut rest = bytes.as_slice();
    let mut tags = Vec::new();
    while !rest.is_empty() {
        let (tag, form) = prost::encoding::decode_key(&mut rest).unwrap();
        let field = described.field.iter().find(|field| field.number() == tag as i32);
        let field = field.unwrap_or_else(|| panic!("{}: field {tag} is not described", described.name()));
        let wanted = match field.r#type() {
            Type::Double => prost::encoding::WireType::SixtyFourBit,
            Type::Bytes | Type::String | Type::Message => prost::encoding::WireType::LengthDelimited,
            _ => prost::encoding::WireType::Varint,
        };
        assert_eq!(form, wanted, "{}.{}", described.name(), field.name());
        prost::encoding::skip_field(form, tag, &mut rest, prost::encoding::DecodeContext::default()).unwrap();
        tags.push(tag);
    }
    tags.dedup();
    assert_eq!(tags.len(), described.field.len(), "{}", described.name());
}
