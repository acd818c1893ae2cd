//! Tables of measured architectures, readers of the formats in which they are published, and image
//! data sets.
//!
//! A [`Table`] is architectures × named metrics, with missing values. It is read and written as
//! CSV (or Parquet, with the feature `parquet`):
//!
//! ```
//! use lanner_data::Table;
//! use lanner_space::Space;
//!
//! let dir = tempfile::tempdir()?;
//! let file = dir.path().join("measured.csv");
//! std::fs::write(&file, "ops,accuracy,phone_ms,note\n013210,91.2,7.5,fine\n444444,,12.25,\n")?;
//! let (table, report) = Table::read(&file, &Space::NasBench201)?;
//! assert_eq!(table.names, ["accuracy", "phone_ms"]);
//! assert_eq!(report.skipped, ["note"]); // a column of text is not a metric
//! assert_eq!(table.column("phone_ms")?, [7.5, 12.25]);
//! let pooling = Space::NasBench201.parse("444444")?;
//! assert_eq!(table.value("accuracy", &pooling)?, None); // its cell is empty
//! assert_eq!(
//!     table.column("phone").unwrap_err().to_string(),
//!     "no column 'phone'; there are: phone_ms, accuracy"
//! );
//! table.write(dir.path().join("again.csv"))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Published formats.** [`import::read`] turns the files of published benchmarks into one table,
//! with a column for each file or metric: latencies of HELP (`.pt`) and LatBench (`.pickle`),
//! NAS-Bench-101's `.tfrecord`, NAS-Bench-201's `.pth`, NAS-Bench-301's `.json`, NATS-Bench's folder
//! of `.pickle.pbz2`, and CSV.
//!
//! **Pickles.** Most of these files are pickles, which Python *runs*. Here a small stack machine only
//! reads them: it refuses every global outside a short list, needs memory in proportion to the bytes
//! that it has read, and does not recurse.
//!
//! **Images.** [`images::by_name`] reads an image classification data set (`digits`, `cifar10:PATH`,
//! `mnist:DIR` and so on); [`images`] makes validation splits, balanced subsets and normalised,
//! augmented batches of it.
//!
//! **Files.** [`write_file`] replaces a file as a whole or not at all. It writes all of Lanner's files
//! but those to which lines are appended.
//!
//! **Units.** The name of a latency ends in `_ms`, and its values are milliseconds above 0; other
//! values are an error.

#![forbid(unsafe_code)]

pub mod built_in;
mod csv;
mod error;
mod file;
pub mod images;
pub mod import;
mod metric;
mod network_latencies;
#[cfg(feature = "parquet")]
mod parquet;
mod pickle;
mod pickle_file;
pub mod published;
mod repeated;
mod rows;
mod summary;
mod table;
mod temporary;
mod text_reader;
mod write;

pub use error::DataError;
pub use file::comments;
pub use metric::{MetricKind, converted, is_latency, quantity, tells_latency};
pub use network_latencies::{NetworkLatency, read_network_latencies};
pub use rows::ReadReport;
pub use summary::ColumnSummary;
pub use table::Table;
pub use temporary::TemporaryFolder;
pub use write::{write_file, write_file_with};
