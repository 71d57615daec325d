//! The DNS of a cluster, as far as pods ask it: addresses, and SRV records of the headless Service.

use super::network::GATEWAY;
use anyhow::{Context as _, Result};
use std::{
    net::{Ipv4Addr, UdpSocket},
    thread,
};

pub(super) const ELASTICSEARCH: &str = "elasticsearch.test";
/// The domain of pods of the headless Service.
const PODS: &str = "weir-headless.logging.svc.cluster.local";
const SERVICE: &str = "weir.logging.svc.cluster.local";
const FORWARD: u16 = 24224;
const TYPE_A: u16 = 1;
const TYPE_SRV: u16 = 33;
/// Compression: the name in the question, which begins behind the header.
const QUESTION_NAME: [u8; 2] = [0xC0, 12];
const TTL_SECONDS: u32 = 5;

/// The addresses of pods by name.
pub(super) type Names = Vec<(String, Ipv4Addr)>;

/// Answers until the process ends.
pub(super) fn serve(pods: Names) -> Result<()> {
    let socket = UdpSocket::bind((GATEWAY, 53)).context("listen for questions of names")?;
    thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            let answer = packet.get(..length).and_then(|asked| answer(asked, &pods));
            if let Some(answer) = answer {
                // Whoever does not hear the answer asks again.
                drop(socket.send_to(&answer, from));
            }
        }
    });
    Ok(())
}

/// The answer to a packet with one question.
fn answer(asked: &[u8], pods: &Names) -> Option<Vec<u8>> {
    let (name, end) = question(asked)?;
    let kind = u16::from_be_bytes([*asked.get(end)?, *asked.get(end + 1)?]);
    let records: Vec<Vec<u8>> = if kind == TYPE_A {
        address(&name, pods)
            .map(|address| address.octets().to_vec())
            .into_iter()
            .collect()
    } else if kind == TYPE_SRV && name == format!("_forward._tcp.{PODS}") {
        let aggregators = pods.iter().filter(|(name, _)| is_aggregator(name));
        aggregators.map(|(name, _)| service(name)).collect()
    } else {
        Vec::new()
    };
    let mut packet = asked.get(..2)?.to_vec();
    // An answer of the one that knows; what is not known has no records.
    packet.extend([0x85, 0x80, 0, 1]);
    packet.extend(u16::try_from(records.len()).ok()?.to_be_bytes());
    packet.extend([0, 0, 0, 0]);
    packet.extend(asked.get(12..end + 4)?);
    for record in records {
        packet.extend(QUESTION_NAME);
        packet.extend(kind.to_be_bytes());
        packet.extend([0, 1]);
        packet.extend(TTL_SECONDS.to_be_bytes());
        packet.extend(u16::try_from(record.len()).ok()?.to_be_bytes());
        packet.extend(record);
    }
    Some(packet)
}

/// The name in the question, and where it ends.
fn question(asked: &[u8]) -> Option<(String, usize)> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*asked.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = asked.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
}

fn is_aggregator(pod: &str) -> bool {
    pod.strip_prefix("weir-")
        .is_some_and(|number| number.parse::<u8>().is_ok())
}

fn address(name: &str, pods: &Names) -> Option<Ipv4Addr> {
    if name == ELASTICSEARCH {
        return GATEWAY.parse().ok();
    }
    let pod = if name == SERVICE {
        "weir-0"
    } else {
        name.strip_suffix(PODS)?.strip_suffix('.')?
    };
    pods.iter()
        .find(|(name, _)| name == pod)
        .map(|(_, address)| *address)
}

/// Priority, weight, port, and the name of a pod.
fn service(pod: &str) -> Vec<u8> {
    let mut record = vec![0, 0, 0, 1];
    record.extend(FORWARD.to_be_bytes());
    for label in format!("{pod}.{PODS}").split('.') {
        record.push(u8::try_from(label.len()).unwrap_or_default());
        record.extend(label.bytes());
    }
    record.push(0);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, kind: u16) -> Vec<u8> {
        let mut packet = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            packet.push(u8::try_from(label.len()).unwrap());
            packet.extend(label.bytes());
        }
        packet.push(0);
        packet.extend(kind.to_be_bytes());
        packet.extend([0, 1]);
        packet
    }

    fn pods() -> Names {
        vec![
            ("weir-0".to_owned(), Ipv4Addr::new(10, 0, 0, 2)),
            ("weir-agent-x1".to_owned(), Ipv4Addr::new(10, 0, 0, 3)),
        ]
    }

    #[test]
    fn an_address_is_found() {
        let answer = answer(&ask(&format!("weir-0.{PODS}"), TYPE_A), &pods()).unwrap();
        assert_eq!(&answer[..2], [7, 7]);
        assert_eq!(&answer[6..8], [0, 1]);
        assert!(answer.ends_with(&[0, 4, 10, 0, 0, 2]));
    }

    #[test]
    fn services_are_aggregators_alone() {
        let found = answer(&ask(&format!("_forward._tcp.{PODS}"), TYPE_SRV), &pods()).unwrap();
        assert_eq!(&found[6..8], [0, 1]);
        let none = answer(&ask("nowhere.test", TYPE_A), &pods()).unwrap();
        assert_eq!(&none[6..8], [0, 0]);
        assert!(answer(&[1, 2, 3], &pods()).is_none());
    }
}
