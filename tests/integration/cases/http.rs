//! The native routes.

use super::Outcome;
use super::table::Case;
use crate::harness::Server;

pub async fn send(server: &Server, cases: &[Case]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for case in cases {
        let request = server.post(&format!("/{}", case.task), &case.body);
        let (status, answer) = server.send(request).await;
        outcomes.push(if status.is_success() {
            Ok(answer)
        } else {
            Err(answer["code"].as_str().expect("a code").to_owned())
        });
    }
    outcomes
}
