//! `lanner-bench untrained` ranks networks before any of them is trained, by each proxy and by `rank`.

mod weighing;

use std::collections::BTreeSet;
use std::path::PathBuf;

use lanner_data::Table;
use lanner_data::import::{Format, read_where};
use lanner_predict::accuracy::adapted::{PROXIES, without_failures};
use lanner_predict::accuracy::untrained::{MEMBERS, UntrainedRank};
use lanner_predict::metrics::{kendall, spearman, top_k_regret};
use lanner_predict::regress::linalg::Mat;
use lanner_space::Space;

use self::weighing::Known;
use super::Common;
use crate::output::{Row, print_rows, usage};

#[derive(clap::Args)]
#[command(after_help = "\
Rank correlations between accuracies and untrained scores, over all networks of each table that have \
proxies. best is the proxy with the highest Spearman correlation, of all and with its sign known, which \
nobody knows before training; regret_1 is the accuracy that is lost by taking the network with the best \
score. Three scores see nothing of this space, nor of another one of the same publication: all is the mean \
of the fourteen proxies that all spaces have; learned_elsewhere weighs them by what other spaces tell, and \
by how they agree here; chosen_elsewhere is the mean of proxies that are added one by one as long as the \
mean over the other spaces rises. The last six tables, svhn and scifar100, teach these scores nothing.

Proxies are those of the published tables, and those of --proxies, which win: a folder with files of \
`lanner proxies` named as the spaces, such as nasbench201.csv.

Examples:
  lanner-bench untrained
  lanner proxies --space darts --archs archs.csv --out mine/darts.csv
  lanner-bench untrained --proxies mine --each")]
pub struct UntrainedArgs {
    #[command(flatten)]
    common: Common,
    /// Folder with tables of `lanner proxies`, one a space
    #[arg(long, value_name = "DIR")]
    proxies: Option<PathBuf>,
    /// Print the Spearman correlation of each proxy
    #[arg(long)]
    each: bool,
}

/// A table of accuracies: name, space, file, value of its column `dataset`, metric, file of proxies.
type Set = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const SUITE_201: &str = "nasbench201/proxies_cifar10.csv";
const MICRO: &str = "transbench101/micro_proxies.csv";
const MACRO: &str = "transbench101/macro_proxies.csv";

const SETS: [Set; 15] = [
    (
        "nasbench201-cifar10",
        "nasbench201",
        "nasbench201/accuracy.csv",
        "",
        "c10_test_200",
        SUITE_201,
    ),
    (
        "nasbench201-cifar100",
        "nasbench201",
        "nasbench201/accuracy.csv",
        "",
        "c100_test_200",
        SUITE_201,
    ),
    (
        "nasbench101",
        "nasbench101",
        "nasbench101/accuracy_and_proxies_500.csv",
        "",
        "val_accuracy",
        "",
    ),
    ("darts", "darts", "darts/accuracy_1000.csv", "", "cifar10_val_accuracy", ""),
    (
        "nasbench301",
        "darts",
        "nasbench301/accuracy_surrogate_and_proxies.csv",
        "",
        "val_accuracy",
        "",
    ),
    ("micro-scene", "transbench101-micro", MICRO, "class_scene", "val_accuracy", ""),
    ("micro-object", "transbench101-micro", MICRO, "class_object", "val_accuracy", ""),
    ("micro-jigsaw", "transbench101-micro", MICRO, "jigsaw", "val_accuracy", ""),
    ("micro-segment", "transbench101-micro", MICRO, "segmentsemantic", "val_accuracy", ""),
    ("micro-autoencoder", "transbench101-micro", MICRO, "autoencoder", "val_accuracy", ""),
    ("macro-scene", "transbench101-macro", MACRO, "class_scene", "val_accuracy", ""),
    ("macro-object", "transbench101-macro", MACRO, "class_object", "val_accuracy", ""),
    ("macro-jigsaw", "transbench101-macro", MACRO, "jigsaw", "val_accuracy", ""),
    ("macro-segment", "transbench101-macro", MACRO, "segmentsemantic", "val_accuracy", ""),
    ("macro-autoencoder", "transbench101-macro", MACRO, "autoencoder", "val_accuracy", ""),
];

/// Trainings from scratch on further data sets, in NASLib's own encoding. Nothing is learned from them: the scores
/// were made before they were looked at.
const TRAINED: &str = "suite-zero-9x/proxies.csv";

const LATER: [Set; 6] = [
    ("nasbench201-svhn", "nasbench201", TRAINED, "svhn", "val_accuracy", ""),
    ("nasbench201-scifar100", "nasbench201", TRAINED, "scifar100", "val_accuracy", ""),
    ("nasbench301-svhn", "darts", TRAINED, "svhn", "val_accuracy", ""),
    ("nasbench301-scifar100", "darts", TRAINED, "scifar100", "val_accuracy", ""),
    ("micro-svhn", "transbench101-micro", TRAINED, "svhn", "val_accuracy", ""),
    ("micro-scifar100", "transbench101-micro", TRAINED, "scifar100", "val_accuracy", ""),
];

/// A rise of the mean correlation that is worth another member.
const WORTH: f64 = 0.002;

struct Task {
    name: &'static str,
    /// Spaces of one publication, which are left out together.
    family: &'static str,
    columns: Vec<(String, Vec<f64>)>,
    values: Vec<f64>,
}

impl Task {
    /// Reads a set; `None` if its networks have no proxies.
    fn read(args: &UntrainedArgs, set: &Set) -> anyhow::Result<Option<Task>> {
        let &(name, of, file, dataset, metric, published) = set;
        let space = Space::by_name(of).map_err(|e| usage(e.to_string()))?;
        let path = args.common.file(file)?;
        let accuracies = match dataset {
            "" => Table::read(path, &space)?.0,
            _ if file == TRAINED => {
                let only = Some(("dataset", dataset));
                read_where(Format::SuiteZero, &[path], &space, only, &|_, _| {})?.table
            }
            _ => Table::read_where(path, &space, "dataset", dataset)?.0,
        };
        let mut tables = Vec::new();
        let own = args.proxies.iter().map(|dir| dir.join(format!("{of}.csv")));
        for path in own.filter(|path| path.is_file()) {
            tables.push(Table::read(path, &space)?.0);
        }
        if !published.is_empty() {
            tables.push(Table::read(args.common.file(published)?, &space)?.0);
        }
        tables.push(accuracies.clone());
        let truth = accuracies.column(metric)?;
        // With proxies of one's own, only the networks that have them.
        let with: BTreeSet<_> = tables[0].archs.iter().map(|a| a.codes().to_vec()).collect();
        let known =
            |i: &usize| truth[*i].is_finite() && with.contains(accuracies.archs[*i].codes());
        let rows: Vec<usize> = (0..truth.len()).filter(known).collect();
        let mut columns: Vec<(String, Vec<f64>)> = Vec::new();
        for proxy in PROXIES {
            let Some(table) = tables.iter().find(|t| t.names.iter().any(|n| n == proxy)) else {
                continue;
            };
            let value = |&i: &usize| table.value(proxy, &accuracies.archs[i]);
            let values: Result<Vec<Option<f64>>, _> = rows.iter().map(value).collect();
            let values: Vec<f64> = values?.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect();
            let values = without_failures(&values);
            if values.iter().filter(|v| v.is_finite()).count() * 2 > rows.len() {
                columns.push((proxy.into(), values));
            }
        }
        let values = rows.iter().map(|&i| truth[i]).collect();
        Ok((!columns.is_empty()).then_some(Task { name, family: family(of), columns, values }))
    }

    /// Scores by some proxies; a constant one where there is none of them.
    fn scores(&self, members: &[&str]) -> Vec<f64> {
        match UntrainedRank::of(members, &self.columns) {
            Some(rank) => rank.scores(&self.columns, self.values.len()),
            None => vec![0.0; self.values.len()],
        }
    }

    /// Normal scores of the proxies that all spaces have, 0 where this one lacks one.
    fn known(&self) -> Known<'_> {
        let each: Vec<Vec<f64>> = weighing::MEMBERS.map(|name| self.scores(&[name])).to_vec();
        let scores = Mat::from_fn(self.values.len(), each.len(), |i, j| each[j][i]);
        Known { family: self.family, scores, values: &self.values }
    }

    fn spearman(&self, members: &[&str]) -> f64 {
        let r = spearman(&self.scores(members), &self.values);
        if r.is_finite() { r } else { 0.0 }
    }

    /// The proxy with the highest correlation, and that.
    fn best(&self) -> (&str, f64) {
        let all = self.columns.iter().map(|(name, _)| (name.as_str(), self.spearman(&[name])));
        all.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(("", 0.0))
    }
}

/// Returns the family of a space: its name without that of a part.
fn family(space: &'static str) -> &'static str {
    space.split_once('-').map_or(space, |(family, _)| family)
}

/// Adds proxies one by one, as long as the mean over families of the mean correlation over their tasks
/// rises.
fn chosen(tasks: &[&Task]) -> Vec<&'static str> {
    let families: BTreeSet<&str> = tasks.iter().map(|t| t.family).collect();
    let mean = |members: &[&str]| -> f64 {
        let of_family = |family: &&str| {
            let some = tasks.iter().filter(|t| t.family == *family);
            let some: Vec<f64> = some.map(|t| t.spearman(members)).collect();
            some.iter().sum::<f64>() / some.len() as f64
        };
        families.iter().map(of_family).sum::<f64>() / families.len() as f64
    };
    let (mut members, mut best) = (Vec::new(), f64::NEG_INFINITY);
    loop {
        let others = PROXIES.into_iter().filter(|p| !members.contains(p));
        let with = |proxy| [&members[..], &[proxy]].concat();
        let next = others.map(|p| (mean(&with(p)), p)).max_by(|a, b| a.0.total_cmp(&b.0));
        match next {
            Some((value, proxy)) if value > best + WORTH => {
                members.push(proxy);
                best = value;
            }
            _ => return members,
        }
    }
}

pub fn run(args: UntrainedArgs) -> anyhow::Result<()> {
    let (mut tasks, mut later) = (Vec::new(), Vec::new());
    for set in &SETS {
        tasks.extend(Task::read(&args, set)?);
    }
    for set in &LATER {
        later.extend(Task::read(&args, set)?);
    }
    let mut rows = Vec::new();
    let mut elsewhere: Vec<(&str, Vec<&str>)> = Vec::new();
    for task in tasks.iter().chain(&later) {
        let (best, of_best) = task.best();
        if elsewhere.iter().all(|e| e.0 != task.family) {
            let others: Vec<&Task> = tasks.iter().filter(|t| t.family != task.family).collect();
            elsewhere.push((task.family, chosen(&others)));
        }
        let members = elsewhere.iter().find(|e| e.0 == task.family).map_or(&[][..], |e| &e.1);
        let rank = task.scores(&MEMBERS);
        let other = task.scores(members);
        let all = task.scores(&weighing::MEMBERS);
        let others: Vec<Known> =
            (tasks.iter()).filter(|t| t.family != task.family).map(Task::known).collect();
        let learned = weighing::learned(&others, &task.known().scores);
        let mut row = Row::new()
            .with("task", task.name)
            .with("networks", task.values.len())
            .with("best", best)
            .with("spearman", of_best)
            .with("regret_1", top_k_regret(&task.scores(&[best]), &task.values, 1))
            .with("rank", spearman(&rank, &task.values))
            .with("rank_kendall", kendall(&rank, &task.values))
            .with("rank_regret_1", top_k_regret(&rank, &task.values, 1))
            .with("all", spearman(&all, &task.values))
            .with("learned_elsewhere", spearman(&learned, &task.values))
            .with("learned_kendall", kendall(&learned, &task.values))
            .with("learned_regret_1", top_k_regret(&learned, &task.values, 1))
            .with("chosen_elsewhere", spearman(&other, &task.values))
            .with("its_kendall", kendall(&other, &task.values))
            .with("its_regret_1", top_k_regret(&other, &task.values, 1))
            .with("its_members", members.join(","));
        for proxy in PROXIES.iter().filter(|_| args.each) {
            let known = task.columns.iter().any(|c| c.0 == *proxy);
            row = row.with(proxy, if known { task.spearman(&[proxy]) } else { f64::NAN });
        }
        rows.push(row);
    }
    let all: Vec<&Task> = tasks.iter().collect();
    rows.push(Row::new().with("task", "all spaces").with("its_members", chosen(&all).join(",")));
    print_rows(&rows, args.common.json)
}
