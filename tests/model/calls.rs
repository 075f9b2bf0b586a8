//! The calls of players and admins, and how a test case draws them. A call names tokens by index, not by text, so that a sequence stays valid when
//! calls are removed.

use proptest::prelude::*;

use super::state::ACTIONS;

/// More than the board has places.
pub const USERS: usize = 12;

#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub node: usize,
    pub who: usize,
    pub deed: Deed,
}

#[derive(Clone, Copy, Debug)]
pub enum Deed {
    Init {
        action: usize,
    },
    Finalize {
        token: Pick,
        proof: Given,
        key: Option<u8>,
    },
    Prove {
        action: Option<usize>,
        asked: Option<Pick>,
        proof: Given,
        session: Named,
        key: Option<u8>,
    },
    Redeem {
        token: Pick,
        session: Named,
        key: Option<u8>,
    },
    Start,
    Look,
    End,
    Update {
        token: Pick,
        action: usize,
        points_off: i64,
        key: Option<u8>,
    },
    /// A request with an idempotency key, sent again as it was, perhaps to another node.
    Repeat {
        nth: usize,
    },
    Operate(Operation),
}

/// Which token a request has.
#[derive(Clone, Copy, Debug)]
pub enum Pick {
    /// The player's newest unused token for this flow.
    Mine,
    /// Any token of the player for this flow, used ones included.
    Own(usize),
    /// Any token that was ever issued: of another player, used, or for another flow.
    Any(usize),
    Forged(Forgery),
}

#[derive(Clone, Copy, Debug)]
pub enum Forgery {
    /// One's newest token with one character changed.
    Changed(usize),
    /// The right claims, signed with the key of logins.
    LoginKey,
    /// The right claims, and `alg` none.
    Unsigned,
    /// The right shape, made up.
    MadeUp,
    Empty,
}

/// Which proof a request has.
#[derive(Clone, Copy, Debug)]
pub enum Given {
    Right,
    Wrong,
    /// A proof for another kind of action.
    OtherKind,
    Nothing,
}

/// Which session a request names.
#[derive(Clone, Copy, Debug)]
pub enum Named {
    None,
    /// One's newest, whether it lives or not.
    Newest,
    Other,
}

#[derive(Clone, Copy, Debug)]
pub enum Operation {
    Ban,
    Unban,
    Quarantine,
    Approve,
    Void,
    Adjust(i64),
}

/// A sequence; each turn is a call or a few that belong together, so that honest play is not drowned by hostile play. Every
/// other begins with a crowd: everybody has won the same, and two are not among the ten.
pub fn sequences() -> impl Strategy<Value = Vec<Call>> {
    let turns = prop::collection::vec(turn(), 12..25);
    (any::<bool>(), turns).prop_map(|(crowded, turns)| {
        let crowd = (0..USERS).filter(|_| crowded).flat_map(|who| {
            let finalize = Deed::Finalize { token: Pick::Mine, proof: Given::Right, key: None };
            [Deed::Init { action: 0 }, finalize].map(|deed| Call { node: who % 2, who, deed })
        });
        crowd.chain(turns.into_iter().flatten()).collect()
    })
}

/// Some have much more to do than others, so that much happens to one.
fn turn() -> impl Strategy<Value = Vec<Call>> {
    let who = prop_oneof![2 => 0..3_usize, 1 => 0..USERS];
    (who, prop::collection::vec(0..2_usize, 4), deeds()).prop_map(|(who, nodes, deeds)| {
        deeds.into_iter().zip(nodes).map(|(deed, node)| Call { node, who, deed }).collect()
    })
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let honest = (action(), key()).prop_map(|(action, key)| {
        vec![Deed::Init { action }, Deed::Finalize { token: Pick::Mine, proof: Given::Right, key }]
    });
    let proven = (action(), key()).prop_map(|(action, key)| {
        let asked = Some(Pick::Mine);
        let prove = Deed::Prove { action: None, asked, proof: Given::Right, session: Named::None, key };
        vec![Deed::Init { action }, prove, Deed::Redeem { token: Pick::Mine, session: Named::None, key }]
    });
    let game = (game_action(), pick(), key()).prop_map(|(action, token, key)| {
        let update = Deed::Update { token: Pick::Mine, action, points_off: 0, key };
        vec![Deed::Start, update, Deed::Update { token, action, points_off: 0, key: None }]
    });
    let held = (action(), operation()).prop_map(|(action, operation)| {
        let finalize = Deed::Finalize { token: Pick::Mine, proof: Given::Right, key: None };
        let quarantined = Deed::Operate(Operation::Quarantine);
        vec![quarantined, Deed::Init { action }, finalize, Deed::Operate(operation)]
    });
    let between = prop_oneof![Just(Deed::Start), Just(Deed::End), Just(Deed::Look)];
    let bound = (game_action(), between, named()).prop_map(|(action, between, session)| {
        let (action, asked) = (Some(action), None);
        let prove = Deed::Prove { action, asked, proof: Given::Right, session: Named::Newest, key: None };
        vec![Deed::Start, prove, between, Deed::Redeem { token: Pick::Mine, session, key: None }]
    });
    prop_oneof![
        4 => honest,
        1 => bound,
        2 => proven,
        2 => game,
        2 => held,
        1 => prop::collection::vec(operation().prop_map(Deed::Operate), 2..=3),
        12 => deed().prop_map(|it| vec![it]),
    ]
}

/// Any of the catalogue, and one that is not there.
fn action() -> impl Strategy<Value = usize> {
    0..ACTIONS.len() + 1
}

/// One of the four that are open in a game, most of the time.
fn game_action() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0..4_usize, 1 => action()]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        2 => action().prop_map(|action| Deed::Init { action }),
        3 => (pick(), given(), key()).prop_map(|(token, proof, key)| Deed::Finalize { token, proof, key }),
        3 => (prop::option::of(action()), prop::option::of(pick()), given(), named(), key()).prop_map(
            |(action, asked, proof, session, key)| Deed::Prove { action, asked, proof, session, key }
        ),
        3 => (pick(), named(), key()).prop_map(|(token, session, key)| Deed::Redeem { token, session, key }),
        1 => Just(Deed::Start),
        1 => Just(Deed::Look),
        1 => Just(Deed::End),
        3 => (pick(), game_action(), prop_oneof![6 => Just(0), 1 => -5..10_i64], key())
            .prop_map(|(token, action, points_off, key)| Deed::Update { token, action, points_off, key }),
        2 => any::<usize>().prop_map(|nth| Deed::Repeat { nth }),
        3 => operation().prop_map(Deed::Operate),
    ]
}

fn pick() -> impl Strategy<Value = Pick> {
    let forgery = prop_oneof![
        2 => any::<usize>().prop_map(Forgery::Changed),
        1 => Just(Forgery::LoginKey),
        1 => Just(Forgery::Unsigned),
        1 => Just(Forgery::MadeUp),
        1 => Just(Forgery::Empty),
    ];
    prop_oneof![
        3 => Just(Pick::Mine),
        4 => any::<usize>().prop_map(Pick::Own),
        3 => any::<usize>().prop_map(Pick::Any),
        1 => forgery.prop_map(Pick::Forged),
    ]
}

fn given() -> impl Strategy<Value = Given> {
    prop_oneof![3 => Just(Given::Right), 1 => Just(Given::Wrong), 1 => Just(Given::OtherKind), 1 => Just(Given::Nothing)]
}

fn named() -> impl Strategy<Value = Named> {
    prop_oneof![3 => Just(Named::None), 2 => Just(Named::Newest), 1 => Just(Named::Other)]
}

/// Few keys, so that they meet each other.
fn key() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![2 => Just(None), 1 => (0..3_u8).prop_map(Some)]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        Just(Operation::Ban),
        Just(Operation::Unban),
        Just(Operation::Quarantine),
        Just(Operation::Approve),
        Just(Operation::Void),
        (-4..=4_i64).prop_map(|it| Operation::Adjust(it * 5)),
    ]
}
