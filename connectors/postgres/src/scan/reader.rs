//! The task of one stream: takes pieces while there are any, and reads each by a SELECT.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use arrow::record_batch::RecordBatch;
use meesh_base::{Error, ErrorKind, Result, SourceProgress};
use meesh_connector_spi::SourceScan;
use tokio::sync::mpsc;

use super::{Access, Ended, Reading, not_printed};
use crate::decode::BatchDecoder;
use crate::snapshot::{Begin, Lease, Wanted};
use crate::wire::{RowsRequest, RowsState, ValueFormat};

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
        let scope = &self.reading.request.scope;
        let name = format!("meesh/{}", scope.id());
        // The session that exports the snapshot is idle while it waits for other streams.
        let mut settings = vec![("application_name", name.as_str()), ("idle_in_transaction_session_timeout", "0")];
        // PostgreSQL takes a lookup by 10,000 keys for dearer than it is and would compile its few conditions: 3 to 10 ms,
        // and in a session's first such statement 90 more.
        if access.looks_up {
            settings.push(("jit", "off"));
        }
        let checks = self.checks(false, None);
        let wanted = Wanted { must, whole: access.pieces.is_whole(), settings: &settings, checks: &checks };
        // The others may have read all of it before there is a session for this stream.
        let session = async {
            tokio::select! {
                lease = snapshot.session(scan.connector.pool(), scope, &wanted) => lease,
                () = access.pieces.exhausted() => Ok(None),
            }
        };
        let Some(lease) = self.wanted(session).await? else { return Ok(None) };
        scan.expected.served();
        let Some(mut lease) = lease else { return Ok(Some(())) };
        // Parts of a table must not be read in two states of it.
        if *self.reading.generation.get_or_init(|| lease.generation) != lease.generation {
            snapshot.give_back(lease);
            return Ok(Some(()));
        }
        let done = self.read_pieces(access, &mut lease, &settings).await;
        match &done {
            Ok(Some(())) => snapshot.give_back(lease),
            _ => snapshot.abandon(lease),
        }
        done
    }

    async fn read_pieces(&self, access: &Access, lease: &mut Lease, settings: &[(&str, &str)]) -> Result<Option<()>> {
        let scan = &self.reading.scan;
        let request = &self.reading.request;
        let place = Arc::clone(&scan.place);
        let mut decoder = BatchDecoder::new(place, scan.schema(), &scan.decoders, request.batch_rows)?;
        request.report.streams.fetch_add(1, Relaxed);
        request.report.touch();
        let formats = decoder.formats();
        let mut first = true;
        if let Some(checked) = lease.checked.take() {
            self.check_unchanged(&checked)?;
            first = false;
        }
        while let Some(piece) = access.pieces.take() {
            self.progress.units_total.fetch_add(1, Relaxed);
            let text = access.select.finish(&scan.types(), piece.as_deref());
            let (text, _) = text.map_err(|reason| not_printed(scan, reason))?;
            let prelude = if first { Some(self.prelude(lease, access, settings)) } else { None };
            if self.wanted(self.start(lease, prelude, &text, &formats)).await?.is_none() {
                return Ok(None);
            }
            first = false;
            loop {
                let Some(state) = self.wanted(lease.session.read_rows(&mut decoder)).await? else { return Ok(None) };
                if state == RowsState::Done {
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

    /// Begins the SELECT of a piece; what must go before a stream's first is its `prelude`.
    async fn start(
        &self,
        lease: &mut Lease,
        prelude: Option<String>,
        select: &str,
        formats: &[ValueFormat],
    ) -> Result<()> {
        // Whoever reads alone reads one piece, and needs no further word with the server.
        let commits = matches!(lease.begin, Begin::Alone);
        let exports = matches!(lease.begin, Begin::Export(_));
        let request = RowsRequest { prelude: prelude.as_deref(), select, formats, commits };
        let rows = lease.session.start_rows(request).await?;
        if prelude.is_some() {
            let mut values = rows.into_iter().next_back().unwrap_or_default();
            let exported = if exports { values.pop().flatten() } else { None };
            lease.begun(self.reading.scan.expected.snapshot(), exported);
            self.check_unchanged(&values)?;
        }
        Ok(())
    }

    /// Begins the transaction, and what [`Self::checks`] does.
    fn prelude(&self, lease: &Lease, access: &Access, settings: &[(&str, &str)]) -> String {
        let Some(begin) = lease.begin.sql() else {
            // Another scan began it, as it wanted it.
            let jit = if access.looks_up { "off" } else { "DEFAULT" };
            return format!("SET LOCAL jit TO {jit}; {}", self.checks(false, None));
        };
        let lockable = self.reading.scan.relations().into_iter().filter(|relation| relation.lockable);
        let lockable: Vec<String> = lockable.map(|relation| format!("ONLY {}", relation.quoted_name())).collect();
        let lock = format!("LOCK TABLE {} IN ACCESS SHARE MODE", lockable.join(", "));
        let locked = (!lockable.is_empty()).then(|| lease.session.begin_locked(begin, &lock));
        let begin = lease.session.prelude(locked.as_deref().unwrap_or(begin), settings);
        let export = matches!(lease.begin, Begin::Export(_)).then_some("pg_catalog.pg_export_snapshot()");
        format!("{begin}; {}", self.checks(true, export))
    }

    /// Keeps the definitions as they are until the transaction's end, and asks for them, and for `more`. What
    /// can be `locked` before the snapshot is taken was.
    ///
    /// A table that is being altered is waited for by the first statement that names it; only those after
    /// it see what it has become.
    fn checks(&self, locked: bool, more: Option<&str>) -> String {
        let (relations, statement) = (self.reading.scan.relations(), self.reading.scan.text.as_str());
        let waits = relations.iter().filter(|relation| !(locked && relation.lockable));
        let locks = waits.map(|relation| format!("SELECT FROM {} WHERE FALSE", relation.quoted_name()));
        let types = relations.iter().map(|relation| match locked && relation.lockable {
            true => relation.types_now(statement),
            false => relation.types_now_unless_moved(statement),
        });
        let values = types.chain(more.map(str::to_owned));
        let ask = format!("SELECT {}", values.collect::<Vec<_>>().join(", "));
        locks.chain([ask]).collect::<Vec<_>>().join("; ")
    }

    /// Whether the relations still have the columns that the SELECT was made for: binary values carry
    /// no types.
    fn check_unchanged(&self, now: &[Option<String>]) -> Result<()> {
        let scan = &self.reading.scan;
        let (relations, statement) = (scan.relations(), scan.text.as_str());
        let changed =
            relations.iter().zip(now).find(|(relation, now)| now.as_ref() != Some(&relation.types(statement)));
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
        // What is refused may have been made for what a table was before.
        let refused = [ErrorKind::NotFound, ErrorKind::SourceData, ErrorKind::Denied, ErrorKind::InvalidQuery];
        if refused.contains(&error.kind()) {
            scan.connector.tables_known().refresh(None, None);
        }
        error
    }
}
