//! Data sets: networks with their accuracies and proxies.

use crate::recipes::multi_predict::tasks::normalised;
use lanner_data::Table;
use lanner_predict::Pool;
use lanner_predict::accuracy::adapted::TaskFeatures;
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

const NASBENCH301: Named =
    alone("nasbench301", "darts", "nasbench301/accuracy_surrogate_and_proxies.csv");

const ALL: [Named; 14] = [
    nasbench201("nasbench201-cifar10", "c10_test_200"),
    nasbench201("nasbench201-cifar100", "c100_test_200"),
    alone("nasbench101", "nasbench101", "nasbench101/accuracy_and_proxies_500.csv"),
    NASBENCH301,
    micro("micro-scene", "class_scene"),
    micro("micro-object", "class_object"),
    micro("micro-jigsaw", "jigsaw"),
    micro("micro-segment", "segmentsemantic"),
    micro("micro-autoencoder", "autoencoder"),
    macro_("macro-scene", "class_scene"),
    macro_("macro-object", "class_object"),
    macro_("macro-jigsaw", "jigsaw"),
    macro_("macro-segment", "segmentsemantic"),
    macro_("macro-autoencoder", "autoencoder"),
];

/// Data sets used in development: accuracies after 12 epochs, and 5 of the 14.
const DEVELOPMENT: [Named; 7] = [
    nasbench201("nasbench201-cifar10-12", "c10_val_12"),
    nasbench201("nasbench201-cifar100-12", "c100_val_12"),
    NASBENCH301,
    micro("micro-object", "class_object"),
    micro("micro-autoencoder", "autoencoder"),
    macro_("macro-object", "class_object"),
    macro_("macro-jigsaw", "jigsaw"),
];

/// Returns the data sets with these names, each once.
pub fn named(names: &[String]) -> anyhow::Result<Vec<Named>> {
    let mut found: Vec<Named> = Vec::new();
    for name in names {
        let some: Vec<Named> = match name.as_str() {
            "all" => ALL.to_vec(),
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
    Ok(found)
}

/// A data set that was read and encoded.
pub struct Task {
    pub name: String,
    pub pool: Pool,
    /// Accuracies, one a network.
    pub values: Vec<f64>,
    pub features: TaskFeatures,
    /// Proxies, normalised for the recipe `multi-predict`.
    pub normalised: Mat,
}

impl Task {
    pub fn read(common: &Common, named: &Named) -> anyhow::Result<Task> {
        let space = Space::by_name(named.space)?;
        let path = common.file(named.file)?;
        let (table, _) = match named.dataset {
            Some(dataset) => Table::read_where(path, &space, "dataset", dataset)?,
            None => Table::read(path, &space)?,
        };
        let values = match named.accuracies {
            None => table.column(named.metric)?.to_vec(),
            Some(file) => {
                let (accuracies, _) = Table::read(common.file(file)?, &space)?;
                let value = |arch| accuracies.value(named.metric, arch);
                let values: Result<Vec<Option<f64>>, _> = table.archs.iter().map(value).collect();
                values?.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect()
            }
        };
        let known: Vec<usize> = (0..values.len()).filter(|&i| values[i].is_finite()).collect();
        let values = known.iter().map(|&i| values[i]).collect();
        let table = table.select(&known)?;
        let columns: Vec<(String, Vec<f64>)> = table.names.into_iter().zip(table.columns).collect();
        let pool = Pool::new(space, table.archs);
        let features = TaskFeatures::new(&pool, &columns)?;
        let normalised = normalised(&columns, pool.len());
        Ok(Task { name: named.name.into(), pool, values, features, normalised })
    }
}
