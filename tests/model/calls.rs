//! Random calls of players and admins. A call names tokens by index, not by text, so that a sequence stays valid when calls are
//! removed.

use proptest::prelude::*;

use super::state::ACTIONS;

/// More than the top list has places.
pub const USERS: usize = 12;

#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub node: usize,
    pub user: usize,
    pub kind: CallKind,
}

#[derive(Clone, Copy, Debug)]
pub enum CallKind {
    Init {
        action: usize,
    },
    Finalize {
        token: TokenChoice,
        proof: ProofChoice,
        key: Option<u8>,
    },
    Prove {
        action: Option<usize>,
        anti_spam: Option<TokenChoice>,
        proof: ProofChoice,
        session: SessionChoice,
        key: Option<u8>,
    },
    Redeem {
        token: TokenChoice,
        session: SessionChoice,
        key: Option<u8>,
    },
    Start,
    GetSession,
    End,
    Update {
        token: TokenChoice,
        action: usize,
        points_error: i64,
        key: Option<u8>,
    },
    /// Sends an earlier request with an idempotency key again, to either node.
    Repeat {
        nth: usize,
    },
    Admin(AdminAction),
}

/// The token of a request.
#[derive(Clone, Copy, Debug)]
pub enum TokenChoice {
    /// The player's newest unused token for this flow.
    Newest,
    /// Any token of the player for this flow, used ones included.
    Own(usize),
    /// Any token that was ever issued: of another player, used, or for another flow.
    Any(usize),
    Forged(Forgery),
}

#[derive(Clone, Copy, Debug)]
pub enum Forgery {
    /// The player's newest token with one character changed.
    Changed(usize),
    /// Valid claims, signed with the login key.
    LoginKey,
    /// Valid claims with `alg` none.
    Unsigned,
    /// A random token in a valid format.
    Random,
    Empty,
}

/// The proof of a request.
#[derive(Clone, Copy, Debug)]
pub enum ProofChoice {
    Valid,
    Invalid,
    /// A proof of another kind.
    OtherKind,
    Missing,
}

/// The session that a request names.
#[derive(Clone, Copy, Debug)]
pub enum SessionChoice {
    None,
    /// The player's newest session, ended or not.
    Newest,
    Unknown,
}

#[derive(Clone, Copy, Debug)]
pub enum AdminAction {
    Ban,
    Unban,
    Quarantine,
    Approve,
    Void,
    Adjust(i64),
}

/// Sequences of turns. A turn is one call, or a few that belong together, so that honest play stays frequent. Half of the sequences
/// start with the same score for every user, so that ties decide who is in the top list.
pub fn sequences() -> impl Strategy<Value = Vec<Call>> {
    let turns = prop::collection::vec(turn(), 12..25);
    (any::<bool>(), turns).prop_map(|(tied, turns)| {
        let ties = (0..USERS).filter(|_| tied).flat_map(|user| {
            let finalize =
                CallKind::Finalize { token: TokenChoice::Newest, proof: ProofChoice::Valid, key: None };
            [CallKind::Init { action: 0 }, finalize].map(|kind| Call { node: user % 2, user, kind })
        });
        ties.chain(turns.into_iter().flatten()).collect()
    })
}

/// Three users make most calls, so that their states become complex.
fn turn() -> impl Strategy<Value = Vec<Call>> {
    let user = prop_oneof![2 => 0..3_usize, 1 => 0..USERS];
    (user, prop::collection::vec(0..2_usize, 4), call_kinds()).prop_map(|(user, nodes, kinds)| {
        kinds.into_iter().zip(nodes).map(|(kind, node)| Call { node, user, kind }).collect()
    })
}

/// The calls of one turn.
fn call_kinds() -> impl Strategy<Value = Vec<CallKind>> {
    let finalized = (action(), key()).prop_map(|(action, key)| {
        vec![
            CallKind::Init { action },
            CallKind::Finalize { token: TokenChoice::Newest, proof: ProofChoice::Valid, key },
        ]
    });
    let proven = (action(), key()).prop_map(|(action, key)| {
        let anti_spam = Some(TokenChoice::Newest);
        let prove = CallKind::Prove {
            action: None,
            anti_spam,
            proof: ProofChoice::Valid,
            session: SessionChoice::None,
            key,
        };
        vec![
            CallKind::Init { action },
            prove,
            CallKind::Redeem { token: TokenChoice::Newest, session: SessionChoice::None, key },
        ]
    });
    let game = (game_action(), token_choice(), key()).prop_map(|(action, token, key)| {
        let update = CallKind::Update { token: TokenChoice::Newest, action, points_error: 0, key };
        vec![CallKind::Start, update, CallKind::Update { token, action, points_error: 0, key: None }]
    });
    let quarantined = (action(), admin_action()).prop_map(|(action, admin_action)| {
        let finalize =
            CallKind::Finalize { token: TokenChoice::Newest, proof: ProofChoice::Valid, key: None };
        let quarantine = CallKind::Admin(AdminAction::Quarantine);
        vec![quarantine, CallKind::Init { action }, finalize, CallKind::Admin(admin_action)]
    });
    let between = prop_oneof![Just(CallKind::Start), Just(CallKind::End), Just(CallKind::GetSession)];
    let session_bound = (game_action(), between, session_choice()).prop_map(|(action, between, session)| {
        let (action, anti_spam) = (Some(action), None);
        let prove = CallKind::Prove {
            action,
            anti_spam,
            proof: ProofChoice::Valid,
            session: SessionChoice::Newest,
            key: None,
        };
        vec![
            CallKind::Start,
            prove,
            between,
            CallKind::Redeem { token: TokenChoice::Newest, session, key: None },
        ]
    });
    prop_oneof![
        4 => finalized,
        1 => session_bound,
        2 => proven,
        2 => game,
        2 => quarantined,
        1 => prop::collection::vec(admin_action().prop_map(CallKind::Admin), 2..=3),
        12 => call_kind().prop_map(|kind| vec![kind]),
    ]
}

/// Any action of the catalogue, or one that does not exist.
fn action() -> impl Strategy<Value = usize> {
    0..ACTIONS.len() + 1
}

/// Most of the time one of the five actions of the game API.
fn game_action() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0..5_usize, 1 => action()]
}

fn call_kind() -> impl Strategy<Value = CallKind> {
    prop_oneof![
        2 => action().prop_map(|action| CallKind::Init { action }),
        3 => (token_choice(), proof_choice(), key()).prop_map(|(token, proof, key)| CallKind::Finalize { token, proof, key }),
        3 => (prop::option::of(action()), prop::option::of(token_choice()), proof_choice(), session_choice(), key()).prop_map(
            |(action, anti_spam, proof, session, key)| CallKind::Prove { action, anti_spam, proof, session, key }
        ),
        3 => (token_choice(), session_choice(), key()).prop_map(|(token, session, key)| CallKind::Redeem { token, session, key }),
        1 => Just(CallKind::Start),
        1 => Just(CallKind::GetSession),
        1 => Just(CallKind::End),
        3 => (token_choice(), game_action(), prop_oneof![6 => Just(0), 1 => -5..10_i64], key())
            .prop_map(|(token, action, points_error, key)| CallKind::Update { token, action, points_error, key }),
        2 => any::<usize>().prop_map(|nth| CallKind::Repeat { nth }),
        3 => admin_action().prop_map(CallKind::Admin),
    ]
}

fn token_choice() -> impl Strategy<Value = TokenChoice> {
    let forgery = prop_oneof![
        2 => any::<usize>().prop_map(Forgery::Changed),
        1 => Just(Forgery::LoginKey),
        1 => Just(Forgery::Unsigned),
        1 => Just(Forgery::Random),
        1 => Just(Forgery::Empty),
    ];
    prop_oneof![
        3 => Just(TokenChoice::Newest),
        4 => any::<usize>().prop_map(TokenChoice::Own),
        3 => any::<usize>().prop_map(TokenChoice::Any),
        1 => forgery.prop_map(TokenChoice::Forged),
    ]
}

fn proof_choice() -> impl Strategy<Value = ProofChoice> {
    prop_oneof![3 => Just(ProofChoice::Valid), 1 => Just(ProofChoice::Invalid), 1 => Just(ProofChoice::OtherKind), 1 => Just(ProofChoice::Missing)]
}

fn session_choice() -> impl Strategy<Value = SessionChoice> {
    prop_oneof![3 => Just(SessionChoice::None), 2 => Just(SessionChoice::Newest), 1 => Just(SessionChoice::Unknown)]
}

/// Few keys, so that they repeat.
fn key() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![2 => Just(None), 1 => (0..3_u8).prop_map(Some)]
}

fn admin_action() -> impl Strategy<Value = AdminAction> {
    prop_oneof![
        Just(AdminAction::Ban),
        Just(AdminAction::Unban),
        Just(AdminAction::Quarantine),
        Just(AdminAction::Approve),
        Just(AdminAction::Void),
        (-4..=4_i64).prop_map(|fives| AdminAction::Adjust(fives * 5)),
    ]
}
