//! Good inputs of each reader, from which hostile ones are made.

use std::fs;
use std::sync::OnceLock;

use lanner_data::Table;
use lanner_network::{Init, OnnxOptions, Skeleton, View, Weights, onnx};
use lanner_predict::Pool;
use lanner_predict::predictor::fitted::{FitSettings, Fitted, MethodFeatures};
use lanner_predict::predictor::{Predictor, Target};
use lanner_search::study::{Measurement, Outcome, Study};
use lanner_search::{Job, StrategyName};
use lanner_space::Space;

use super::readers::{file, framed};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../lanner-data/tests/fixtures/", $name)).to_vec()
    };
}

/// Files of spaces.
const SPACES: [&str; 7] = [
    include_str!("../../../../examples/cell.toml"),
    include_str!("../../../../examples/microcontroller.toml"),
    include_str!("../../../../examples/parameters.toml"),
    include_str!("../../../../examples/residual.toml"),
    include_str!("../../../../examples/keywords.toml"),
    include_str!("../../../../examples/transformer.toml"),
    include_str!("../../../../examples/unet.toml"),
];

/// Returns good inputs of a reader, at least one.
pub fn of(reader: &str) -> Vec<Vec<u8>> {
    match reader {
        "csv" => csv(),
        "parquet" => parquet(),
        "pickle" => vec![
            fixture!("values_0.pickle"),
            fixture!("values_1.pickle"),
            fixture!("values_2.pickle"),
            fixture!("values_3.pickle"),
            fixture!("values_4.pickle"),
            fixture!("values_5.pickle"),
            latbench(),
        ],
        "torch" => vec![fixture!("tensors.pt"), fixture!("tensors_legacy.pt")],
        "nasbench201" => vec![fixture!("nasbench201.pth"), fixture!("tensors_legacy.pt")],
        "bz2" => vec![
            fixture!("natsbench/000000.pickle.pbz2"),
            fixture!("natsbench/000001.pickle.pbz2"),
            fixture!("natsbench/meta.pickle.pbz2"),
        ],
        "record" => records(),
        "tfrecord" => records().iter().map(|record| framed(record)).collect(),
        "results" => vec![results().into_bytes()],
        "toml" => SPACES.map(|text| text.as_bytes().to_vec()).into(),
        "lanner" => vec![predictor().to_vec()],
        "lanner-content" => {
            (1..6u8).map(|n| (0..n * 40).map(|i| i.wrapping_mul(n * 37)).collect()).collect()
        }
        "study" => vec![study().to_vec()],
        "study-cells" => {
            (0..22u8).map(|n| [[n, 1, n, 255, 255, 0, 0, 0].repeat(3)].concat()).collect()
        }
        "onnx" => models(),
        "architecture" => architectures(),
        "metrics" => [
            "{\"acc\": 93.1, \"of\": [NaN, -Infinity, {\"a\": \"\\u00e9\"}]}",
            "epoch 1\r\u{1b}[32m{\"acc\": 93.1}\u{1b}[0m",
            "7.31 7.29, 7.40",
            "[7.31, 7.29]",
            "{\"latency_us\": [7.31, 7.29]}",
            "unsupported: no such layer",
        ]
        .map(|text| text.as_bytes().to_vec())
        .into(),
        other => panic!("no seeds of {other}"),
    }
}

/// All published spaces, and those of the examples.
pub fn spaces() -> &'static [Space] {
    static ALL: OnceLock<Vec<Space>> = OnceLock::new();
    ALL.get_or_init(|| {
        let own = SPACES.map(|text| Space::from_toml(text).expect("an example"));
        Space::ALL.into_iter().chain(own).collect()
    })
}

fn example() -> Table {
    let space = Space::NasBench201;
    let archs = (0..6).map(|i| space.at(i * 1234).expect("an index")).collect();
    let names = vec!["pixel_ms".into(), "accuracy, top-1".into(), "seconds".into()];
    let columns = vec![
        vec![1.5, f64::NAN, 3e-30, 7.0, 8.25, 1.0],
        vec![-0.0, 0.1, 1e300, f64::NAN, 12.0, 55.5],
        vec![f64::NAN, 1.0, 2.0, 3.0, 4.0, 5.0],
    ];
    Table::new(space, archs, names, columns).expect("a table")
}

fn csv() -> Vec<Vec<u8>> {
    let path = file("seed.csv", &[]);
    example().write_commented(&path, &["measured".into()]).expect("a file");
    let text = fs::read(&path).expect("a file");
    let utf16: Vec<u8> = std::iter::once(0xfeff)
        .chain(String::from_utf8_lossy(&text).encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let others = [
        "idx,val_ms\n0,1.5\n7,2\n7,2\n100,nan\n",
        "ops,accuracy,note\n\"013210\",91.2,\"fine, \"\"so\"\" to say\"\r\n444444,,\r",
    ];
    let others = others.map(|text| text.as_bytes().to_vec());
    [text, utf16].into_iter().chain(others).collect()
}

fn parquet() -> Vec<Vec<u8>> {
    let path = file("seed.parquet", &[]);
    match example().write(&path) {
        Ok(()) => vec![fs::read(&path).expect("a file")],
        // A build without Parquet.
        Err(_) => vec![b"PAR1PAR1".to_vec()],
    }
}

/// A dict of operation tuples to seconds, in protocol 2.
fn latbench() -> Vec<u8> {
    let mut bytes = b"\x80\x02}q\x00(".to_vec();
    for (row, index) in [0u128, 77, 15_000].into_iter().enumerate() {
        let arch = Space::NasBench201.at(index).expect("an index");
        bytes.push(b'(');
        for code in arch.codes() {
            bytes.extend([b'K', *code]);
        }
        bytes.push(b't');
        bytes.push(b'G');
        bytes.extend((0.001 * (row + 1) as f64).to_be_bytes());
    }
    bytes.extend(b"u.");
    bytes
}

fn records() -> Vec<Vec<u8>> {
    // Three evaluations and the number of parameters.
    const METRICS: &str = "CiQRAAAAAAAAAAAZAAAAAAAAAAAhAAAAAAAAAAApAAAAAAAAAAAKJBEAAAAAAEB/QBkAAAAAAADgPyHN\
                           zMzMzMzcPyl7FK5H4XrcPwokEQAAAAAAQI9AGQAAAAAAAPA/Ic3MzMzMzOw/KXsUrkfheuw/EIqYigQ=";
    [
        (
            "00005c142e6f48ac74fdcf73e3439874",
            108,
            "0100110001000000010010000010000001000000010000000",
            "input,conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,conv3x3-bn-relu,conv1x1-bn-relu,output",
        ),
        ("", 4, "0100", "input,output"),
    ]
    .into_iter()
    .map(|(hash, epochs, matrix, names)| {
        serde_json::to_vec(&(hash, epochs, matrix, names, METRICS)).expect("JSON")
    })
    .collect()
}

fn results() -> String {
    let mut config = serde_json::Map::new();
    let mut set = |name: String, value: serde_json::Value| {
        config.insert(format!("NetworkSelectorDatasetInfo:darts:{name}"), value);
    };
    for edge in [0, 1, 2, 3, 5, 7, 10, 11] {
        set(format!("edge_normal_{edge}"), "sep_conv_3x3".into());
    }
    for edge in [0, 1, 2, 3, 6, 7, 11, 12] {
        set(format!("edge_reduce_{edge}"), "avg_pool_3x3".into());
    }
    for (name, inputs) in [
        ("normal_3", "0_1"),
        ("normal_4", "0_2"),
        ("normal_5", "1_2"),
        ("reduce_3", "0_1"),
        ("reduce_4", "1_2"),
        ("reduce_5", "2_3"),
    ] {
        set(format!("inputs_node_{name}"), inputs.into());
    }
    set("init_channels".into(), 32.into());
    set("layers".into(), 8.into());
    serde_json::json!({
        "optimized_hyperparamater_config": config,
        "budget": 98,
        "info": [{"train_accuracy": 99.0, "val_accuracy": 93.0, "model_parameters": 1_500_000}],
        "test_accuracy": 92.0,
        "runtime": 3600,
        "learning_curves": {"Train/val_accuracy": [10.0, 93.0]},
    })
    .to_string()
}

/// The file of a small predictor.
pub fn predictor() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let archs = (0..30).map(|i| Space::NasBench201.at(i * 500).expect("an index"));
        let pool = Pool::new(Space::NasBench201, archs.collect());
        let rows: Vec<usize> = (0..30).collect();
        let values: Vec<f64> = rows.iter().map(|row| 1.0 + (row % 7) as f64).collect();
        let settings = FitSettings {
            method: "default".into(),
            target: Target::Latency,
            metric: "mine_ms".into(),
        };
        let features =
            MethodFeatures::new(&settings.method, Target::Latency, &pool).expect("a method");
        let fitted = Fitted::fit(&pool, &features, settings, (&rows, &values), 0).expect("a fit");
        fitted.to_file().to_bytes().expect("bytes")
    })
}

/// The file of a small study.
pub fn study() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let path = file("seed.db", &[]);
        fs::remove_file(&path).expect("a file");
        let job =
            Job::new("nasbench201").maximise("accuracy").at_most("latency_ms", 5.0).budget(40);
        let job = Job { strategy: StrategyName::Random, ..job };
        let list: Vec<_> = Space::NasBench201.iter().step_by(50).collect();
        let mut study = Study::create_of(&path, &job, &list).expect("a study");
        for trial in study.ask(16).expect("trials") {
            let measured = Measurement {
                se: Some(0.01),
                trial: Some(trial.id),
                ..Measurement::new(&trial.arch, "latency_ms", 2.0 + trial.id as f64 / 10.0)
            };
            study.measured(&measured).expect("stored");
            let metrics = [("accuracy".to_string(), 60.0 + trial.id as f64)].into();
            let outcome = match trial.id % 5 {
                0 => Outcome::Failed { why: "out of memory".into() },
                1 => continue,
                _ => Outcome::Done { metrics },
            };
            study.tell(trial.id, outcome).expect("stored");
        }
        drop(study);
        fs::read(&path).expect("a file")
    })
}

/// The same as the schema before checksums had it.
pub fn old_study() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let path = file("old.db", study());
        let connection = rusqlite::Connection::open(&path).expect("a database");
        for table in ["study", "strategy", "trial", "measurement"] {
            let sql = format!("ALTER TABLE {table} DROP COLUMN checksum");
            connection.execute(&sql, []).expect("a column");
        }
        connection.pragma_update(None, "user_version", 5).expect("a version");
        connection.pragma_update(None, "journal_mode", "delete").expect("a mode");
        drop(connection);
        fs::read(&path).expect("a file")
    })
}

/// Networks as ONNX, with few weights.
fn models() -> Vec<Vec<u8>> {
    ["nasbench201", "mobilenetv3"]
        .into_iter()
        .map(|name| {
            let space = Space::by_name(name).expect("a space");
            let published = Skeleton::of(&space).expect("a network");
            let skeleton = Skeleton { channels: 8, resolution: 32, classes: 3, ..published };
            let skeleton = skeleton.with_cells(1);
            let arch = space.at(3000).expect("an index");
            let network = skeleton.build(&arch, View::Pruned).expect("a network");
            let weights = Weights::init(&network, Init::default());
            onnx::encode(&network, &weights, OnnxOptions::default()).expect("a model")
        })
        .collect()
}

fn architectures() -> Vec<Vec<u8>> {
    let mut rng = lanner_nn::rng(1, "hostile seeds");
    let mut all = Vec::new();
    for (number, space) in spaces().iter().enumerate() {
        for _ in 0..3 {
            let text = space.print(&space.sample(&mut rng));
            all.push([&[number as u8], text.as_bytes()].concat());
        }
        if space.parameters().is_none() {
            all.push([&[number as u8], &b"12345"[..]].concat());
        }
    }
    all
}
