//! The thread of the connections, from its begin to a clean end.

use super::route::handle;
use super::state::State;
use axum::Router;
use axum::extract::Request;
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// After everything is answered, so long clients may take to read it.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Stops a server.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<watch::Sender<u8>>);

impl Stopper {
    pub(super) fn new() -> Stopper {
        Stopper(Arc::new(watch::Sender::new(0)))
    }

    /// The first time: no connection is taken any more, and what has begun is finished. The second time that is given up, too.
    pub fn stop(&self) {
        self.0.send_modify(|times| *times = times.saturating_add(1));
    }

    /// Waits until it was called so often.
    fn called(&self, times: u8) -> impl Future<Output = ()> + Send + 'static {
        let mut calls = self.0.subscribe();
        async move {
            // The sender lives as long as the server.
            let _ = calls.wait_for(|&called| called >= times).await;
        }
    }
}

/// Serves connections until it is stopped and all are answered.
pub(super) fn serve(
    listener: TcpListener,
    state: Arc<State>,
    stopper: &Stopper,
    ready: impl FnOnce(),
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        if state.config.stops_on_signals {
            stop_on_signals(stopper)?;
        }
        let listener = tokio::net::TcpListener::from_std(listener)?;
        ready();
        let shared = Arc::clone(&state);
        let router = Router::new().fallback(move |request: Request| handle(Arc::clone(&shared), request));
        let serving = axum::serve(listener, router).with_graceful_shutdown(stopper.called(1));
        tokio::select! {
            served = serving.into_future() => served,
            () = stopper.called(2) => Ok(()),
            // Connections that say nothing, or do not read, hold nobody up.
            () = answered(&state, stopper) => Ok(()),
        }
    });
    runtime.shutdown_background();
    served
}

/// Waits until it is stopped, all is answered, and a little longer.
async fn answered(state: &State, stopper: &Stopper) {
    stopper.called(1).await;
    let mut quiet = Duration::ZERO;
    const LOOK: Duration = Duration::from_millis(100);
    while quiet < LAST_WORDS {
        tokio::time::sleep(LOOK).await;
        let is_quiet = state.metrics.is_idle() && state.searches.available_permits() == state.config.max_searches;
        quiet = if is_quiet { quiet + LOOK } else { Duration::ZERO };
    }
}

#[cfg(unix)]
fn stop_on_signals(stopper: &Stopper) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let (mut signals, stopper) = (signal(kind)?, stopper.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                stopper.stop();
            }
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn stop_on_signals(stopper: &Stopper) -> io::Result<()> {
    let stopper = stopper.clone();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            stopper.stop();
        }
    });
    Ok(())
}
