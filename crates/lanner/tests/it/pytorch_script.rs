//! The example of a training script in PyTorch, run by a search: where there is a Python with its requirements.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{ok, rows};
use rten_tensor::{NdTensor, prelude::*};

/// The Python of the active environment or of the path, if it can import what the script does.
fn python() -> Option<PathBuf> {
    let active = std::env::var_os("VIRTUAL_ENV").map(|v| Path::new(&v).join("bin/python"));
    active.into_iter().chain(["python3".into()]).find(|python| {
        let imports = ["-c", "import torch, onnx, sklearn, numpy"];
        Command::new(python).args(imports).output().is_ok_and(|out| out.status.success())
    })
}

#[test]
fn trains_and_leaves_networks_of_the_accuracy_that_it_prints() {
    let Some(python) = python() else {
        return lanner_testing::skip(
            "no Python with the packages of examples/pytorch-script/requirements.txt",
        );
    };
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pytorch-script/train.py");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("study");
    let command = format!(
        "command:'{}' '{}' --onnx {{onnx}} --out {{out}} --seed {{seed}} --epochs 2",
        python.display(),
        script.display()
    );
    let args =
        ["search", "--evaluate", &command, "--budget", "2", "--limit", "params<=1e7", "--json"];
    let size = ["--cells", "1", "--resolution", "8", "--channels", "8", "--classes", "10"];
    let folder = ["--out", &out.display().to_string()];
    let best = rows(&ok(&[&args[..], &size, &folder].concat())).remove(0);
    assert_eq!((&best["evaluations"], &best["failed"]), (&2.into(), &0.into()));
    let printed = best["test_accuracy"].as_f64().unwrap();
    // A tenth is chance.
    assert!(printed > 40.0, "{best}");

    // The trained network, on the images that the script calls its test set.
    let test = "from sklearn.datasets import load_digits as d; x, y = d(return_X_y=True); \
                [print(int(c), *map(int, p)) for p, c in zip(x[1200:], y[1200:])]";
    let digits = Command::new(&python).args(["-c", test]).output().unwrap();
    let model = rten::Model::load_file(out.join("best.onnx")).unwrap();
    let (from, to) = (model.input_ids()[0], model.output_ids()[0]);
    let right: Vec<bool> = (crate::common::text(&digits.stdout).lines())
        .map(|line| {
            let mut numbers = line.split(' ').map(|n| n.parse::<usize>().unwrap());
            let class = numbers.next().unwrap();
            let pixels: Vec<f32> = numbers.map(|p| p as f32 / 8.0 - 1.0).collect();
            let image = NdTensor::from_data([1, 3, 8, 8], pixels.repeat(3));
            let outputs = model.run(vec![(from, image.view().into())], &[to], None).unwrap();
            let logits: NdTensor<f32, 2> = outputs.into_iter().next().unwrap().try_into().unwrap();
            let best = (0..10).max_by(|&a, &b| logits[[0, a]].total_cmp(&logits[[0, b]]));
            best == Some(class)
        })
        .collect();
    assert_eq!(right.len(), 597);
    let again = 100.0 * right.iter().filter(|r| **r).count() as f64 / right.len() as f64;
    assert!((again - printed).abs() <= 0.2, "{again}, {best}");
}
