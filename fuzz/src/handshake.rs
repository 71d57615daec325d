//! The target `handshake`: HELO, PING and PONG between two of ours, whole, damaged, or with somebody else.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use forward_protocol::handshake::{
    Client, ClientStep, HandshakeError, Identity, MESSAGE_LEN_MAX, Refusal, Server, ServerStep,
    Terms, User,
};
use sdk::config::Secret;

use crate::{
    dice::Dice,
    drive::{Arrival, panic_with},
    mutate::mutate,
};

/// What the server says at most, in bytes: it answers before it knows to whom.
const ANSWER_BYTES_MAX: usize = 512;
const KEYS: [&str; 3] = ["secret", "other", ""];
const NAMES: [&str; 3] = ["client.example", "server.example", ""];
const WORDS: [&str; 3] = ["alice", "mallory", ""];

/// Who takes part, and whether the server should let the client in.
struct Parties {
    identity: Identity,
    terms: Terms,
    is_known: bool,
    /// Both sides have one name.
    is_same_name: bool,
}

/// Checks one input: the first bytes choose the parties, and what happens to what they say.
///
/// # Panics
/// When somebody gets in who should not, or the reverse, or when it depends on how the bytes arrive.
pub fn check(input: &[u8]) {
    let mut dice = Dice::new(input);
    let parties = parties(&mut dice);
    let arrival = Arrival::any(&mut dice);
    match dice.below(4) {
        0 => whole(&parties, &arrival),
        1 => damaged(&parties, &arrival, &mut dice),
        2 => stranger_at_server(&parties, &arrival, dice.rest()),
        _ => stranger_at_client(&parties, &arrival, dice.rest()),
    }
}

fn parties(dice: &mut Dice<'_>) -> Parties {
    let (key, other_key) = (dice.one_of(&KEYS), dice.one_of(&KEYS));
    let name = dice.one_of(&NAMES);
    let (username, password) = (dice.one_of(&WORDS), dice.one_of(&WORDS));
    let mut terms = Terms::open("server.example", Secret::new(key));
    let mut is_known = key == other_key;
    if dice.once_in(2) {
        let user = |username: &str| User {
            username: username.into(),
            password: Secret::new(dice.one_of(&WORDS)),
        };
        let users: Vec<User> = ["alice", "bob"].map(user).into();
        is_known &= users
            .iter()
            .any(|user| user.username == username && user.password.expose() == password);
        terms.users = Some(Arc::from(users));
    }
    if dice.once_in(8) {
        terms.shared_key = Err("192.0.2.1".into());
        is_known = false;
    }
    let mut identity = Identity::new(name, Secret::new(other_key));
    identity.username = username.into();
    identity.password = Secret::new(password);
    Parties {
        identity,
        terms,
        is_known,
        is_same_name: name == "server.example",
    }
}

impl Parties {
    fn server(&self) -> Server {
        Server::new(self.terms.clone(), [3; 16], [4; 16])
    }

    fn client(&self) -> Client {
        Client::new(self.identity.clone(), [5; 16])
    }

    /// The PING that the client answers the HELO with.
    fn ping(&self, client: &mut Client) -> Bytes {
        let helo = self.server().helo(true);
        match client_takes(client, &helo, &Arrival::default()) {
            (Ok(ClientStep::Send(ping)), _) => ping,
            other => panic_with(&format!("a HELO is answered with {other:?}"), &helo),
        }
    }
}

/// The two with each other: it ends as the parties say.
fn whole(parties: &Parties, arrival: &Arrival) {
    let (mut server, mut client) = (parties.server(), parties.client());
    let helo = server.helo(true);
    let (Ok(ClientStep::Send(ping)), _) = client_takes(&mut client, &helo, arrival) else {
        panic_with("a HELO is not answered", &helo)
    };
    let (step, _) = server_takes(&mut server, &ping, arrival);
    let answer = match &step {
        ServerStep::Accepted {
            answer, hostname, ..
        } if parties.is_known => {
            assert_eq!(hostname, parties.identity.self_hostname.as_bytes());
            answer
        }
        ServerStep::Refused { answer, refusal } if !parties.is_known => {
            assert_ne!(*refusal, Refusal::Ping);
            answer
        }
        step => panic_with(
            &format!("{step:?}, but known is {}", parties.is_known),
            &ping,
        ),
    };
    let (end, _) = client_takes(&mut client, answer, arrival);
    let is_right = match &end {
        Ok(ClientStep::Done { keepalive }) => {
            parties.is_known && !parties.is_same_name && *keepalive
        }
        Err(HandshakeError::SameHostname { .. }) => parties.is_known && parties.is_same_name,
        Err(HandshakeError::Refused { .. }) => !parties.is_known,
        _ => false,
    };
    if !is_right {
        panic_with(&format!("the client says {end:?}"), answer);
    }
}

/// A PING and a PONG that were changed on their way: whatever comes of it, it does not depend on the pieces, and
/// nobody gets in who would not without the damage.
fn damaged(parties: &Parties, arrival: &Arrival, dice: &mut Dice<'_>) {
    let mut client = parties.client();
    let mut ping = parties.ping(&mut client).to_vec();
    mutate(&mut ping, dice);
    let step = at_server(parties, arrival, &ping);
    if matches!(step, ServerStep::Accepted { .. }) && !parties.is_known {
        panic_with("a damaged PING opens the door", &ping);
    }
    let (ServerStep::Accepted { answer, .. } | ServerStep::Refused { answer, .. }) = step else {
        return;
    };
    let mut reply = answer.to_vec();
    mutate(&mut reply, dice);
    let end = at_client(&client, arrival, &reply);
    if matches!(end, Ok(ClientStep::Done { .. })) && !parties.is_known {
        panic_with("a damaged PONG is believed", &reply);
    }
}

/// Somebody who knows nothing.
fn stranger_at_server(parties: &Parties, arrival: &Arrival, bytes: &[u8]) {
    let step = at_server(parties, arrival, bytes);
    if matches!(step, ServerStep::Accepted { .. }) {
        panic_with("a stranger is let in", bytes);
    }
}

/// A server that knows nothing: at its HELO, or at its PONG.
fn stranger_at_client(parties: &Parties, arrival: &Arrival, bytes: &[u8]) {
    let mut client = parties.client();
    let step = at_client(&client, arrival, bytes);
    assert!(
        !matches!(step, Ok(ClientStep::Done { .. })),
        "without a PING"
    );
    parties.ping(&mut client);
    let end = at_client(&client, arrival, bytes);
    if matches!(end, Ok(ClientStep::Done { .. })) {
        panic_with("a stranger is believed", bytes);
    }
}

fn at_server(parties: &Parties, arrival: &Arrival, bytes: &[u8]) -> ServerStep {
    let whole = server_takes(&mut parties.server(), bytes, &Arrival::default());
    let pieces = server_takes(&mut parties.server(), bytes, arrival);
    assert_eq!(whole, pieces, "in {arrival:?}");
    whole.0
}

fn at_client(
    client: &Client,
    arrival: &Arrival,
    bytes: &[u8],
) -> Result<ClientStep, HandshakeError> {
    let whole = client_takes(&mut client.clone(), bytes, &Arrival::default());
    let pieces = client_takes(&mut client.clone(), bytes, arrival);
    assert_eq!(whole, pieces, "in {arrival:?}");
    whole.0
}

/// What a server says to these bytes, and what it leaves.
fn server_takes(server: &mut Server, bytes: &[u8], arrival: &Arrival) -> (ServerStep, usize) {
    let mut buf = BytesMut::new();
    let mut pieces = arrival.pieces(bytes).into_iter();
    while let Some(piece) = pieces.next() {
        buf.extend_from_slice(piece);
        let step = server.take(&mut buf);
        if let ServerStep::Accepted { answer, .. } | ServerStep::Refused { answer, .. } = &step {
            assert!(
                answer.len() <= ANSWER_BYTES_MAX,
                "{} bytes are answered",
                answer.len()
            );
            // Of one who is refused nothing is looked at, so what is left does not matter.
            let is_in = matches!(step, ServerStep::Accepted { .. });
            let left = buf.len() + pieces.map(<[u8]>::len).sum::<usize>();
            return (step, if is_in { left } else { 0 });
        }
        assert!(buf.len() <= MESSAGE_LEN_MAX, "{} bytes are held", buf.len());
    }
    (ServerStep::Read, buf.len())
}

/// What a client says to these bytes, and what it leaves.
fn client_takes(
    client: &mut Client,
    bytes: &[u8],
    arrival: &Arrival,
) -> (Result<ClientStep, HandshakeError>, usize) {
    let mut buf = BytesMut::new();
    let mut pieces = arrival.pieces(bytes).into_iter();
    while let Some(piece) = pieces.next() {
        buf.extend_from_slice(piece);
        match client.take(&mut buf) {
            Ok(ClientStep::Read) => {
                let held = buf.len();
                assert!(held <= MESSAGE_LEN_MAX, "{held} bytes are held");
            }
            Err(error) => return (Err(error), 0),
            step => {
                let left = buf.len() + pieces.map(<[u8]>::len).sum::<usize>();
                return (step, left);
            }
        }
    }
    (Ok(ClientStep::Read), buf.len())
}
