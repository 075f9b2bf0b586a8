//! Socket.IO packets, and Engine.IO polling payloads.

use laurel::http::MAX_BODY_BYTES;
use laurel::live::engineio::Wire;
use laurel::live::socketio::{Kind, Packet};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::change::{apply, changes};
use super::{fuzz, runtime};
use crate::harness::TestStores;

const SEPARATOR: char = '\u{1e}';

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(".{0,6}", inner, 0..4).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

/// Valid packets.
fn packets() -> impl Strategy<Value = Packet> {
    let namespace = prop_oneof![Just("/".to_owned()), "/[a-z0-9_-]{1,8}"];
    let arguments =
        ("[a-z]{1,8}", prop::collection::vec(json_values(), 0..3)).prop_map(|(name, mut rest)| {
            rest.insert(0, name.into());
            Value::from(rest)
        });
    (0..6_u8, namespace, prop::option::of(any::<u64>()), arguments, 0..17_usize).prop_map(
        |(kind, namespace, ack, arguments, attachments)| {
            let packet = |kind, data| Packet::new(kind, &namespace, data);
            let ack_or_1 = Some(ack.unwrap_or(1));
            match kind {
                0 => packet(Kind::Connect, Some(json!({ "token": arguments }))),
                1 => packet(Kind::Disconnect, None),
                2 => Packet { ack, ..packet(Kind::Event, Some(arguments)) },
                3 => Packet { ack: ack_or_1, ..packet(Kind::Ack, Some(arguments)) },
                4 => Packet { ack, attachments, ..packet(Kind::BinaryEvent, Some(arguments)) },
                _ => Packet { ack: ack_or_1, attachments, ..packet(Kind::BinaryAck, Some(arguments)) },
            }
        },
    )
}

#[test]
fn socket_io_packets_round_trip() {
    fuzz(4.0, (packets(), packets(), changes()), |(packet, other, changes)| {
        let written = packet.write();
        prop_assert_eq!(Packet::read(&written[1..]), Some(packet));
        // A changed packet is invalid, or round-trips.
        let bytes = apply(&written.as_bytes()[1..], other.write().as_bytes(), &changes);
        if let Some(packet) = Packet::read(&String::from_utf8_lossy(&bytes)) {
            prop_assert!(packet.attachments <= 16);
            let again = Packet::read(&packet.write()[1..]);
            prop_assert_eq!(
                again.map(|again| (again.kind, again.namespace, again.ack)),
                Some((packet.kind, packet.namespace, packet.ack))
            );
        }
        Ok(())
    });
    fuzz(
        8.0,
        prop_oneof![".{0,80}", "[0-7][0-9]{0,24}-?(/[a-z]{0,5},?)?[0-9]{0,22}[\\[{\"a-z,\\]}]{0,20}"],
        |text| {
            let _ = Packet::read(&text);
            Ok(())
        },
    );
    let deep = format!("2[\"x\",{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(Packet::read(&deep), None);
}

#[test]
fn engine_io_payloads_get_200_or_400() {
    let runtime = runtime();
    let (_stores, node) = runtime.block_on(async {
        let stores = TestStores::new().await;
        let node = stores.start_node().await;
        (stores, node)
    });
    let path = "/socket.io/?EIO=4&transport=polling";
    let packet = prop_oneof![
        3 => "[0-7b][ -~]{0,30}",
        2 => packets().prop_map(|packet| packet.write()),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| {
            let mut text = String::new();
            Wire::Binary(bytes.into()).push_to(&mut text);
            text
        }),
        1 => "[0-9a-z]{1,7}:4\\PC{0,10}",
    ];
    let bodies = prop_oneof![
        4 => prop::collection::vec(packet, 0..6).prop_map(|packets| packets.join(&SEPARATOR.to_string()).into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => (0..MAX_BODY_BYTES).prop_map(|length| vec![b'4'; length]),
    ];
    fuzz(1.0, (bodies, changes()), |(body, changes)| {
        runtime.block_on(async {
            let opened = node.get(path).await;
            let packet: Value = serde_json::from_str(opened.text.strip_prefix('0').unwrap()).unwrap();
            let session = format!("{path}&sid={}", packet["sid"].as_str().unwrap());
            for mut body in [apply(&body, b"40\x1e2probe", &changes), body] {
                // A larger body is refused before it is read, and the connection may close before the response arrives.
                body.truncate(MAX_BODY_BYTES);
                let answer = node.send(reqwest::Method::POST, &session, &[], body).await;
                prop_assert!([200, 400].contains(&answer.status), "{} {}", answer.status, answer.text);
            }
            prop_assert_eq!(node.get("/healthz").await.status, 200);
            Ok(())
        })
    });
}
