//! `lanner fit --prior`.

use lanner::data::Table;
use lanner::predict::metrics::spearman;
use lanner::space::{Architecture, Space};

use crate::common::{fails, ok, rows};

/// Accuracies that one proxy tells but for luck: ten trainings and `rank` of 300 networks order the others.
#[test]
fn a_fit_starts_from_untrained_scores() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let space = Space::NasBench201;
    let archs: Vec<Architecture> =
        space.shuffled(&mut lanner::nn::rng(5, "some")).take(300).collect();
    let worth: Vec<f64> =
        archs.iter().map(|a| space.flops_and_params(a).map_or(0.0, |f| f.0).ln_1p()).collect();
    let luck = |i: usize| 0.2 * ((i * 7919) % 101) as f64 / 101.0;
    let noisy: Vec<f64> = worth.iter().enumerate().map(|(i, w)| w + luck(i)).collect();
    let write = |name: &str, column: &str, rows: usize, values: &[f64]| {
        let columns = vec![values[..rows].to_vec()];
        let table = Table::new(space.clone(), archs[..rows].to_vec(), vec![column.into()], columns);
        table.unwrap().write(file(name)).unwrap();
        file(name)
    };
    let ten = write("ten.csv", "val_accuracy", 10, &noisy);
    let proxies = write("proxies.csv", "nwot", 300, &worth);
    let (model, said, asked) = (file("m.lanner"), file("said.csv"), file("asked.csv"));
    write("asked.csv", "x", 300, &worth);
    let base = ["fit", &ten, "--metric", "val_accuracy", "--folds", "2", "--out", &model, "--json"];
    let rank = |more: &[&str], scores: Option<u64>| {
        let row = &rows(&ok(&[&base[..], more].concat()))[0];
        assert_eq!((row["train"].as_u64(), row["untrained"].as_u64()), (Some(10), scores), "{row}");
        ok(&["rank", &model, "--archs", &asked, "--out", &said]);
        let (said, _) = Table::read(&said, &space).unwrap();
        let of = |arch| said.value("val_accuracy", arch).unwrap().unwrap();
        spearman(&archs.iter().map(of).collect::<Vec<f64>>(), &worth)
    };
    let (with, alone) =
        (rank(&["--prior", &format!("{proxies}:rank")], Some(300)), rank(&[], None));
    assert!(with > 0.9 && with > alone, "{with} {alone}");
    assert_eq!(rank(&["--prior", &proxies], Some(300)), with, "rank is the default");

    let refused = |more: &[&str], says: &str| {
        let (code, message) = fails(&[&base[..], more].concat());
        assert!(code == 2 && message.contains(says), "{message}");
    };
    refused(&["--prior", &format!("{proxies}:swap")], "proxies.csv:swap: no column 'swap'");
    refused(&["--prior", &ten], "none of the proxies expressivity, flops");
    let method = ["--predictor", "ridge-counts", "--prior", &proxies];
    refused(&method, "a prior is for accuracies, by the method default");
    refused(&["--as", "latency", "--prior", &proxies], "a prior is for accuracies");
    let (_, message) =
        fails(&["fit", &ten, "--metric", "val_accuracy", "--prior", &proxies, "--out", &proxies]);
    assert!(message.contains("proxies.csv"), "{message}");
}
