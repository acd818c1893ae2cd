//! Searches NAS-Bench-201 with a function of one's own in place of a training, within a latency limit
//! on this machine. Run it again after Ctrl-C: it goes on where it was.
//!
//! `cargo run --release -p lanner --example own_function`

use std::path::Path;

use lanner::evaluate::evaluator::{Answer, Request};
use lanner::search::run::{Control, Event, Own, Run};
use lanner::search::{Job, LATENCY};

/// Stands for a training: more convolutions are better, too many are not.
fn train(request: &Request) -> Result<Answer, lanner::evaluate::EvaluateError> {
    let convolutions = request.arch.codes().iter().filter(|&&code| code >= 2).count() as f64;
    Ok(Answer::metric("accuracy", 90.0 + 2.0 * convolutions - 0.2 * convolutions.powi(2)))
}

fn main() -> Result<(), lanner::search::SearchError> {
    let folder = Path::new("own-function-study");
    let job = Job::new("nasbench201").maximise("accuracy").at_most(LATENCY, 20.0).budget(30);
    let mut control = Control {
        events: Box::new(|event| {
            if let Event::Progress { phase, done, total } = event {
                println!("{}: {done} of {total}", phase.describe());
            }
        }),
        ..Control::default()
    };
    let mut run = match folder.exists() {
        true => Run::resume(folder, Own::evaluator(train))?,
        false => Run::create(folder, &job, Own::evaluator(train), &mut control)?,
    };
    let found = run.finish(&mut control)?;
    run.hand_over(&found)?;
    match &found.best {
        Some((best, _)) => println!("best: {}", run.study().space().print(&best.arch)),
        None => println!("no network is within the limit"),
    }
    Ok(())
}
