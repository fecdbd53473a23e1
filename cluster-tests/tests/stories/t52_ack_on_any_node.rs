//! G3: an acknowledgement may land on any node, and is answered with the clock of the stream's own.
//!
//! 1. A verifier follows the feed on node 1; a session is revoked, and the stream tells it.
//! 2. The verifier acknowledges it on each node with a nonce of its own: every answer carries the `boot` of node 1 and the nonce.
//! 3. What was never told cannot be acknowledged, and a subscriber that nobody has is not found, on any node.

use cluster_tests::cluster::{Cluster, PATIENCE};
use cluster_tests::facts;
use serde_json::json;

#[test]
fn t52_an_ack_on_any_node_is_answered_by_the_node_of_the_stream() {
    let cluster = Cluster::formed("t52", 3);
    let client = cluster.client("t52");
    let verifier = cluster.follow(1, None, "ack=1&stale=fail_closed");
    let hello = verifier.wait("hello", PATIENCE, |told| told.iter().find(|it| it.event == "hello").map(|it| it.json()));
    let session = client.start_surely(2, "ada");
    let revoked = client.revoke_surely(3, &session);
    verifier.wait_index(revoked.index);

    let ack = |node: u64, subscriber: &serde_json::Value, index: u64| {
        let body = json!({"subscriber": subscriber, "index": index, "nonce": format!("n{node}")});
        client.ask(node, "POST", "/v1/revocations/ack", Some(&body)).unwrap_or_else(|e| panic!("node {node} does not answer: {e}"))
    };
    for node in 1..=3 {
        let answer = ack(node, &hello["subscriber"], revoked.index);
        assert_eq!(answer.status, 200, "node {node}: {answer:?}");
        assert_eq!(answer.body["boot"], hello["boot"], "the anchor at node {node} is another node's clock");
        assert_eq!(answer.body["nonce"], json!(format!("n{node}")));
        assert_eq!(ack(node, &hello["subscriber"], 1_000_000).status, 400, "node {node}");
        for nobody in ["1-nobody", "2-nobody", "9-nobody", "nobody"] {
            assert_eq!(ack(node, &json!(nobody), revoked.index).status, 404, "{nobody} at node {node}");
        }
    }
    facts::happy_end(&cluster);
}
