//! Reads and writes tables as files, in the format of their extension.

use std::{
    cell::Cell,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use lanner_space::Space;

use crate::{DataError, ReadReport, Table, csv, text_reader::TextReader, write_file_with};

enum Format {
    Csv,
    Parquet,
}

fn format(path: &Path) -> Result<Format, DataError> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match extension.as_str() {
        "csv" => Ok(Format::Csv),
        "parquet" if cfg!(feature = "parquet") => Ok(Format::Parquet),
        "parquet" => Err(DataError::file(
            path,
            "this build has no Parquet; build with `cargo install lanner --features parquet` (the \
             feature `parquet` of lanner and lanner-data), or use a .csv",
        )),
        "gz" | "tgz" | "tar" | "zip" | "bz2" | "xz" | "zst" => {
            let why =
                "an archive or compressed: unpack it first; a table is a .csv or a .parquet file";
            Err(DataError::file(path, why))
        }
        _ => Err(DataError::file(path, "a table is a .csv or a .parquet file, by its extension")),
    }
}

impl Table {
    /// Reads a table of the space from a `.csv` or `.parquet` file.
    ///
    /// The architecture's column is found by its name: `arch`, `arch_str`, `architecture`, `ops`,
    /// `genotype`, or for NAS-Bench-201 `idx` or `index` (the official index); where no such column
    /// has architectures, it is the only one that has. Numbers of rows are refused. Columns of numbers
    /// become metrics; columns of text are skipped, and listed in the report. An empty cell is a
    /// missing value, and so is a word without digits, such as `nan`, which the report tells. A row that repeats an architecture is merged if its values agree, else it is an
    /// error.
    pub fn read(path: impl AsRef<Path>, space: &Space) -> Result<(Table, ReadReport), DataError> {
        let path = path.as_ref();
        match format(path)? {
            Format::Csv => csv::read(path, space, None),
            #[cfg(feature = "parquet")]
            Format::Parquet => crate::parquet::read(path, space),
            #[cfg(not(feature = "parquet"))]
            Format::Parquet => unreachable!("format() refuses it"),
        }
    }

    /// Reads a table from text, or its bytes, in the format of a `.csv` file; `name` stands for the file in
    /// errors.
    pub fn read_text(
        text: impl AsRef<[u8]>,
        name: &str,
        space: &Space,
    ) -> Result<(Table, ReadReport), DataError> {
        csv::read_from(text.as_ref(), Path::new(name), space, None)
    }

    /// Reads the rows of a `.csv` file that have a given text in a given column: for a table of
    /// several data sets, which has an architecture once for each, the rows of one data set.
    pub fn read_where(
        path: impl AsRef<Path>,
        space: &Space,
        column: &str,
        text: &str,
    ) -> Result<(Table, ReadReport), DataError> {
        let path = path.as_ref();
        match format(path)? {
            Format::Csv => csv::read(path, space, Some((column, text))),
            Format::Parquet => {
                Err(DataError::file(path, "rows can be chosen from .csv tables only"))
            }
        }
    }

    /// Writes the table as `.csv` or `.parquet`: the column `arch` with the space's text form, then
    /// the metrics. Every value reads back the same. An existing file is replaced once the new one is
    /// complete.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), DataError> {
        self.write_commented(path, &[])
    }

    /// [`Table::write`] with lines `# comment` at the top of a `.csv`; other formats have no place for
    /// them.
    pub fn write_commented(
        &self,
        path: impl AsRef<Path>,
        comments: &[String],
    ) -> Result<(), DataError> {
        let path = path.as_ref();
        match format(path)? {
            Format::Csv => write_file_with(path, |out| {
                comments
                    .iter()
                    .try_for_each(|c| writeln!(out, "# {}", c.replace(['\n', '\r'], " ")))?;
                csv::write(self, out)
            }),
            #[cfg(feature = "parquet")]
            Format::Parquet => write_file_with(path, |out| crate::parquet::write(self, out)),
            #[cfg(not(feature = "parquet"))]
            Format::Parquet => unreachable!("format() refuses it"),
        }
    }

    /// Checks, without touching the disk, that [`Table::write`] knows the format of a path.
    pub fn check_writable(path: impl AsRef<Path>) -> Result<(), DataError> {
        format(path.as_ref()).map(|_| ())
    }
}

/// Reads the lines at the top of a `.csv` that begin with `#`, without that sign. Other files have
/// none.
pub fn comments(path: impl AsRef<Path>) -> Result<Vec<String>, DataError> {
    let path = path.as_ref();
    if !matches!(format(path)?, Format::Csv) {
        return Ok(Vec::new());
    }
    let file = File::open(path).map_err(DataError::io(path, "read"))?;
    // The rest of the file may be of any size.
    let quotes = Cell::new(0);
    let text = TextReader::new(file.take(MOST_COMMENTS), &quotes);
    let mut top = Vec::new();
    for line in BufReader::new(text).split(b'\n') {
        let line = line.map_err(DataError::io(path, "read"))?;
        let Some(comment) = line.strip_prefix(b"#") else { break };
        top.push(String::from_utf8_lossy(comment).trim().to_owned());
    }
    Ok(top)
}

/// Number of bytes in which the comments of a file must end, far more than they need.
const MOST_COMMENTS: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Table {
        let space = Space::NasBench201;
        let archs = vec![space.at(0).unwrap()];
        Table::new(space, archs, vec!["a".into()], vec![vec![1.0]]).unwrap()
    }

    #[test]
    fn other_extensions_are_told() {
        for name in ["t.xlsx", "t", "folder/"] {
            let message = small().write(name).unwrap_err().to_string();
            assert!(message.contains("a table is a .csv or a .parquet file"), "{message}");
        }
        if cfg!(not(feature = "parquet")) {
            let message = Table::read("t.parquet", &Space::NasBench201).unwrap_err().to_string();
            assert!(message.contains("--features parquet"), "{message}");
        }
    }

    #[test]
    fn a_write_replaces_the_file_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("T.CSV");
        std::fs::write(&path, "old").unwrap();
        small().write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "arch,a\n|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|,1\n"
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let nowhere = dir.path().join("no/such/folder.csv");
        assert!(small().write(&nowhere).unwrap_err().to_string().contains("cannot write"));
        let folder = dir.path().join("folder.csv");
        std::fs::create_dir(&folder).unwrap();
        assert!(small().write(&folder).is_err());
        assert!(
            Table::read(&folder, &Space::NasBench201)
                .unwrap_err()
                .to_string()
                .contains("cannot read")
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn published_tables_are_read() {
        let Some(data) = lanner_testing::published("") else { return };
        let space = Space::NasBench201;
        for (name, rows, columns, missing) in [
            ("accuracy.csv", 15_625, 14, 2_225 + 7_664),
            ("latency_help.csv", 15_625, 27, 0),
            ("latency_latbench.csv", 15_625, 11, 3_829),
            // Four proxies of a network failed.
            ("proxies_cifar10.csv", 9_445, 13, 4),
            ("metad2a_candidates.csv", 500, 1, 0),
        ] {
            let (table, report) = Table::read(data.join("nasbench201").join(name), &space).unwrap();
            assert_eq!((table.len(), table.names.len()), (rows, columns), "{name}");
            assert_eq!((report.merged, report.missing), (0, missing), "{name}");
        }
        // A table of another space says what is wrong with its first architecture.
        let other = Table::read(data.join("fbnet/latency_and_proxies.csv"), &space).unwrap_err();
        assert!(other.to_string().contains("line 2, column 'ops'"), "{other}");
    }
}
