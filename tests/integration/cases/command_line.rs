//! The command line: one run per task, with each case as a line.

use electra_server::task::Task;
use serde_json::Value;

use super::table::Case;
use super::{Outcome, of_task};
use crate::harness::{default_models, electra, lines, with_input};

pub fn send(cases: &[Case]) -> Vec<Outcome> {
    let mut outcomes: Vec<(usize, Outcome)> = Vec::new();
    for task in Task::ALL {
        let (places, bodies): (Vec<usize>, Vec<&Value>) = of_task(cases, task)
            .map(|(place, case)| (place, &case.body))
            .unzip();
        let asked: Vec<String> = bodies.iter().map(ToString::to_string).collect();
        let input = asked.join("\n") + "\n";
        let models = default_models();
        let models = models.to_str().expect("UTF-8");
        let answers = lines(&with_input(
            electra(&[task.name(), "--models", models]),
            &input,
        ));
        assert_eq!(answers.len(), places.len(), "{task}: a line each");
        outcomes.extend(places.into_iter().zip(answers.into_iter().map(outcome)));
    }
    outcomes.sort_by_key(|(place, _)| *place);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn outcome(line: Value) -> Outcome {
    match line["code"].as_str() {
        Some(code) => Err(code.to_owned()),
        None => Ok(line),
    }
}
