//! Data sets: networks with their accuracies and proxies.

use std::path::Path;
use std::sync::Arc;

use crate::recipes::multi_predict::tasks::normalised;
use lanner_data::Table;
use lanner_data::import::{Format, read_where};
use lanner_predict::Pool;
use lanner_predict::accuracy::adapted::TaskFeatures;
use lanner_predict::accuracy::untrained::{RANK, UntrainedScores, of_table};
use lanner_predict::regress::linalg::Mat;
use lanner_space::Space;

use super::super::Common;
use crate::output::usage;

/// Files and columns of a data set's networks, accuracies and proxies.
#[derive(Clone, Copy)]
pub struct Named {
    pub name: &'static str,
    space: &'static str,
    /// File of the proxies, and of the accuracies unless there is another one.
    file: &'static str,
    /// Column of the accuracies, and its file.
    metric: &'static str,
    accuracies: Option<&'static str>,
    /// Text in the column `dataset` of tables with several tasks.
    dataset: Option<&'static str>,
}

const fn nasbench201(name: &'static str, metric: &'static str) -> Named {
    Named {
        name,
        space: "nasbench201",
        file: "nasbench201/proxies_cifar10.csv",
        metric,
        accuracies: Some("nasbench201/accuracy.csv"),
        dataset: None,
    }
}

const fn alone(name: &'static str, space: &'static str, file: &'static str) -> Named {
    Named { name, space, file, metric: "val_accuracy", accuracies: None, dataset: None }
}

/// Makes a task of TransNAS-Bench-101. Its accuracies stand beside the proxies; they are from another
/// epoch than those in the tables of all networks.
const fn micro(name: &'static str, dataset: &'static str) -> Named {
    let file = "transbench101/micro_proxies.csv";
    Named { dataset: Some(dataset), ..alone(name, "transbench101-micro", file) }
}

const fn macro_(name: &'static str, dataset: &'static str) -> Named {
    let file = "transbench101/macro_proxies.csv";
    Named { dataset: Some(dataset), ..alone(name, "transbench101-macro", file) }
}

/// Trainings from scratch on further data sets, in NASLib's own encoding.
const TRAINED: &str = "suite-zero-9x/proxies.csv";

const fn trained(name: &'static str, space: &'static str, dataset: &'static str) -> Named {
    Named { dataset: Some(dataset), ..alone(name, space, TRAINED) }
}

const NASBENCH301: Named =
    alone("nasbench301", "darts", "nasbench301/accuracy_surrogate_and_proxies.csv");

/// The 28 data sets of Multi-Predict, which are those of NAS-Bench-Suite-Zero. `all` are those of them that
/// the folder of tables has.
const ALL: [Named; 28] = [
    nasbench201("nasbench201-cifar10", "c10_test_200"),
    nasbench201("nasbench201-cifar100", "c100_test_200"),
    nasbench201("nasbench201-imagenet16", "im16_test_200"),
    trained("nasbench201-svhn", "nasbench201", "svhn"),
    trained("nasbench201-scifar100", "nasbench201", "scifar100"),
    trained("nasbench201-ninapro", "nasbench201", "ninapro"),
    alone("nasbench101", "nasbench101", "nasbench101/accuracy_and_proxies_500.csv"),
    NASBENCH301,
    trained("nasbench301-svhn", "darts", "svhn"),
    trained("nasbench301-scifar100", "darts", "scifar100"),
    trained("nasbench301-ninapro", "darts", "ninapro"),
    micro("micro-scene", "class_scene"),
    micro("micro-object", "class_object"),
    micro("micro-jigsaw", "jigsaw"),
    micro("micro-segment", "segmentsemantic"),
    micro("micro-autoencoder", "autoencoder"),
    micro("micro-room", "room_layout"),
    micro("micro-normal", "normal"),
    trained("micro-svhn", "transbench101-micro", "svhn"),
    trained("micro-scifar100", "transbench101-micro", "scifar100"),
    trained("micro-ninapro", "transbench101-micro", "ninapro"),
    macro_("macro-scene", "class_scene"),
    macro_("macro-object", "class_object"),
    macro_("macro-jigsaw", "jigsaw"),
    macro_("macro-segment", "segmentsemantic"),
    macro_("macro-autoencoder", "autoencoder"),
    macro_("macro-room", "room_layout"),
    macro_("macro-normal", "normal"),
];

/// Data sets used in development: accuracies after 12 epochs, and 5 of all.
const DEVELOPMENT: [Named; 7] = [
    nasbench201("nasbench201-cifar10-12", "c10_val_12"),
    nasbench201("nasbench201-cifar100-12", "c100_val_12"),
    NASBENCH301,
    micro("micro-object", "class_object"),
    micro("micro-autoencoder", "autoencoder"),
    macro_("macro-object", "class_object"),
    macro_("macro-jigsaw", "jigsaw"),
];

/// Returns the data sets with these names, each once; of `all`, those that the folder has, and the names of
/// the others.
pub fn named(common: &Common, names: &[String]) -> anyhow::Result<(Vec<Named>, Vec<&'static str>)> {
    let (mut found, mut absent): (Vec<Named>, _) = (Vec::new(), Vec::new());
    for name in names {
        let some: Vec<Named> = match name.as_str() {
            "all" => {
                let is_there = |t: &Named| Ok(t.table(common)?.is_some());
                let there: Vec<bool> = ALL.iter().map(is_there).collect::<anyhow::Result<_>>()?;
                let missing = ALL.iter().zip(&there).filter(|(_, there)| !**there);
                absent.extend(missing.map(|(t, _)| t.name));
                let there = ALL.iter().zip(&there).filter(|(_, there)| **there);
                there.map(|(t, _)| *t).collect()
            }
            "dev" => DEVELOPMENT.to_vec(),
            _ => ALL.iter().chain(&DEVELOPMENT[..2]).filter(|t| t.name == name).copied().collect(),
        };
        if some.is_empty() {
            let names: Vec<&str> = ALL.iter().map(|t| t.name).collect();
            return Err(usage(format!(
                "no data set '{name}'; there are: all, dev, {}",
                names.join(", ")
            )));
        }
        for task in some {
            if found.iter().all(|t| t.name != task.name) {
                found.push(task);
            }
        }
    }
    Ok((found, absent))
}

impl Named {
    /// Reads networks with their proxies, and the accuracies. `None` if the folder has another data set's
    /// rows only, or no accuracies of this one.
    fn table(&self, common: &Common) -> anyhow::Result<Option<(Table, Vec<f64>)>> {
        let space = Space::by_name(self.space)?;
        let Ok(path) = common.file(self.file) else { return Ok(None) };
        if let Some(dataset) = self.dataset {
            // It is in the first or the second column.
            let text = std::fs::read_to_string(&path)?;
            if !text.lines().any(|line| line.split(',').take(2).any(|cell| cell == dataset)) {
                return Ok(None);
            }
        }
        let table = match self.dataset {
            Some(dataset) if self.file == TRAINED => {
                let only = Some(("dataset", dataset));
                read_where(Format::SuiteZero, &[path], &space, only, &|_, _| {})?.table
            }
            Some(dataset) => Table::read_where(&path, &space, "dataset", dataset)?.0,
            None => Table::read(&path, &space)?.0,
        };
        let values = match self.accuracies {
            None => table.column(self.metric)?.to_vec(),
            Some(file) => {
                let (accuracies, _) = Table::read(common.file(file)?, &space)?;
                if accuracies.column(self.metric).is_err() {
                    return Ok(None);
                }
                let value = |arch| accuracies.value(self.metric, arch);
                let values: Result<Vec<Option<f64>>, _> = table.archs.iter().map(value).collect();
                values?.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect()
            }
        };
        Ok(Some((table, values)))
    }
}

/// A data set that was read and encoded.
pub struct Task {
    pub name: String,
    pub pool: Pool,
    /// Accuracies, one a network.
    pub values: Vec<f64>,
    pub features: TaskFeatures,
    /// Its networks with their proxies.
    table: Table,
    /// `rank` of networks of the space, if it was read.
    pub untrained: Option<Arc<UntrainedScores>>,
    /// Proxies, normalised for the recipe `multi-predict`.
    pub normalised: Mat,
}

impl Task {
    /// Reads a data set; its proxies are those of the space's table in `proxies`, if there is one.
    pub fn read(common: &Common, named: &Named, proxies: Option<&Path>) -> anyhow::Result<Task> {
        let (table, values) = named
            .table(common)?
            .ok_or_else(|| usage(format!("{}: {} has no such data set", named.name, named.file)))?;
        let space = table.space.clone();
        let own = table_of(proxies, &space)?;
        let with =
            |i: &usize| own.as_ref().is_none_or(|own| own.row_of(&table.archs[*i]).is_some());
        let known: Vec<usize> =
            (0..values.len()).filter(|&i| values[i].is_finite()).filter(with).collect();
        let values = known.iter().map(|&i| values[i]).collect();
        let mut table = table.select(&known)?;
        if let Some(own) = own {
            let rows: Vec<usize> = table.archs.iter().filter_map(|a| own.row_of(a)).collect();
            table = own.select(&rows)?;
        }
        let columns: Vec<(String, Vec<f64>)> =
            table.names.iter().cloned().zip(table.columns.iter().cloned()).collect();
        let pool = Pool::new(space, table.archs.clone());
        let features = TaskFeatures::new(&pool, &columns)?;
        let normalised = normalised(&columns, pool.len());
        let name = named.name.into();
        Ok(Task { name, pool, values, features, table, untrained: None, normalised })
    }

    /// Reads `rank` of the space's table in a folder, or of the proxies beside the accuracies.
    pub fn read_prior(&mut self, folder: Option<&Path>) -> anyhow::Result<()> {
        let space = &self.table.space;
        let read = table_of(folder, space)?;
        let known = of_table(read.as_ref().unwrap_or(&self.table), RANK)?;
        self.untrained = Some(Arc::new(UntrainedScores::new(space, &known)?));
        Ok(())
    }
}

/// Reads the table of a space in a folder of tables of `lanner proxies`, if there is one.
fn table_of(folder: Option<&Path>, space: &Space) -> anyhow::Result<Option<Table>> {
    let path = folder.map(|folder| folder.join(format!("{space}.csv")));
    let Some(path) = path.filter(|path| path.is_file()) else { return Ok(None) };
    Ok(Some(Table::read(path, space)?.0))
}
