//! What happens to sessions nobody holds: settled after an abandoned statement, closed when unused.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use super::{Permits, Shared};
use crate::wire::Connection;

/// How long a result that is nearly complete gets before it is cancelled: most small ones are.
const NEARLY_DONE: Duration = Duration::from_millis(1);
/// How long cancelling, draining and rolling back may take before the session is closed.
const SETTLE_MAX: Duration = Duration::from_secs(2);

/// Cancels, drains and rolls back an abandoned session in the background, then gives it back to the
/// pool, or closes it: always, if it was lent for the `last` time. It counts against the limit until then.
pub(super) fn settle(shared: Arc<Shared>, mut connection: Connection, permits: Permits, last: bool) {
    // Outside a runtime the session is closed; the server notices within its check interval.
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(async move {
        match timeout(SETTLE_MAX, owes_nothing(&mut connection)).await {
            Ok(true) if !last => shared.keep(connection),
            _ => {
                tracing::debug!(connection = ?connection, "session closed");
                drop(connection);
            }
        }
        drop(permits);
    });
}

/// Brings a session back to idle; false if it must be closed.
async fn owes_nothing(connection: &mut Connection) -> bool {
    if timeout(NEARLY_DONE, connection.drain()).await.is_err() {
        let cancel = connection.cancel_handle();
        // A server blocked in sending takes no cancel: it must be read from at the same time. The
        // cancel has ended when the server has closed its connection; without that knowledge a late
        // one could hit the session's next statement.
        let (cancelled, drained) = tokio::join!(cancel.cancel(), connection.drain());
        if let Err(error) = cancelled {
            tracing::debug!("cancel request failed: {error}");
            return false;
        }
        if drained.is_err() {
            return false;
        }
    }
    // Also takes the blow of a cancel that a pooler in between delivers late.
    let barrier = if connection.transaction_status() == b'I' { "" } else { "ROLLBACK" };
    connection.simple_query(barrier).await.is_ok() && connection.is_idle()
}

/// Closes sessions that stay unused, in the background, until none is left or the pool is gone.
/// False outside a runtime, where nobody can.
pub(super) fn watch_idle(shared: Weak<Shared>, lifetime: Duration) -> bool {
    let Ok(runtime) = Handle::try_current() else { return false };
    let every = (lifetime / 4).clamp(Duration::from_millis(20), Duration::from_secs(60));
    runtime.spawn(async move {
        loop {
            tokio::time::sleep(every).await;
            let Some(shared) = shared.upgrade() else { return };
            if !shared.close_idle() {
                return;
            }
        }
    });
    true
}
