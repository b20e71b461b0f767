//! gRPC reflection: what the services here are, for tools such as grpcurl.
//!
//! arrow-flight has no descriptors of its messages, so those that the Flight service speaks in are
//! listed here as `format/Flight.proto` has them; what travels packed inside of them is not.

use meesh_engine::{Error, Result};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MethodDescriptorProto, OneofDescriptorProto, ServiceDescriptorProto,
};
use tonic::server::NamedService;
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

use crate::routes::FlightRoutes;

const FLIGHT: &str = "arrow.flight.protocol";
const TIMESTAMP_FILE: &str = "google/protobuf/timestamp.proto";

/// A message: its name and its fields, each with type, name and tag.
type MessageRow = (&'static str, &'static [(&'static str, &'static str, i32)]);

/// The messages of Flight that its methods take and return.
const MESSAGES: &[MessageRow] = &[
    ("HandshakeRequest", &[("uint64", "protocol_version", 1), ("bytes", "payload", 2)]),
    ("HandshakeResponse", &[("uint64", "protocol_version", 1), ("bytes", "payload", 2)]),
    ("Empty", &[]),
    ("ActionType", &[("string", "type", 1), ("string", "description", 2)]),
    ("Criteria", &[("bytes", "expression", 1)]),
    ("Action", &[("string", "type", 1), ("bytes", "body", 2)]),
    ("Result", &[("bytes", "body", 1)]),
    ("SchemaResult", &[("bytes", "schema", 1)]),
    (
        "FlightDescriptor",
        &[("FlightDescriptor.DescriptorType", "type", 1), ("bytes", "cmd", 2), ("repeated string", "path", 3)],
    ),
    (
        "FlightInfo",
        &[
            ("bytes", "schema", 1),
            ("FlightDescriptor", "flight_descriptor", 2),
            ("repeated FlightEndpoint", "endpoint", 3),
            ("int64", "total_records", 4),
            ("int64", "total_bytes", 5),
            ("bool", "ordered", 6),
            ("bytes", "app_metadata", 7),
        ],
    ),
    (
        "PollInfo",
        &[
            ("FlightInfo", "info", 1),
            ("FlightDescriptor", "flight_descriptor", 2),
            ("optional double", "progress", 3),
            ("google.protobuf.Timestamp", "expiration_time", 4),
        ],
    ),
    (
        "FlightEndpoint",
        &[
            ("Ticket", "ticket", 1),
            ("repeated Location", "location", 2),
            ("google.protobuf.Timestamp", "expiration_time", 3),
            ("bytes", "app_metadata", 4),
        ],
    ),
    ("Location", &[("string", "uri", 1)]),
    ("Ticket", &[("bytes", "ticket", 1)]),
    (
        "FlightData",
        &[
            ("FlightDescriptor", "flight_descriptor", 1),
            ("bytes", "data_header", 2),
            ("bytes", "app_metadata", 3),
            ("bytes", "data_body", 1000),
        ],
    ),
    ("PutResult", &[("bytes", "app_metadata", 1)]),
];

/// The one enumeration, inside of `FlightDescriptor`.
const DESCRIPTOR_TYPES: &[(&str, i32)] = &[("UNKNOWN", 0), ("PATH", 1), ("CMD", 2)];

/// The methods: name, what they take, what they return.
const METHODS: &[(&str, &str, &str)] = &[
    ("Handshake", "stream HandshakeRequest", "stream HandshakeResponse"),
    ("ListFlights", "Criteria", "stream FlightInfo"),
    ("GetFlightInfo", "FlightDescriptor", "FlightInfo"),
    ("PollFlightInfo", "FlightDescriptor", "PollInfo"),
    ("GetSchema", "FlightDescriptor", "SchemaResult"),
    ("DoGet", "Ticket", "stream FlightData"),
    ("DoPut", "stream FlightData", "stream PutResult"),
    ("DoExchange", "stream FlightData", "stream FlightData"),
    ("DoAction", "Action", "stream Result"),
    ("ListActions", "Empty", "stream ActionType"),
];

const SCALARS: &[(&str, Type)] = &[
    ("bool", Type::Bool),
    ("bytes", Type::Bytes),
    ("double", Type::Double),
    ("int32", Type::Int32),
    ("int64", Type::Int64),
    ("string", Type::String),
    ("uint64", Type::Uint64),
];

/// The service that answers.
///
/// # Errors
/// `Internal` if the descriptors cannot be read, which they can.
pub(crate) fn service() -> Result<ServerReflectionServer<impl ServerReflection>> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_file_descriptor_set(FileDescriptorSet { file: vec![timestamp_file(), flight_file()] })
        .with_service_name(<FlightRoutes as NamedService>::NAME)
        .with_service_name("grpc.health.v1.Health")
        .build_v1()
        .map_err(|error| Error::internal(format!("gRPC reflection cannot be served: {error}")))
}

fn flight_file() -> FileDescriptorProto {
    FileDescriptorProto {
        dependency: vec![TIMESTAMP_FILE.to_owned()],
        message_type: MESSAGES.iter().map(message).collect(),
        service: vec![ServiceDescriptorProto {
            name: Some("FlightService".to_owned()),
            method: METHODS.iter().map(method).collect(),
            options: None,
        }],
        ..file("Flight.proto", FLIGHT)
    }
}

fn timestamp_file() -> FileDescriptorProto {
    let timestamp = message(&("Timestamp", &[("int64", "seconds", 1), ("int32", "nanos", 2)]));
    FileDescriptorProto { message_type: vec![timestamp], ..file(TIMESTAMP_FILE, "google.protobuf") }
}

fn file(name: &str, package: &str) -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some(name.to_owned()),
        package: Some(package.to_owned()),
        syntax: Some("proto3".to_owned()),
        ..Default::default()
    }
}

fn message((name, fields): &MessageRow) -> DescriptorProto {
    let mut message = DescriptorProto { name: Some((*name).to_owned()), ..Default::default() };
    for (kind, field_name, tag) in *fields {
        let mut field = field(kind, field_name, *tag);
        if field.proto3_optional() {
            // What protoc makes of `optional`: a oneof with one choice.
            field.oneof_index = i32::try_from(message.oneof_decl.len()).ok();
            message.oneof_decl.push(OneofDescriptorProto { name: Some(format!("_{field_name}")), options: None });
        }
        if field.r#type() == Type::Enum {
            message.enum_type.push(descriptor_type());
        }
        message.field.push(field);
    }
    message
}

fn field(kind: &str, name: &str, tag: i32) -> FieldDescriptorProto {
    let (label, kind) = kind.split_once(' ').unwrap_or(("", kind));
    let scalar = SCALARS.iter().find(|(scalar, _)| *scalar == kind).map(|(_, scalar)| *scalar);
    let named = if kind.ends_with("Type") { Type::Enum } else { Type::Message };
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(tag),
        label: Some(if label == "repeated" { Label::Repeated } else { Label::Optional } as i32),
        r#type: Some(scalar.unwrap_or(named) as i32),
        type_name: scalar.is_none().then(|| full_name(kind)),
        proto3_optional: (label == "optional").then_some(true),
        ..Default::default()
    }
}

fn descriptor_type() -> EnumDescriptorProto {
    let value = |(name, number): &(&str, i32)| EnumValueDescriptorProto {
        name: Some((*name).to_owned()),
        number: Some(*number),
        options: None,
    };
    EnumDescriptorProto {
        name: Some("DescriptorType".to_owned()),
        value: DESCRIPTOR_TYPES.iter().map(value).collect(),
        ..Default::default()
    }
}

fn method((name, input, output): &(&str, &str, &str)) -> MethodDescriptorProto {
    let input_message = input.strip_prefix("stream ");
    let output_message = output.strip_prefix("stream ");
    MethodDescriptorProto {
        name: Some((*name).to_owned()),
        input_type: Some(full_name(input_message.unwrap_or(input))),
        output_type: Some(full_name(output_message.unwrap_or(output))),
        client_streaming: Some(input_message.is_some()),
        server_streaming: Some(output_message.is_some()),
        options: None,
    }
}

fn full_name(name: &str) -> String {
    if name.starts_with("google.") { format!(".{name}") } else { format!(".{FLIGHT}.{name}") }
}
