//! A fan-out worker: one task that owns its subscribers and never waits for a client.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rand::seq::SliceRandom;
use slab::Slab;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use super::broadcast::{Broadcast, Sweep, SweepTimer};
use super::encoding::CloseReason;
use super::subscriber::{Due, Subscriber, Timeouts};
use super::watch::{Watch, Watchers};
use super::{Followed, NewSubscriber, SubscriberHandle, WorkerCommand};
use crate::live::Live;
use crate::live::boards::{BoardViewer, BoardWatch, WatchedBoard};
use crate::metrics::Metrics;

/// Subscribers written to before other tasks of this core run: about 2 ms.
const SLICE: usize = 256;
/// Commands taken at once.
const COMMAND_BATCH: usize = 16;
/// Precision of a drain's rate. Each subscriber's timeouts and pings are checked once a second.
const TICK: Duration = Duration::from_millis(100);
const TICKS_PER_SECOND: usize = 10;
/// The close code that counts a connection ended without a close frame (RFC 6455, section 7.1.5).
const ABNORMAL_CLOSURE: u16 = 1006;

/// Yields a subscriber's slot and serial when its client takes bytes again.
type Writable = Pin<Box<dyn Future<Output = (usize, u32)> + Send>>;

struct Worker {
    subscribers: Slab<Subscriber>,
    by_user: HashMap<Uuid, Vec<usize>>,
    followed: Arc<Followed>,
    watchers: Watchers,
    metrics: Arc<Metrics>,
    timeouts: Timeouts,
    broadcast: Broadcast,
    /// Subscribers whose client takes no bytes.
    blocked: FuturesUnordered<Writable>,
    serial: u32,
    /// The sweep in progress.
    sweep: Option<Sweep>,
    timer: SweepTimer,
    /// Slot of the next subscriber whose timeouts are checked.
    next_ticked: usize,
    drain_window: Duration,
    drain: Option<Drain>,
}

/// A drain in progress.
struct Drain {
    /// Slots of the remaining subscribers, in random order.
    slots: Vec<usize>,
    /// Number of subscribers at the start.
    total: usize,
    began: Instant,
}

/// Runs a worker until the node stops.
pub async fn run(live: Arc<Live>, mut commands: UnboundedReceiver<WorkerCommand>) {
    let (mut board, mut status) = (live.hub.follow_board(), live.health.follow());
    let first = board.borrow_and_update().clone();
    let broadcast = Broadcast::new(first, *status.borrow_and_update(), &live.metrics);
    let mut worker = Worker::new(&live, broadcast);
    let mut batch = Vec::with_capacity(COMMAND_BATCH);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let draining = live.draining.cancelled();
    // Pinned across iterations: branches that are always ready must not postpone the sweep for ever.
    let sweep_turn = yield_now();
    tokio::pin!(draining, sweep_turn);
    loop {
        tokio::select! {
            _ = commands.recv_many(&mut batch, COMMAND_BATCH) => {
                batch.drain(..).for_each(|command| worker.handle(command));
            }
            Some((slot, serial)) = worker.blocked.next(), if !worker.blocked.is_empty() => {
                worker.unblock(slot, serial);
                consume_budget().await;
            }
            () = &mut sweep_turn, if worker.sweep.is_some() || worker.watchers.are_swept() => {
                sweep_turn.set(yield_now());
                worker.sweep_watchers();
                // The rest of the sweep sends the newest board by now.
                worker.broadcast.set_board(board.borrow().clone());
                worker.sweep_slice();
            }
            Ok(()) = board.changed(), if worker.sweep.is_none() => {
                worker.broadcast.set_board(board.borrow_and_update().clone());
                worker.start_sweep();
            }
            Ok(()) = status.changed(), if worker.sweep.is_none() => {
                worker.broadcast.set_status(*status.borrow_and_update());
                worker.start_sweep();
            }
            _ = ticks.tick() => worker.tick(),
            () = &mut draining, if worker.drain.is_none() => worker.start_drain(),
        }
    }
}

impl Worker {
    fn new(live: &Live, broadcast: Broadcast) -> Self {
        let config = &live.config.live;
        Self {
            subscribers: Slab::new(),
            by_user: HashMap::new(),
            followed: live.fanout.followed().clone(),
            watchers: Watchers::default(),
            metrics: live.metrics.clone(),
            timeouts: Timeouts {
                ping_interval: Duration::from_secs(config.ping_seconds),
                write: Duration::from_millis(config.write_timeout_ms),
            },
            broadcast,
            blocked: FuturesUnordered::new(),
            serial: 0,
            sweep: None,
            timer: SweepTimer::new(live.clock.clone(), live.metrics.clone(), live.pending_spans.clone()),
            next_ticked: 0,
            // The last tenth is left for the bytes to arrive.
            drain_window: Duration::from_secs(live.config.server.drain_seconds).mul_f64(0.9),
            drain: None,
        }
    }

    fn handle(&mut self, command: WorkerCommand) {
        match command {
            WorkerCommand::Subscribe(subscriber, worker, reply) => {
                let viewer = BoardViewer::new(subscriber.caller.as_ref().map(|caller| caller.user));
                let slot = self.subscribe(*subscriber);
                // If the receiver is gone, the handle is dropped here and unsubscribes.
                let _ = reply.send(SubscriberHandle { slot, worker, viewer, watched: Vec::new() });
                self.advance(slot);
                if self.drain.is_some() {
                    self.close(slot, CloseReason::draining());
                }
            }
            WorkerCommand::Unsubscribe(slot) => self.unsubscribe(slot),
            WorkerCommand::Move(slot, sink, encoding) => {
                self.count(slot, -1);
                self.change(slot, |subscriber| subscriber.move_to(sink, encoding));
                self.count(slot, 1);
            }
            WorkerCommand::Send(slot, bytes) => self.change(slot, |subscriber| subscriber.send(bytes)),
            WorkerCommand::MarkAlive(slot) => {
                if let Some(subscriber) = self.subscribers.get_mut(slot) {
                    subscriber.mark_alive();
                }
            }
            WorkerCommand::Close(slot, reason) => self.close(slot, reason),
            WorkerCommand::Notify(user, update) => {
                self.for_each_of(user, |worker, slot| worker.change(slot, |it| it.notify(update)));
            }
            WorkerCommand::Ban(user) => {
                self.for_each_of(user, |worker, slot| worker.close(slot, CloseReason::Banned));
            }
            WorkerCommand::Watch(slot, watch) => self.watch(slot, watch),
            WorkerCommand::Unwatch(slot, address) => self.unwatch(slot, &address),
            WorkerCommand::BoardChanged(board) => self.watchers.sweep(&board),
            WorkerCommand::NotifyEntry(user, board, entry) => self.for_each_of(user, |worker, slot| {
                worker.change(slot, |it| {
                    if let Some(watch) = it.watches.iter_mut().find(|watch| watch.board().id == board.id) {
                        watch.notify(entry.clone());
                    }
                });
            }),
        }
    }

    fn watch(&mut self, slot: usize, watch: BoardWatch) {
        let Some(subscriber) = self.subscribers.get_mut(slot) else { return };
        let place = self.watchers.add(watch.board(), slot);
        subscriber.watches.push(Watch::new(watch, place));
        self.advance(slot);
    }

    fn unwatch(&mut self, slot: usize, address: &str) {
        let Some(subscriber) = self.subscribers.get_mut(slot) else { return };
        let Some(index) = subscriber.watches.iter().position(|watch| watch.board().address == address) else {
            return;
        };
        let watch = subscriber.watches.swap_remove(index);
        self.remove_watcher(watch.board(), watch.place);
    }

    /// Removes a watcher of a board from the list. The last one of the list takes its place.
    fn remove_watcher(&mut self, board: &WatchedBoard, place: usize) {
        let moved = self.watchers.remove(board, place).and_then(|slot| self.subscribers.get_mut(slot));
        let moved = moved.and_then(|it| it.watches.iter_mut().find(|watch| watch.board().id == board.id));
        if let Some(moved) = moved {
            moved.place = place;
        }
    }

    fn for_each_of(&mut self, user: Uuid, act: impl Fn(&mut Self, usize)) {
        // None of them is removed meanwhile: that takes a command.
        let Some(slots) = self.by_user.remove(&user) else { return };
        slots.iter().for_each(|slot| act(self, *slot));
        self.by_user.insert(user, slots);
    }

    fn subscribe(&mut self, subscriber: NewSubscriber) -> usize {
        self.serial = self.serial.wrapping_add(1);
        // A random first ping spreads the pings of clients that connected at once.
        let first_ping = self.timeouts.ping_interval.mul_f64(rand::random_range(0.1..1.0));
        let subscriber = Subscriber::new(subscriber, self.serial, Instant::now() + first_ping);
        let user = subscriber.user();
        self.metrics.socket_opened(subscriber.encoding().label());
        let slot = self.subscribers.insert(subscriber);
        if let Some(user) = user {
            self.by_user.entry(user).or_default().push(slot);
            self.followed.add(user);
        }
        self.count(slot, 1);
        slot
    }

    fn unsubscribe(&mut self, slot: usize) {
        let Some(mut subscriber) = self.subscribers.try_remove(slot) else { return };
        // Also wakes the task that waits for the sink: the connection must not outlive its permit.
        subscriber.abort();
        for watch in std::mem::take(&mut subscriber.watches) {
            self.remove_watcher(watch.board(), watch.place);
        }
        let (protocol, user) = (subscriber.encoding().label(), subscriber.user());
        // The permit is returned before the metric shows that the subscriber is gone.
        drop(subscriber);
        self.metrics.sockets(protocol, -1);
        let Some(user) = user else { return };
        if let Some(slots) = self.by_user.get_mut(&user) {
            if let Some(index) = slots.iter().position(|other| *other == slot) {
                slots.swap_remove(index);
            }
            if slots.is_empty() {
                self.by_user.remove(&user);
            }
        }
        self.followed.remove(user);
    }

    fn count(&self, slot: usize, by: i64) {
        if let Some(subscriber) = self.subscribers.get(slot) {
            self.metrics.sockets(subscriber.encoding().label(), by);
        }
    }

    /// Changes a subscriber, then writes what is due.
    fn change(&mut self, slot: usize, change: impl FnOnce(&mut Subscriber)) {
        if let Some(subscriber) = self.subscribers.get_mut(slot) {
            change(subscriber);
            self.advance(slot);
        }
    }

    fn close(&mut self, slot: usize, reason: CloseReason) {
        let Some(subscriber) = self.subscribers.get_mut(slot).filter(|it| !it.is_closing()) else { return };
        subscriber.close(&reason, Instant::now());
        self.metrics.socket_closed(reason.code());
        self.advance(slot);
    }

    fn unblock(&mut self, slot: usize, serial: u32) {
        if let Some(subscriber) = self.subscribers.get_mut(slot).filter(|it| it.serial == serial) {
            subscriber.unblock();
            self.advance(slot);
        }
    }

    fn advance(&mut self, slot: usize) {
        let Some(subscriber) = self.subscribers.get_mut(slot) else { return };
        if let Some(sink) = subscriber.advance(&self.broadcast) {
            let serial = subscriber.serial;
            self.blocked.push(Box::pin(async move {
                sink.writable().await;
                (slot, serial)
            }));
        }
    }

    fn start_sweep(&mut self) {
        self.sweep = Some(Sweep::new(&self.broadcast.board.board));
    }

    /// Writes to the next subscribers of the sweep.
    fn sweep_slice(&mut self) {
        let Some(mut sweep) = self.sweep.take() else { return };
        let from = sweep.next;
        sweep.next = (from + SLICE).min(self.subscribers.capacity());
        for slot in from..sweep.next {
            self.advance(slot);
        }
        match sweep.next < self.subscribers.capacity() {
            true => self.sweep = Some(sweep),
            false => self.timer.finish(&sweep, self.subscribers.len()),
        }
    }

    /// Writes to the next watchers of the board that changed first.
    fn sweep_watchers(&mut self) {
        for slot in self.watchers.next_slice(SLICE) {
            self.advance(slot);
        }
    }

    /// Checks the timeouts of a tenth of the subscribers, so that each is checked once a second.
    fn tick(&mut self) {
        let (now, slots) = (Instant::now(), self.subscribers.capacity());
        let to = (self.next_ticked + slots / TICKS_PER_SECOND + 1).min(slots);
        for slot in self.next_ticked..to {
            match self.subscribers.get_mut(slot).and_then(|it| it.tick(&self.timeouts, now)) {
                Some(Due::Close(reason)) => self.close(slot, reason),
                Some(Due::Write) => self.advance(slot),
                Some(Due::Abort) => {
                    self.metrics.socket_closed(ABNORMAL_CLOSURE);
                    self.change(slot, Subscriber::abort);
                }
                None => {}
            }
        }
        self.next_ticked = if to < slots { to } else { 0 };
        if self.next_ticked == 0 && self.subscribers.len() < slots / 4 {
            self.subscribers.shrink_to_fit();
        }
        self.continue_drain();
    }

    /// Starts to close all subscribers, at an even rate over the drain window.
    fn start_drain(&mut self) {
        let mut slots: Vec<usize> = self.subscribers.iter().map(|(slot, _)| slot).collect();
        slots.shuffle(&mut rand::rng());
        self.drain = Some(Drain { total: slots.len(), slots, began: Instant::now() });
    }

    fn continue_drain(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        let left = 1.0 - drain.began.elapsed().div_duration_f64(self.drain_window);
        let remaining = (drain.total as f64 * left.clamp(0.0, 1.0)) as usize;
        for slot in drain.slots.split_off(remaining.min(drain.slots.len())) {
            self.close(slot, CloseReason::draining());
        }
    }
}
