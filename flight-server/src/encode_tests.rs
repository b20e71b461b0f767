//! Tests of the encoder: what goes in comes out of arrow-flight's own decoder, in messages that fit.

use arrow::array::{Array, BooleanArray, Int64Array, ListArray, StringArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow_flight::decode::FlightRecordBatchStream;
use futures::{FutureExt, TryStreamExt};
use prost::Message;

use super::*;

fn batch(columns: Vec<(&str, Arc<dyn Array>)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

async fn messages(input: &RecordBatch, options: WireOptions) -> Result<Vec<FlightData>, Status> {
    let stream = futures::stream::iter(vec![Ok(input.clone())]);
    wire_stream(&input.schema(), options, stream, None).map_ok(FlightData::from).try_collect().await
}

async fn decoded(messages: Vec<FlightData>) -> RecordBatch {
    let stream = futures::stream::iter(messages.into_iter().map(Ok));
    let mut stream = FlightRecordBatchStream::new_from_flight_data(stream);
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        batches.push(batch.unwrap());
    }
    arrow::compute::concat_batches(stream.schema().unwrap(), &batches).unwrap()
}

#[tokio::test]
async fn rows_survive_in_messages_below_four_mebibytes() {
    let rows = 200_000;
    let texts: Vec<String> = (0..rows).map(|n| format!("a text that is longer than twelve bytes {n}")).collect();
    let lists =
        ListArray::from_iter_primitive::<Int64Type, _, _>((0..rows).map(|n| (n % 3 > 0).then(|| vec![Some(n)])));
    let input = batch(vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..rows))),
        ("text", Arc::new(StringViewArray::from_iter_values(&texts))),
        ("odd", Arc::new(BooleanArray::from_iter((0..rows).map(|n| (n % 5 > 0).then_some(n % 2 == 1))))),
        ("list", Arc::new(lists)),
    ]);
    for views in [false, true] {
        let options = WireOptions { views, ..Default::default() };
        let messages = messages(&input, options).await.unwrap();
        assert!(messages.iter().all(|message| message.encoded_len() < 4 << 20));
        let total: usize = messages.iter().map(Message::encoded_len).sum();
        assert!(total < rows as usize * 120, "{total}");
        let output = decoded(messages).await;
        assert_eq!(output.num_rows(), rows as usize);
        let wanted = if views { DataType::Utf8View } else { DataType::Utf8 };
        assert_eq!(*output.column(1).data_type(), wanted);
        let plain = to_wire(output.column(1), &DataType::Utf8).unwrap();
        let plain = plain.as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!(plain.value(123_456), texts[123_456]);
        for column in [0, 2, 3] {
            assert_eq!(output.column(column), input.column(column));
        }
    }
}

#[tokio::test]
async fn large_batches_of_plain_columns_come_in_messages_below_one_mebibyte() {
    let texts = |rows: i64| StringArray::from_iter_values((0..rows).map(|n| format!("text {n}")));
    for (rows, least) in [(1_000, 1), (20_000, 1), (60_000, 2), (200_000, 5)] {
        let id = Int64Array::from_iter_values(0..rows);
        let input = batch(vec![("id", Arc::new(id)), ("text", Arc::new(texts(rows)))]);
        let messages = messages(&input, WireOptions::default()).await.unwrap();
        // The schema is one.
        assert!((least..least + 3).contains(&(messages.len() - 1)), "{rows} rows: {} messages", messages.len());
        assert!(messages.iter().all(|message| message.encoded_len() <= 1 << 20));
        let output = decoded(messages).await;
        assert!(output.columns().iter().zip(input.columns()).all(|(output, input)| output == input));
    }
}

#[tokio::test]
async fn a_slice_sends_only_its_rows() {
    let input =
        batch(vec![("text", Arc::new(StringArray::from_iter_values((0..100_000).map(|n| format!("text {n}")))))]);
    let messages = messages(&input.slice(70_000, 3), WireOptions::default()).await.unwrap();
    assert!(messages.iter().map(Message::encoded_len).sum::<usize>() < 1000);
    assert_eq!(decoded(messages).await.column(0).len(), 3);
}

#[tokio::test]
async fn a_giant_cell_is_an_error_that_names_it_and_the_option() {
    let cells = vec!["small".to_owned(), "x".repeat(17 << 20)];
    let input =
        batch(vec![("id", Arc::new(Int64Array::from(vec![1, 2]))), ("document", Arc::new(StringArray::from(cells)))]);
    let refused = messages(&input, WireOptions::default()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    for part in ["row 2", "\"document\"", "17.0 MB", "max_message_bytes", "with_max_msg_size"] {
        assert!(refused.message().contains(part), "{part}: {}", refused.message());
    }
    let raised = WireOptions { message_bytes_max: 64 << 20, ..Default::default() };
    assert_eq!(decoded(messages(&input, raised).await.unwrap()).await.num_rows(), 2);
}

#[tokio::test]
async fn a_schema_without_rows_or_columns_is_sent() {
    let empty = RecordBatch::new_empty(Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)])));
    let sent = messages(&empty, WireOptions::default()).await.unwrap();
    assert_eq!(sent.len(), 1);
    assert_eq!(decoded(sent).await.schema(), empty.schema());
    let rows = RecordBatchOptions::new().with_row_count(Some(3));
    let no_columns = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &rows).unwrap();
    let sent = messages(&no_columns, WireOptions::default()).await.unwrap();
    assert_eq!(sent.len(), 2);
}

#[tokio::test]
async fn empty_last_buffers_are_no_message() {
    let input = batch(vec![("nothing", Arc::new(StringArray::new_null(2)))]);
    let sent = messages(&input, WireOptions::default()).await.unwrap();
    assert_eq!(decoded(sent).await.column(0).null_count(), 2);
}

#[tokio::test]
async fn a_failed_query_ends_the_stream_with_its_status() {
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
    let failing = futures::stream::iter(vec![Err(Error::source_unavailable("catalog \"sales\": down"))]);
    let id = QueryId::parse("q1");
    let mut stream = wire_stream(&schema, WireOptions::default(), failing, Some(id));
    assert!(stream.next().await.unwrap().is_ok());
    let failed = stream.next().await.unwrap().unwrap_err();
    assert_eq!(failed.code(), tonic::Code::Unavailable);
    assert!(failed.message().ends_with("[query q1]"), "{}", failed.message());
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn two_large_batches_that_are_there_go_in_one_message_once() {
    let rows = |from: i64| {
        let id = Int64Array::from_iter_values(from..from + 80_000);
        let text = StringViewArray::from_iter_values((from..from + 80_000).map(|n| format!("{n}")));
        batch(vec![("id", Arc::new(id)), ("text", Arc::new(text))])
    };
    let input: Vec<RecordBatch> = (0..4).map(|n| rows(n * 80_000)).collect();
    let all = concat_batches(&input[0].schema(), &input).unwrap();
    for views in [false, true] {
        let options = WireOptions { views, ..Default::default() };
        let stream = futures::stream::iter(input.clone().into_iter().map(Ok));
        let stream = wire_stream(&all.schema(), options, stream, None).map_ok(FlightData::from);
        let messages: Vec<FlightData> = stream.try_collect().await.unwrap();
        let large: Vec<usize> = messages.iter().map(Message::encoded_len).filter(|bytes| *bytes > 1 << 20).collect();
        // What views take is not known before they are encoded.
        assert!(views || large.len() == 1 && large[0] > 2 << 20, "{large:?}");
        let output = decoded(messages).await;
        assert_eq!(output.column(0), all.column(0));
        let texts = |batch: &RecordBatch| cast(batch.column(1), &DataType::Utf8).unwrap();
        assert!(texts(&output) == texts(&all));
    }
    // One that is still to come is not waited for, and one that fails is the stream's error.
    let first = futures::stream::iter([Ok(input[0].clone())]);
    let waiting = first.clone().chain(futures::stream::pending());
    let mut waiting = wire_stream(&all.schema(), WireOptions::default(), waiting, None);
    for _ in 0..3 {
        waiting.next().now_or_never().unwrap().unwrap().unwrap();
    }
    let failing = first.chain(futures::stream::iter([Err(Error::source_unavailable("down"))]));
    let failing = wire_stream(&all.schema(), WireOptions::default(), failing, None);
    assert_eq!(failing.try_collect::<Vec<_>>().await.unwrap_err().code(), tonic::Code::Unavailable);
}
