//! Writes the report of made-up studies of every kind into a folder, to look at them:
//! `cargo run --release -p lanner-report --example pages -- FOLDER`.

#[path = "../tests/it/common.rs"]
#[allow(dead_code)]
mod common;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::path::PathBuf::from(std::env::args().nth(1).ok_or("expected a folder")?);
    std::fs::create_dir_all(&folder)?;
    for (name, study) in common::all() {
        let bytes = study.report().write(folder.join(format!("{name}.html")))?;
        println!("{name}: {} trials, {bytes} bytes", study.trials.len());
    }
    Ok(())
}
