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
//! assert_eq!(report.skipped, ["note"]); // text is no metric
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
//! **Published formats.** [`import::read`] turns the files that benchmarks are published as into one
//! table, a column a file or a metric: HELP's `.pt` and LatBench's `.pickle` latencies, NAS-Bench-201's
//! `.pth`, NATS-Bench's folder of `.pickle.pbz2`, and CSV.
//!
//! **Pickles.** Most of them are pickles, which Python *runs*. Here they are only read: by a small
//! stack machine that refuses every global outside a short list, needs memory in proportion to the
//! bytes that it has read, and does not recurse.
//!
//! **Images.** [`images::by_name`] reads an image classification data set, `digits`, `cifar10:PATH`,
//! `mnist:DIR` and so on, and [`images`] makes validation splits, balanced subsets and normalised,
//! augmented batches of it.
//!
//! **Files.** [`write_file`] replaces a file as a whole or not at all; all of Lanner's files are
//! written by it, those aside that grow by a line.
//!
//! **Units.** A latency is in milliseconds and its name ends in `_ms`; zero or less there is an
//! error, whether a file or a caller brings it.

pub mod built_in;
mod csv;
mod describe;
mod draft;
mod error;
mod file;
pub mod images;
pub mod import;
mod load;
#[cfg(feature = "parquet")]
mod parquet;
mod pickle;
pub mod published;
mod table;
mod write;

pub use describe::ColumnSummary;
pub use draft::ReadReport;
pub use error::DataError;
pub use file::comments;
pub use table::Table;
pub use write::{write_file, write_file_with};
