//! Batches as Flight messages: `batches -> wire types -> split -> IPC`, without copying.
//!
//! A message holds references to the batch's own buffers; the bytes are copied once, into the
//! connection's buffer, by `codec.rs`. Dropping the stream drops the query behind it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, StreamEncoder};
use arrow::ipc::{MessageHeader, root_as_message};
use arrow_flight::{FlightData, IpcMessage, SchemaAsIpc};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use meesh_base::format_bytes;
use meesh_engine::{Error, QueryId, Result};
use tonic::Status;

use crate::error::status;
use crate::wire_types::{MESSAGE_BYTES_MAX, WireOptions, compact_views, to_wire, wire_schema};

/// A message of more is split into pieces of at most [`TARGET_BYTES`]: one of 1.4 MB costs a client in C++ more CPU
/// than two of half of it (5 to 30 %), in memory that it touches for the first time.
const LARGE_BYTES: usize = 1 << 20;
const TARGET_BYTES: usize = 768 << 10;
/// Plain gRPC clients refuse messages above 4 MiB.
const LIMIT_BYTES: usize = 3_600_000;

/// One Flight message: an IPC header and the buffers of its body, not yet put together.
#[derive(Debug)]
pub(crate) struct WireMessage {
    pub(crate) header: Bytes,
    pub(crate) body: Vec<Buffer>,
}

impl WireMessage {
    /// Bytes of the body.
    pub(crate) fn body_len(&self) -> usize {
        self.body.iter().map(Buffer::len).sum()
    }
}

impl From<WireMessage> for FlightData {
    fn from(message: WireMessage) -> Self {
        let mut body = Vec::with_capacity(message.body_len());
        message.body.iter().for_each(|buffer| body.extend_from_slice(buffer));
        Self { data_header: message.header, data_body: body.into(), ..Default::default() }
    }
}

/// Flight messages of one stream, the schema first.
pub(crate) type WireStream = BoxStream<'static, Result<WireMessage, Status>>;

/// The messages of `batches`. Ends at the first error.
///
/// # Errors
/// In the stream: the query's own errors, and ResourceExhausted for a row above the largest message.
pub(crate) fn wire_stream<S>(schema: &Schema, options: WireOptions, batches: S, query: Option<QueryId>) -> WireStream
where
    S: Stream<Item = Result<RecordBatch>> + Send + Unpin + 'static,
{
    match BatchEncoder::new(wire_schema(schema, options), options) {
        Ok(encoder) => Encoding { encoder, batches: Some(batches), query }.boxed(),
        Err(error) => futures::stream::iter([Err(status(&internal(&error), query.as_ref()))]).boxed(),
    }
}

struct Encoding<S> {
    encoder: BatchEncoder,
    /// Dropped at the end, so that the sources are free before the client closes the call.
    batches: Option<S>,
    query: Option<QueryId>,
}

impl<S: Stream<Item = Result<RecordBatch>> + Unpin> Encoding<S> {
    /// Turns a batch into messages, and the next one with it if both are for the largest message and it is
    /// there: the rows do not wait for it.
    fn encode(&mut self, batch: &RecordBatch, cx: &mut Context<'_>) -> Result<()> {
        let next = match &mut self.batches {
            Some(batches) if self.encoder.is_largest_due(batch) => batches.poll_next_unpin(cx),
            _ => Poll::Pending,
        };
        match next {
            Poll::Pending => self.encoder.push(batch),
            Poll::Ready(Some(next)) => self.encoder.push_together(batch, &next?),
            Poll::Ready(None) => {
                self.batches = None;
                self.encoder.push(batch)
            }
        }
    }
}

impl<S: Stream<Item = Result<RecordBatch>> + Unpin> Stream for Encoding<S> {
    type Item = Result<WireMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(message) = self.encoder.queue.pop_front() {
                return Poll::Ready(Some(Ok(message)));
            }
            let Some(batches) = &mut self.batches else {
                return Poll::Ready(None);
            };
            let failed = match ready!(batches.poll_next_unpin(cx)) {
                Some(Ok(batch)) => self.encode(&batch, cx).err(),
                Some(Err(error)) => Some(error),
                None => {
                    self.batches = None;
                    None
                }
            };
            if let Some(error) = failed {
                self.batches = None;
                self.encoder.queue.clear();
                return Poll::Ready(Some(Err(status(&error, self.query.as_ref()))));
            }
        }
    }
}

/// Turns batches into messages of bounded size.
struct BatchEncoder {
    /// What was announced, but with every column nullable: a plan that promised no NULL and broke its
    /// word is not worth a failed query.
    lenient: SchemaRef,
    options: WireOptions,
    ipc: StreamEncoder,
    queue: VecDeque<WireMessage>,
    rows_sent: usize,
    /// Whether the one message was sent that is as large as may be. glibc, which most clients in C++ and Python
    /// allocate with, keeps twice as much free memory as the largest block that it has seen freed, and gives the
    /// rest back: below that, every message is read into pages that the kernel has to clear first.
    largest_sent: bool,
}

impl BatchEncoder {
    fn new(schema: SchemaRef, options: WireOptions) -> Result<Self, ArrowError> {
        let fields: Fields = schema.fields().iter().map(|field| Field::clone(field).with_nullable(true)).collect();
        let write_options = IpcWriteOptions::default();
        let header = IpcDataGenerator::default()
            .schema_to_bytes_with_dictionary_tracker(&schema, &mut DictionaryTracker::new(false), &write_options)
            .ipc_message;
        Ok(Self {
            lenient: Arc::new(Schema::new(fields)),
            options,
            ipc: StreamEncoder::try_new_with_options(&schema, write_options)?,
            queue: VecDeque::from([WireMessage { header: header.into(), body: Vec::new() }]),
            rows_sent: 0,
            largest_sent: false,
        })
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        match self.to_wire(batch) {
            Ok(wire) => self.push_wire(&wire),
            // More text than 32-bit offsets reach: smaller pieces fit.
            Err(_) if batch.num_rows() > 1 => {
                let half = batch.num_rows() / 2;
                self.push(&batch.slice(0, half))?;
                self.push(&batch.slice(half, batch.num_rows() - half))
            }
            Err(error) => Err(internal(&error)),
        }
    }

    /// Whether `batch` may be a part of the largest message.
    fn is_largest_due(&self, batch: &RecordBatch) -> bool {
        !self.largest_sent && batch.get_array_memory_size() > LARGE_BYTES
    }

    /// Two batches, in one message if they are large and it can hold both.
    fn push_together(&mut self, batch: &RecordBatch, next: &RecordBatch) -> Result<()> {
        let (Ok(first), Ok(second)) = (self.to_wire(batch), self.to_wire(next)) else {
            self.push(batch)?;
            return self.push(next);
        };
        if !(2 * LARGE_BYTES..LIMIT_BYTES).contains(&(flat_bytes(&first) + flat_bytes(&second))) {
            self.push_wire(&first)?;
            return self.push_wire(&second);
        }
        self.largest_sent = true;
        let both = concat_batches(&self.lenient, [&first, &second]).map_err(|error| internal(&error))?;
        self.push_piece(&both)
    }

    fn to_wire(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = batch
            .columns()
            .iter()
            .zip(self.lenient.fields())
            .map(|(column, field)| to_wire(column, field.data_type()))
            .collect::<Result<Vec<_>, _>>()?;
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.lenient), columns, &rows)
    }

    fn push_wire(&mut self, batch: &RecordBatch) -> Result<()> {
        let expected = flat_bytes(batch);
        let count = if expected > LARGE_BYTES { expected.div_ceil(TARGET_BYTES) } else { 1 };
        pieces(batch, count).try_for_each(|piece| self.push_piece(&piece))
    }

    fn push_piece(&mut self, batch: &RecordBatch) -> Result<()> {
        let compacted;
        // Every piece anew: views would bring along what those of the whole batch point to.
        let batch = if self.options.views {
            compacted = compact(batch).map_err(|error| internal(&error))?;
            &compacted
        } else {
            batch
        };
        let messages = self.encode(batch).map_err(|error| internal(&error))?;
        let bytes: usize = messages.iter().map(WireMessage::body_len).sum();
        if bytes > LIMIT_BYTES && batch.num_rows() > 1 {
            let count = bytes.div_ceil(TARGET_BYTES);
            return pieces(batch, count).try_for_each(|piece| self.push_piece(&piece));
        }
        self.check_size(batch, bytes)?;
        self.rows_sent += batch.num_rows();
        self.queue.extend(messages);
        Ok(())
    }

    /// The messages of one batch, the schema that the encoder repeats left out.
    fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<WireMessage>, ArrowError> {
        let mut messages = split_messages(self.ipc.encode(batch)?)?;
        messages.retain(|message| {
            !root_as_message(&message.header).is_ok_and(|message| message.header_type() == MessageHeader::Schema)
        });
        Ok(messages)
    }

    fn check_size(&self, batch: &RecordBatch, bytes: usize) -> Result<()> {
        let allowed = match self.options.message_bytes_max {
            0 => MESSAGE_BYTES_MAX,
            bytes => bytes,
        };
        if bytes as u64 <= allowed {
            return Ok(());
        }
        let sizes = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0));
        let largest = sizes.zip(self.lenient.fields()).max_by_key(|(size, _)| *size);
        let column = largest.map_or_else(String::new, |(size, field)| {
            format!(", {} of it in column {:?}", format_bytes(size as u64), field.name())
        });
        Err(Error::exhausted(format!(
            "row {} of the result takes {}{column}, more than one message may hold ({})",
            self.rows_sent + 1,
            format_bytes(bytes as u64),
            format_bytes(allowed)
        ))
        .with_hint(
            "select less of it, or raise both the session option max_message_bytes and the client's limit \
             (ADBC: adbc.flight.sql.client_option.with_max_msg_size)",
        )
        .with_code("EXCEEDED_MESSAGE_LIMIT"))
    }
}

/// `count` pieces of a batch, at most as many as it has rows.
fn pieces(batch: &RecordBatch, count: usize) -> impl Iterator<Item = RecordBatch> {
    let rows = batch.num_rows().div_ceil(count).max(1);
    (0..batch.num_rows()).step_by(rows).map(move |offset| batch.slice(offset, rows.min(batch.num_rows() - offset)))
}

/// Bytes of a batch's rows in columns of numbers and plain texts. What other types share with rows that are
/// not the batch's is not known before they are encoded.
fn flat_bytes(batch: &RecordBatch) -> usize {
    let is_flat = |column: &&ArrayRef| {
        let kind = column.data_type();
        kind.is_primitive() || matches!(kind, DataType::Boolean | DataType::Utf8 | DataType::Binary)
    };
    let bytes = |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or(0);
    batch.columns().iter().filter(is_flat).map(bytes).sum()
}

fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(compact_views).collect();
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &rows)
}

/// Cuts an encapsulated IPC stream (`FFFFFFFF`, header length, header, body) into its messages.
fn split_messages(buffers: Vec<Buffer>) -> Result<Vec<WireMessage>, ArrowError> {
    let mut rest: VecDeque<Buffer> = buffers.into_iter().filter(|buffer| !buffer.is_empty()).collect();
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let prefix = take_bytes(&mut rest, 8)?;
        let length = prefix.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
        let header = take_bytes(&mut rest, length as usize)?;
        let body_len = root_as_message(&header)
            .map_err(|error| ArrowError::IpcError(format!("own message cannot be read: {error}")))?
            .bodyLength();
        let body = take_buffers(&mut rest, usize::try_from(body_len).unwrap_or(0))?;
        messages.push(WireMessage { header: header.into(), body });
    }
    Ok(messages)
}

fn take_bytes(rest: &mut VecDeque<Buffer>, length: usize) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = Vec::with_capacity(length);
    take_buffers(rest, length)?.iter().for_each(|buffer| bytes.extend_from_slice(buffer));
    Ok(bytes)
}

fn take_buffers(rest: &mut VecDeque<Buffer>, mut length: usize) -> Result<Vec<Buffer>, ArrowError> {
    let mut taken = Vec::new();
    while length > 0 {
        let Some(first) = rest.pop_front() else {
            return Err(ArrowError::IpcError("own message ends too early".into()));
        };
        if first.len() > length {
            rest.push_front(first.slice(length));
            taken.push(first.slice_with_length(0, length));
            break;
        }
        length -= first.len();
        taken.push(first);
    }
    Ok(taken)
}

/// A schema as an encapsulated IPC message, the form of FlightInfo and its kin.
///
/// # Errors
/// INTERNAL if the schema cannot be written, which no schema of ours is.
pub(crate) fn schema_message(schema: &Schema) -> Result<Bytes, Status> {
    let options = IpcWriteOptions::default();
    IpcMessage::try_from(SchemaAsIpc::new(schema, &options))
        .map(|IpcMessage(bytes)| bytes)
        .map_err(|error| status(&internal(&error), None))
}

fn internal(error: &ArrowError) -> Error {
    Error::internal(format!("result cannot be encoded: {error}"))
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
