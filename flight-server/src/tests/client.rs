//! A thin client over the generated one, so that tests see headers and statuses as they come.

use std::net::SocketAddr;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, Any, CommandPreparedStatementQuery, CommandPreparedStatementUpdate,
    CommandStatementQuery, CommandStatementUpdate, DoPutUpdateResult, ProstMessageExt,
};
use arrow_flight::utils::batches_to_flight_data;
use arrow_flight::{Action, FlightData, FlightDescriptor, FlightInfo, PutResult, Ticket};
use bytes::Bytes;
use futures::TryStreamExt;
use prost::Message;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use crate::error::put;
use crate::proto::PreparedStatementResult;

/// One connection and the headers it sends.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) flight: FlightServiceClient<Channel>,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self::over(Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap())
    }

    pub(super) fn over(channel: Channel) -> Self {
        let flight = FlightServiceClient::new(channel).max_decoding_message_size(64 << 20);
        Self { flight, headers: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        for (name, value) in &self.headers {
            put(request.metadata_mut(), name, value);
        }
        request
    }

    pub(super) async fn info(&mut self, command: impl ProstMessageExt) -> Result<Response<FlightInfo>, Status> {
        let request = self.request(descriptor(&command));
        self.flight.get_flight_info(request).await
    }

    pub(super) async fn plan(&mut self, sql: &str) -> Result<FlightInfo, Status> {
        let command = CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
        Ok(self.info(command).await?.into_inner())
    }

    pub(super) async fn get(&mut self, ticket: Ticket) -> Result<Response<Streaming<FlightData>>, Status> {
        let request = self.request(ticket);
        self.flight.do_get(request).await
    }

    /// Every batch behind the one endpoint of `info`.
    pub(super) async fn fetch(&mut self, info: &FlightInfo) -> Result<Vec<RecordBatch>, Status> {
        let stream = self.get(ticket_of(info)).await?.into_inner();
        let mut stream = FlightRecordBatchStream::new_from_flight_data(stream.map_err(FlightError::from));
        let mut batches = Vec::new();
        while let Some(batch) = stream.try_next().await.map_err(Status::from)? {
            batches.push(batch);
        }
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(stream.schema().unwrap().clone()));
        }
        assert_eq!(info.clone().try_decode_schema().unwrap(), *batches[0].schema());
        Ok(batches)
    }

    /// The answer of a metadata command.
    pub(super) async fn ask(&mut self, command: impl ProstMessageExt) -> Result<Vec<String>, Status> {
        let info = self.info(command).await?.into_inner();
        Ok(lines(&self.fetch(&info).await?))
    }

    /// The rows of a statement, each as its values with commas between.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<String>, Status> {
        let info = self.plan(sql).await?;
        Ok(lines(&self.fetch(&info).await?))
    }

    pub(super) async fn prepare(&mut self, sql: &str) -> Result<PreparedStatementResult, Status> {
        let request = ActionCreatePreparedStatementRequest { query: sql.to_owned(), transaction_id: None };
        let body = self.act("CreatePreparedStatement", request.as_any().encode_to_vec()).await?;
        let any = Any::decode(body.unwrap()).unwrap();
        Ok(PreparedStatementResult::decode(any.value).unwrap())
    }

    pub(super) async fn execute(&mut self, handle: &Bytes) -> Result<Vec<String>, Status> {
        let command = CommandPreparedStatementQuery { prepared_statement_handle: handle.clone() };
        let info = self.info(command).await?.into_inner();
        Ok(lines(&self.fetch(&info).await?))
    }

    pub(super) async fn bind(&mut self, handle: &Bytes, rows: RecordBatch) -> Result<PutResult, Status> {
        self.put(CommandPreparedStatementQuery { prepared_statement_handle: handle.clone() }, Some(rows)).await
    }

    pub(super) async fn update(&mut self, sql: &str) -> Result<i64, Status> {
        count(self.put(CommandStatementUpdate { query: sql.to_owned(), transaction_id: None }, None).await?)
    }

    pub(super) async fn execute_update(&mut self, handle: &Bytes, rows: RecordBatch) -> Result<i64, Status> {
        let command = CommandPreparedStatementUpdate { prepared_statement_handle: handle.clone() };
        count(self.put(command, Some(rows)).await?)
    }

    pub(super) async fn put(
        &mut self,
        command: impl ProstMessageExt,
        rows: Option<RecordBatch>,
    ) -> Result<PutResult, Status> {
        let mut messages = match rows {
            Some(rows) => batches_to_flight_data(&rows.schema(), vec![rows.clone()]).unwrap(),
            None => vec![FlightData::default()],
        };
        messages[0].flight_descriptor = Some(descriptor(&command));
        let request = self.request(futures::stream::iter(messages));
        self.flight.do_put(request).await?.into_inner().message().await.map(Option::unwrap)
    }

    /// The body of an action's one result, if it has one.
    pub(super) async fn act(&mut self, name: &str, body: Vec<u8>) -> Result<Option<Bytes>, Status> {
        let request = self.request(Action::new(name, body));
        Ok(self.flight.do_action(request).await?.into_inner().message().await?.map(|result| result.body))
    }
}

fn count(result: PutResult) -> Result<i64, Status> {
    Ok(DoPutUpdateResult::decode(result.app_metadata).unwrap().record_count)
}

pub(super) fn descriptor(command: &impl ProstMessageExt) -> FlightDescriptor {
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

pub(super) fn ticket_of(info: &FlightInfo) -> Ticket {
    assert_eq!(info.endpoint.len(), 1);
    assert!(info.endpoint[0].location.is_empty());
    info.endpoint[0].ticket.clone().unwrap()
}

pub(super) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(","));
        }
    }
    lines
}
