//! Heartbeats: who is idle is asked whether it is there.

use std::{sync::Arc, time::Duration};

use sdk::{output::FailureKind, stop::Stop};
use tokio::{
    net::UdpSocket,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{config::HeartbeatType, node::Node, nodes::Nodes, trouble::Trouble};

/// What a heartbeat over UDP says, which is what Fluentd says.
const BEAT: [u8; 1] = [0];

/// Asks and watches until `stop` is given.
pub(crate) async fn run(nodes: &Nodes, kind: HeartbeatType, every: Duration, stop: &Stop) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Ends those under way when this ends.
    let mut beats = JoinSet::new();
    let mut asked: Vec<Arc<Node>> = Vec::new();
    loop {
        tokio::select! {
            () = stop.stopped() => return,
            Some(beat) = beats.join_next() => {
                // One that panicked is asked again never; the others are.
                if let Ok(node) = beat {
                    asked.retain(|other| !Arc::ptr_eq(other, &node));
                }
            }
            _ = ticks.tick() => {
                for node in nodes.all() {
                    node.purge();
                    node.watch();
                    let is_asked = asked.iter().any(|other| Arc::ptr_eq(other, &node));
                    let wants_beat = node.health().wants_beat(Instant::now());
                    if kind != HeartbeatType::None && wants_beat && !is_asked {
                        asked.push(Arc::clone(&node));
                        beats.spawn(beat(node, kind, every));
                    }
                }
            }
        }
    }
}

async fn beat(node: Arc<Node>, kind: HeartbeatType, every: Duration) -> Arc<Node> {
    let answer = match kind {
        HeartbeatType::Udp => datagram(&node, every).await,
        HeartbeatType::Transport | HeartbeatType::Tcp | HeartbeatType::None => {
            match node.dial().await {
                Ok(connection) => {
                    connection.close().await;
                    Ok(())
                }
                Err(trouble) => Err(trouble),
            }
        }
    };
    node.beaten(answer);
    node
}

async fn datagram(node: &Node, every: Duration) -> Result<(), Trouble> {
    let failed = |message: String| Trouble::connect(FailureKind::Connect, message);
    let addresses = node.addresses().await?;
    let Some(address) = addresses.first() else {
        return Err(failed("the name has no address".into()));
    };
    let any = if address.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let ask = async {
        let socket = UdpSocket::bind(any).await?;
        // Only answers from that address are taken then.
        socket.connect(address).await?;
        socket.send(&BEAT).await?;
        let mut answer = [0];
        socket.recv(&mut answer).await
    };
    match timeout(every, ask).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("no answer to a datagram".into())),
    }
}
