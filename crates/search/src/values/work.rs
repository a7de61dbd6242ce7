//! A valuer's thread.

use super::{State, ValueError, Valued, Valuer};
use crate::policy::LOOK;
use crossbeam::channel::{Receiver, Sender, TryRecvError};
use std::sync::Arc;

/// What a valuer's thread is told.
pub(super) enum Order {
    Value(Arc<State>),
    Forget(u64),
}

/// What a valuer's thread says: which source, and what.
pub(super) type Said = (usize, Valued);

/// Values states as they come, as many at a time as the valuer likes, until nobody asks any more.
///
/// A valuer that panics is a source that has ended.
pub(super) fn work(mut valuer: Box<dyn Valuer + '_>, source: usize, orders: &Receiver<Order>, say: &Sender<Said>) {
    let begin = |valuer: &mut Box<dyn Valuer + '_>, order| match order {
        Order::Value(state) => valuer.submit(state),
        Order::Forget(tree) => valuer.forget(tree),
    };
    let _ending = Ending { source, say };
    loop {
        if valuer.pending() == 0 {
            let Ok(order) = orders.recv() else { return };
            begin(&mut valuer, order);
        }
        while valuer.room() > 0 {
            match orders.try_recv() {
                Ok(order) => begin(&mut valuer, order),
                Err(TryRecvError::Empty) => break,
                // Nobody waits for what is pending.
                Err(TryRecvError::Disconnected) => return,
            }
        }
        if valuer.pending() > 0 {
            for valued in valuer.poll(LOOK) {
                if say.send((source, valued)).is_err() {
                    return;
                }
            }
        }
    }
}

/// Tells who waits for values that a thread has panicked.
struct Ending<'a> {
    source: usize,
    say: &'a Sender<Said>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = ValueError::Source("its thread panicked".to_owned());
            // Nobody may be listening any more.
            let _ = self.say.send((self.source, (u64::MAX, Err(error))));
        }
    }
}
