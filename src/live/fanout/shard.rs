//! One shard: a task that has its listeners to itself. It never waits for a client.

use std::collections::HashMap;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rand::seq::SliceRandom;
use slab::Slab;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use super::end::End;
use super::listener::{Limits, Listener, World};
use super::order::{Order, Ticket};
use super::{Followed, Newcomer};
use crate::app::App;
use crate::metrics::Metrics;

/// Listeners that are written to before others have their turn on this core: about 2 ms.
const SLICE: usize = 256;
/// Orders that are taken at once.
const ORDERS: usize = 256;
/// How exactly time-outs, pings and the pace of a drain are kept.
const TICK: Duration = Duration::from_millis(200);
/// When a client comes back after a drain, in ms: when the other nodes surely have the board that it saw last, and soon.
const RETRY_MS: Range<u64> = 200..2000;

/// Gives a listener's place and serial when its client takes something again.
type Free = Pin<Box<dyn Future<Output = (usize, u32)> + Send>>;

struct Shard {
    listeners: Slab<Listener>,
    by_user: HashMap<Uuid, Vec<usize>>,
    followed: Arc<Followed>,
    metrics: Arc<Metrics>,
    limits: Limits,
    world: World,
    /// Listeners whose client takes nothing: each is looked at again when it does.
    blocked: FuturesUnordered<Free>,
    serial: u32,
    /// The next listener to be written to, while something is new for all.
    pass: Option<usize>,
    pass_began: Instant,
    /// While the node drains: who is still to be closed, in no order, and how many at a tick.
    leaving: Option<(Vec<usize>, usize)>,
}

/// Runs a shard until the node ends.
pub async fn run(app: Arc<App>, mut orders: UnboundedReceiver<Order>) {
    let (mut board, mut status) = (app.hub.follow_board(), app.health.follow());
    let world = World { frame: board.borrow_and_update().clone(), status: *status.borrow_and_update() };
    let mut shard = Shard::new(&app, world);
    let mut batch = Vec::with_capacity(ORDERS);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let drain_ticks = app.config.server.drain_seconds * 1000 * 9 / 10 / TICK.as_millis() as u64;
    let draining = app.draining.cancelled();
    tokio::pin!(draining);
    loop {
        tokio::select! {
            _ = orders.recv_many(&mut batch, ORDERS) => {
                batch.drain(..).for_each(|it| shard.obey(it));
            }
            Some((place, serial)) = shard.blocked.next(), if !shard.blocked.is_empty() => {
                if let Some(listener) = shard.listeners.get_mut(place).filter(|it| it.serial == serial) {
                    listener.unblock();
                    shard.advance(place);
                }
            }
            () = yield_now(), if shard.pass.is_some() => {
                // Whoever has not had its turn gets what is the newest by then.
                shard.world.frame = board.borrow().clone();
                shard.write_some();
            }
            Ok(()) = board.changed(), if shard.pass.is_none() => {
                shard.world.frame = board.borrow_and_update().clone();
                shard.begin_pass();
            }
            Ok(()) = status.changed(), if shard.pass.is_none() => {
                shard.world.status = *status.borrow_and_update();
                shard.begin_pass();
            }
            _ = ticks.tick() => shard.tick(),
            () = &mut draining, if shard.leaving.is_none() => shard.drain(drain_ticks),
        }
    }
}

impl Shard {
    fn new(app: &App, world: World) -> Self {
        let live = &app.config.live;
        Self {
            listeners: Slab::new(),
            by_user: HashMap::new(),
            followed: app.fanout.followed().clone(),
            metrics: app.metrics.clone(),
            limits: Limits {
                ping_every: Duration::from_secs(live.ping_seconds),
                write_timeout: Duration::from_millis(live.write_timeout_ms),
            },
            world,
            blocked: FuturesUnordered::new(),
            serial: 0,
            pass: None,
            pass_began: Instant::now(),
            leaving: None,
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Join(newcomer, shard, reply) => {
                let place = self.join(*newcomer);
                // If nobody waits for the ticket any more, it comes back at once.
                let _ = reply.send(Ticket::new(place, shard));
                self.advance(place);
            }
            Order::Leave(place) => self.leave(place),
            Order::Move(place, sink, dialect) => {
                self.count(place, -1);
                self.with(place, |it| it.move_to(sink, dialect));
                self.count(place, 1);
            }
            Order::Say(place, bytes) => self.with(place, |it| it.say(bytes)),
            Order::Heard(place) => {
                if let Some(listener) = self.listeners.get_mut(place) {
                    listener.heard();
                }
            }
            Order::End(place, why) => self.end(place, why),
            Order::Tell(user, news) => {
                for place in self.by_user.get(&user).cloned().unwrap_or_default() {
                    self.with(place, |it| it.tell(news));
                }
            }
            Order::Ban(user) => {
                for place in self.by_user.get(&user).cloned().unwrap_or_default() {
                    self.end(place, End::Banned);
                }
            }
        }
    }

    fn join(&mut self, newcomer: Newcomer) -> usize {
        self.serial = self.serial.wrapping_add(1);
        // Pings are spread, also of those who came at once.
        let ping_in = self.limits.ping_every.mul_f64(rand::random_range(0.1..1.0));
        let listener = Listener::new(newcomer, self.serial, Instant::now() + ping_in);
        let user = listener.user();
        let place = self.listeners.insert(listener);
        if let Some(user) = user {
            self.by_user.entry(user).or_default().push(place);
            self.followed.come(user);
        }
        if let Some((leaving, _)) = &mut self.leaving {
            leaving.push(place);
        }
        self.count(place, 1);
        place
    }

    fn leave(&mut self, place: usize) {
        self.count(place, -1);
        let Some(user) = self.listeners.try_remove(place).and_then(|it| it.user()) else { return };
        if let Some(places) = self.by_user.get_mut(&user) {
            places.retain(|it| *it != place);
            if places.is_empty() {
                self.by_user.remove(&user);
            }
        }
        self.followed.go(user);
    }

    fn count(&self, place: usize, by: i64) {
        if let Some(listener) = self.listeners.get(place) {
            self.metrics.sockets(listener.dialect().protocol(), by);
        }
    }

    /// Changes a listener, then writes what is due.
    fn with(&mut self, place: usize, change: impl FnOnce(&mut Listener)) {
        if let Some(listener) = self.listeners.get_mut(place) {
            change(listener);
            self.advance(place);
        }
    }

    fn end(&mut self, place: usize, why: End) {
        let Some(listener) = self.listeners.get_mut(place).filter(|it| !it.is_closing()) else { return };
        listener.end(&why, Instant::now());
        self.metrics.socket_closed(why.code());
        self.advance(place);
    }

    fn advance(&mut self, place: usize) {
        let Some(listener) = self.listeners.get_mut(place) else { return };
        if let Some(sink) = listener.advance(&self.world) {
            let serial = listener.serial;
            self.blocked.push(Box::pin(async move {
                sink.free().await;
                (place, serial)
            }));
        }
    }

    fn begin_pass(&mut self) {
        self.pass = Some(0);
        self.pass_began = Instant::now();
    }

    /// Writes what is new to the next listeners.
    fn write_some(&mut self) {
        let Some(from) = self.pass else { return };
        let to = (from + SLICE).min(self.listeners.capacity());
        for place in from..to {
            self.advance(place);
        }
        self.pass = Some(to).filter(|it| *it < self.listeners.capacity());
        if self.pass.is_none() {
            self.metrics.fanout_seconds.observe(self.pass_began.elapsed().as_secs_f64());
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        for place in 0..self.listeners.capacity() {
            let Some(listener) = self.listeners.get_mut(place) else { continue };
            match listener.tick(&self.limits, now) {
                Some(why) => self.end(place, why),
                // Perhaps a ping.
                None => self.advance(place),
            }
        }
        self.let_some_go();
    }

    /// From here on all of them leave, at an even rate over so many ticks.
    fn drain(&mut self, ticks: u64) {
        let mut places: Vec<usize> = self.listeners.iter().map(|(place, _)| place).collect();
        places.shuffle(&mut rand::rng());
        let at_once = places.len().div_ceil(ticks.max(1) as usize).max(1);
        self.leaving = Some((places, at_once));
    }

    fn let_some_go(&mut self) {
        let Some((leaving, at_once)) = &mut self.leaving else { return };
        let stay = leaving.len().saturating_sub(*at_once);
        for place in leaving.split_off(stay) {
            self.end(place, End::Draining { retry_ms: rand::random_range(RETRY_MS) });
        }
    }
}
