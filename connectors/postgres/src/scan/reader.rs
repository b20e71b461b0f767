//! The task of one stream: takes pieces while there are any, and reads each by a COPY.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use arrow::record_batch::RecordBatch;
use meesh_base::{Error, ErrorKind, Result, SourceProgress};
use tokio::sync::mpsc;

use super::{Access, Ended, Reading, not_printed};
use crate::decode::BatchDecoder;
use crate::snapshot::{Begin, Lease};
use crate::wire::{CopyState, Place};

/// The task that reads.
pub(super) struct Reader {
    reading: Arc<Reading>,
    progress: Arc<SourceProgress>,
    sender: mpsc::Sender<RecordBatch>,
    _ended: Ended,
}

impl Reader {
    pub(super) fn new(reading: Arc<Reading>, sender: mpsc::Sender<RecordBatch>, ended: Ended) -> Self {
        let progress = reading.request.scope.progress(reading.scan.connector.catalog_name());
        Self { reading, progress, sender, _ended: ended }
    }

    /// Reads until nothing is left, or until nobody wants more.
    pub(super) async fn run(self) -> Result<()> {
        match self.read().await {
            Err(error) => Err(self.explain(error)),
            Ok(_) => Ok(()),
        }
    }

    /// `None`: the query has gone.
    async fn read(&self) -> Result<Option<()>> {
        let scan = &self.reading.scan;
        let Some(access) = self.wanted(self.reading.access()).await? else { return Ok(None) };
        let must = !self.reading.begun.swap(true, Relaxed);
        // A lookup is one stream's; what the others have taken needs no session.
        if access.pieces.is_empty() || (!must && access.streams <= 1) {
            scan.expected.served();
            return Ok(Some(()));
        }
        let snapshot = scan.expected.snapshot();
        let session = snapshot.session(scan.connector.pool(), &self.reading.request.scope, must);
        let Some(lease) = self.wanted(session).await? else { return Ok(None) };
        scan.expected.served();
        let Some(mut lease) = lease else { return Ok(Some(())) };
        let done = self.read_pieces(access, &mut lease).await;
        if done.as_ref().is_ok_and(Option::is_some) {
            snapshot.give_back(lease);
        }
        done
    }

    async fn read_pieces(&self, access: &Access, lease: &mut Lease) -> Result<Option<()>> {
        let scan = &self.reading.scan;
        let request = &self.reading.request;
        let place = Arc::clone(&scan.place);
        let mut decoder = BatchDecoder::new(place, Arc::clone(&scan.0.schema), &scan.decoders, request.batch_rows)?;
        request.report.streams.fetch_add(1, Relaxed);
        request.report.touch();
        let mut first = true;
        while let Some(piece) = access.pieces.take() {
            self.progress.units_total.fetch_add(1, Relaxed);
            let text = access.select.finish(&scan.types(), piece.as_deref());
            let (text, _) = text.map_err(|reason| not_printed(scan, reason))?;
            if self.wanted(self.start(lease, &text, first)).await?.is_none() {
                return Ok(None);
            }
            first = false;
            loop {
                let Some(state) = self.wanted(lease.session.read_copy(&mut decoder)).await? else { return Ok(None) };
                if state == CopyState::Done {
                    break;
                }
                if self.send(&mut decoder).await?.is_none() {
                    return Ok(None);
                }
            }
            self.progress.units_done.fetch_add(1, Relaxed);
        }
        if decoder.is_empty() {
            return Ok(Some(()));
        }
        self.send(&mut decoder).await
    }

    /// Begins the COPY of a piece, and first, if it is the stream's `first`, what must go before it.
    async fn start(&self, lease: &mut Lease, select: &str, first: bool) -> Result<()> {
        let alone = matches!(lease.begin, Begin::Alone);
        let exports = matches!(lease.begin, Begin::Export(_));
        let imports = matches!(lease.begin, Begin::Import(_));
        let prelude = if first { Some(self.prelude(lease, exports)) } else { None };
        // Whoever reads alone reads one piece, and needs no further word with the server.
        let commit = if alone { "; COMMIT" } else { "" };
        let copy = format!("COPY ({select}) TO STDOUT (FORMAT BINARY){commit}");
        let started = lease.session.start_copy_out(prelude.as_deref(), &copy).await;
        let rows =
            started.map_err(|error| if imports { snapshot_gone(lease.session.place(), error) } else { error })?;
        if first {
            let mut values = rows.into_iter().next_back().unwrap_or_default();
            let exported = if exports { values.pop().flatten() } else { None };
            lease.begun(self.reading.scan.expected.snapshot(), exported);
            self.check_unchanged(&values)?;
        }
        Ok(())
    }

    /// Begins the transaction, keeps the definitions as they are until its end, and asks for them.
    ///
    /// A table that is being altered is waited for by the first statement that names it; only those after
    /// it see what it has become.
    fn prelude(&self, lease: &Lease, exports: bool) -> String {
        let name = format!("meesh/{}", self.reading.request.scope.id());
        let begin = lease.begin.sql().map(|begin| lease.session.prelude(&begin, &[("application_name", &name)]));
        let relations = self.reading.scan.relations();
        let locks = relations.iter().map(|relation| format!("SELECT FROM {} WHERE FALSE", relation.quoted_name()));
        let mut values: Vec<String> = relations.iter().map(|relation| relation.types_now()).collect();
        if exports {
            values.push("pg_catalog.pg_export_snapshot()".to_owned());
        }
        let ask = format!("SELECT {}", values.join(", "));
        begin.into_iter().chain(locks).chain([ask]).collect::<Vec<_>>().join("; ")
    }

    /// Whether the relations still have the columns that the SELECT was made for: binary values carry
    /// no types.
    fn check_unchanged(&self, now: &[Option<String>]) -> Result<()> {
        let scan = &self.reading.scan;
        let relations = scan.relations();
        let changed = relations.iter().zip(now).find(|(relation, now)| now.as_ref() != Some(&relation.types()));
        if changed.is_none() && now.len() == relations.len() {
            return Ok(());
        }
        scan.connector.tables_known().refresh(None, None);
        let relation = changed.map_or("a table", |(relation, _)| relation.name.as_str());
        Err(Error::source_unavailable(format!("{}: the definition of {relation:?} has changed", scan.place))
            .with_hint("run the query again")
            .passing())
    }

    async fn send(&self, decoder: &mut BatchDecoder) -> Result<Option<()>> {
        let bytes = decoder.bytes() as u64;
        let batch = decoder.finish()?;
        let rows = batch.num_rows() as u64;
        self.progress.bytes.fetch_add(bytes, Relaxed);
        self.progress.rows.fetch_add(rows, Relaxed);
        self.reading.request.report.received(rows, bytes);
        // That nobody takes it is noticed by `wanted`.
        let sent = async {
            let _gone = self.sender.send(batch).await;
            Ok(())
        };
        self.wanted(sent).await
    }

    /// Runs one step; `None` if the query has gone meanwhile.
    ///
    /// # Errors
    /// The step's, and the scope's when the query was cancelled or has reached its deadline.
    async fn wanted<T>(&self, step: impl Future<Output = Result<T>>) -> Result<Option<T>> {
        tokio::select! {
            biased;
            () = self.sender.closed() => Ok(None),
            error = self.reading.request.scope.stopped() => Err(error),
            result = step => result.map(Some),
        }
    }

    /// The error for the query: its own end explains a statement that was cancelled; a table or column
    /// that is gone is looked up anew by the next query; a transaction that is lost is begun anew.
    fn explain(&self, error: Error) -> Error {
        let scan = &self.reading.scan;
        let scope = &self.reading.request.scope;
        if let Err(ended) = scope.check() {
            return ended;
        }
        scan.expected.snapshot().lost(scope, scan.connector.pool());
        if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::SourceData) {
            scan.connector.tables_known().refresh(None, None);
        }
        error
    }
}

/// The error of a session that cannot import the query's snapshot: the one that exported it has ended.
fn snapshot_gone(place: &Place, error: Error) -> Error {
    if error.kind() == ErrorKind::SourceUnavailable || !error.message().contains("snapshot") {
        return error;
    }
    place.unavailable("ended the transaction that the query reads in").with_cause(error).passing()
}
