//! One shard: a task that has its listeners to itself. It never waits for a client.

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

use super::end::End;
use super::listener::{Due, Limits, Listener};
use super::order::{Order, Ticket};
use super::pass::{Pass, Timing};
use super::world::World;
use super::{Followed, Newcomer};
use crate::app::App;
use crate::metrics::Metrics;

/// Listeners that are written to before others have their turn on this core: about 2 ms.
const SLICE: usize = 256;
/// Orders that are taken at once.
const ORDERS: usize = 16;
/// How exactly the pace of a drain is kept; time-outs and pings are to the second.
const TICK: Duration = Duration::from_millis(100);
const TICKS_A_SECOND: usize = 10;
/// The code under which a connection is counted that was given up without one (RFC 6455, section 7.1.5).
const SILENT: u16 = 1006;

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
    /// While something is new for all.
    pass: Option<Pass>,
    timing: Timing,
    /// The next listener whose time is looked at.
    watched: usize,
    drain_window: Duration,
    leaving: Option<Leaving>,
}

/// Who leaves a node that drains.
struct Leaving {
    /// Who is still there, in no order.
    places: Vec<usize>,
    /// How many there were.
    all: usize,
    since: Instant,
}

/// Runs a shard until the node ends.
pub async fn run(app: Arc<App>, mut orders: UnboundedReceiver<Order>) {
    let (mut board, mut status) = (app.hub.follow_board(), app.health.follow());
    let frame = board.borrow_and_update().clone();
    let world = World::new(frame, *status.borrow_and_update(), &app.metrics);
    let mut shard = Shard::new(&app, world);
    let mut batch = Vec::with_capacity(ORDERS);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let draining = app.draining.cancelled();
    // Kept from one turn to the next: others that are always ready must not put it off for ever.
    let others_turn = yield_now();
    tokio::pin!(draining, others_turn);
    loop {
        tokio::select! {
            _ = orders.recv_many(&mut batch, ORDERS) => {
                batch.drain(..).for_each(|it| shard.obey(it));
            }
            Some((place, serial)) = shard.blocked.next(), if !shard.blocked.is_empty() => {
                shard.unblock(place, serial);
                consume_budget().await;
            }
            () = &mut others_turn, if shard.pass.is_some() => {
                others_turn.set(yield_now());
                // Whoever has not had its turn gets what is the newest by then.
                shard.world.show(board.borrow().clone());
                shard.write_some();
            }
            Ok(()) = board.changed(), if shard.pass.is_none() => {
                shard.world.show(board.borrow_and_update().clone());
                shard.begin_pass();
            }
            Ok(()) = status.changed(), if shard.pass.is_none() => {
                shard.world.turn(*status.borrow_and_update());
                shard.begin_pass();
            }
            _ = ticks.tick() => shard.tick(),
            () = &mut draining, if shard.leaving.is_none() => shard.drain(),
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
            timing: Timing::new(app.clock.clone(), app.metrics.clone(), app.ways.clone()),
            watched: 0,
            // The last tenth is left for the answers to arrive.
            drain_window: Duration::from_secs(app.config.server.drain_seconds).mul_f64(0.9),
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
                if self.leaving.is_some() {
                    self.end(place, End::drain());
                }
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
            Order::Tell(user, news) => self.each_of(user, |shard, it| shard.with(it, |it| it.tell(news))),
            Order::Ban(user) => self.each_of(user, |shard, it| shard.end(it, End::Banned)),
        }
    }

    fn each_of(&mut self, user: Uuid, act: impl Fn(&mut Self, usize)) {
        // None of them leaves meanwhile: that takes an order.
        let Some(places) = self.by_user.remove(&user) else { return };
        places.iter().for_each(|it| act(self, *it));
        self.by_user.insert(user, places);
    }

    fn join(&mut self, newcomer: Newcomer) -> usize {
        self.serial = self.serial.wrapping_add(1);
        // Pings are spread, also of those who came at once.
        let ping_in = self.limits.ping_every.mul_f64(rand::random_range(0.1..1.0));
        let listener = Listener::new(newcomer, self.serial, Instant::now() + ping_in);
        let user = listener.user();
        self.metrics.socket_opened(listener.dialect().name());
        let place = self.listeners.insert(listener);
        if let Some(user) = user {
            self.by_user.entry(user).or_default().push(place);
            self.followed.come(user);
        }
        self.count(place, 1);
        place
    }

    fn leave(&mut self, place: usize) {
        let Some(mut listener) = self.listeners.try_remove(place) else { return };
        // Also for who waits for the client to take something: the connection is not to outlive its seat.
        listener.abort();
        let (protocol, user) = (listener.dialect().name(), listener.user());
        // The seat is free before anybody can see that the listener is gone.
        drop(listener);
        self.metrics.sockets(protocol, -1);
        let Some(user) = user else { return };
        if let Some(places) = self.by_user.get_mut(&user) {
            if let Some(found) = places.iter().position(|it| *it == place) {
                places.swap_remove(found);
            }
            if places.is_empty() {
                self.by_user.remove(&user);
            }
        }
        self.followed.go(user);
    }

    fn count(&self, place: usize, by: i64) {
        if let Some(listener) = self.listeners.get(place) {
            self.metrics.sockets(listener.dialect().name(), by);
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

    fn unblock(&mut self, place: usize, serial: u32) {
        if let Some(listener) = self.listeners.get_mut(place).filter(|it| it.serial == serial) {
            listener.unblock();
            self.advance(place);
        }
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
        self.pass = Some(Pass::of(&self.world.frame.board));
    }

    /// Writes what is new to the next listeners.
    fn write_some(&mut self) {
        let Some(mut pass) = self.pass.take() else { return };
        let from = pass.next;
        pass.next = (from + SLICE).min(self.listeners.capacity());
        for place in from..pass.next {
            self.advance(place);
        }
        match pass.next < self.listeners.capacity() {
            true => self.pass = Some(pass),
            false => self.timing.done(&pass, self.listeners.len()),
        }
    }

    /// Looks at the time for the next of the listeners, so that each of them is looked at once a second.
    fn tick(&mut self) {
        let (now, all) = (Instant::now(), self.listeners.capacity());
        let to = (self.watched + all / TICKS_A_SECOND + 1).min(all);
        for place in self.watched..to {
            match self.listeners.get_mut(place).and_then(|it| it.tick(&self.limits, now)) {
                Some(Due::End(why)) => self.end(place, why),
                Some(Due::Write) => self.advance(place),
                Some(Due::Silence) => {
                    self.metrics.socket_closed(SILENT);
                    self.with(place, Listener::abort);
                }
                None => {}
            }
        }
        self.watched = if to < all { to } else { 0 };
        if self.watched == 0 && self.listeners.len() < all / 4 {
            self.listeners.shrink_to_fit();
        }
        self.let_some_go();
    }

    /// From here on all of them leave, at an even rate over the window.
    fn drain(&mut self) {
        let mut places: Vec<usize> = self.listeners.iter().map(|(place, _)| place).collect();
        places.shuffle(&mut rand::rng());
        self.leaving = Some(Leaving { all: places.len(), places, since: Instant::now() });
    }

    fn let_some_go(&mut self) {
        let Some(leaving) = &mut self.leaving else { return };
        let left = 1.0 - leaving.since.elapsed().div_duration_f64(self.drain_window);
        let stay = (leaving.all as f64 * left.clamp(0.0, 1.0)) as usize;
        for place in leaving.places.split_off(stay.min(leaving.places.len())) {
            self.end(place, End::drain());
        }
    }
}
