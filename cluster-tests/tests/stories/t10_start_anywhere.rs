//! G2, G10: a session started on any node authenticates on any node.
//!
//! 1. Three nodes form a cluster.
//! 2. On each node a session is started; at once every node authenticates it, by token and by JWT, `local` and `strict`.
//! 3. Every node publishes the same keys, and a read that carries the start's position sees the session.

use cluster_tests::client::Level;
use cluster_tests::cluster::Cluster;
use cluster_tests::facts;

#[test]
fn t10_start_anywhere_authenticate_anywhere() {
    let cluster = Cluster::formed("t10", 3);
    let client = cluster.client("t10");
    for from in 1..=3 {
        let session = client.start_surely(from, "ada");
        for node in 1..=3 {
            for level in [Level::Local, Level::Strict] {
                let seen = client.authenticate(node, &session, level);
                assert!(seen.is_active(), "token from {from} at {node}, {level:?}: {seen:?}");
                let seen = client.authenticate_jwt(node, &session, level);
                assert!(seen.is_active(), "JWT from {from} at {node}, {level:?}: {seen:?}");
            }
            let path = format!("/v1/sessions/{}", session.session);
            let answer = client.ask_with(node, "GET", &path, None, &[("curfew-position", &session.position)]).expect("an answer");
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.body["session"]["user_id"], "ada", "{answer:?}");
        }
    }
    let keys: Vec<String> = (1..=3).map(|node| client.ask(node, "GET", "/.well-known/jwks.json", None).expect("an answer").text).collect();
    assert!(keys[0].contains("\"kty\"") && keys.iter().all(|it| *it == keys[0]), "{keys:?}");
    facts::happy_end(&cluster);
}
