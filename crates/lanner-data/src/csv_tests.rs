//! Tests of reading and writing CSV.

use lanner_space::Architecture;
use proptest::prelude::*;

use super::*;

fn read(text: &[u8]) -> Result<(Table, ReadReport), DataError> {
    read_from(text, Path::new("t.csv"), &Space::NasBench201, None)
}

fn message(text: &[u8]) -> String {
    read(text).expect_err("should be refused").to_string()
}

#[test]
fn rows_of_one_data_set_are_chosen() {
    let text = "ops,dataset,acc\n000000,a,1\n000000,b,2\n000001,b,3\n";
    let only = |column, value| {
        let path = Path::new("t.csv");
        read_from(text.as_bytes(), path, &Space::NasBench201, Some((column, value)))
    };
    let told = read(text.as_bytes()).unwrap_err().to_string();
    assert!(
        told.contains("'acc' is 2 here and 1 there; they differ in 'dataset', b and a"),
        "{told}"
    );
    assert!(told.contains("--rows dataset=b"), "{told}");
    let (table, report) = only("dataset", "b").unwrap();
    assert_eq!((table.columns, report.rows), (vec![vec![2.0, 3.0]], 2));
    let error = only("dataset", "c").unwrap_err().to_string();
    assert!(error.contains("no row has 'c' in the column 'dataset'"), "{error}");
    assert!(only("task", "b").unwrap_err().to_string().contains("no column 'task'"));
}

#[test]
fn reads_what_spreadsheets_write() {
    let text = b"\xEF\xBB\xBF\"ops\" , acc,\"note, long\"\r\n\"000120\",1.5,ok\r\n 000121 , ,\"a \"\"b\"\"\"\r\n\r\n";
    let (table, report) = read(text).unwrap();
    assert_eq!(table.archs[0].codes(), [0, 0, 0, 1, 2, 0]);
    assert_eq!(table.names, ["acc"]);
    assert_eq!(table.columns[0][0], 1.5);
    assert!(table.columns[0][1].is_nan());
    assert_eq!(
        report,
        ReadReport {
            arch_column: "ops".into(),
            rows: 2,
            merged: 0,
            missing: 1,
            skipped: vec!["note, long".into()],
            notes: vec![],
        }
    );
}

#[test]
fn any_encoding_and_line_end_is_read() {
    let plain = "# ü\nops,acc,note\n000120,1.5,\"a\nb\"\n000121,2,c\n";
    for end in ["\n", "\r\n", "\r"] {
        let text = plain.replace('\n', end);
        let mut utf16 = vec![0xff, 0xfe];
        utf16.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        for bytes in [text.as_bytes(), &[b"\xEF\xBB\xBF", text.as_bytes()].concat(), &utf16] {
            let (table, report) = read(bytes).unwrap();
            assert_eq!(
                (table.columns, report.skipped),
                (vec![vec![1.5, 2.0]], vec!["note".into()])
            );
        }
    }
    // Characters of four bytes over the ends of pieces.
    let long = format!("ops,acc,note\n000000,1,{}\n", "\u{1f985}".repeat(8000));
    let mut utf16 = vec![0xfe, 0xff];
    utf16.extend(long.encode_utf16().flat_map(u16::to_be_bytes));
    assert_eq!(read(&utf16).unwrap().1.skipped, ["note"]);
    assert!(message(b"\x1f\x8b\x08rest").contains("gunzip"));
}

#[test]
fn a_row_without_an_end_is_refused_before_it_fills_the_memory() {
    let endless = std::io::repeat(b'1');
    let told = read_from(endless, Path::new("t.csv"), &Space::NasBench201, None);
    assert!(told.unwrap_err().to_string().contains("a row of more than 16 MiB"));
    let quoted = b"ops,acc\n000000,\"".chain(std::io::repeat(b'\n'));
    let told = read_from(quoted, Path::new("t.csv"), &Space::NasBench201, None);
    assert!(told.unwrap_err().to_string().contains("is a quote not closed?"));
}

#[test]
fn a_hundred_thousand_columns_are_no_burden() {
    let names: String = (0..100_000).map(|i| format!(",c{i}")).collect();
    let text = format!("ops{names}\n000000{}\n", ",1".repeat(100_000));
    let start = std::time::Instant::now();
    assert_eq!(read(text.as_bytes()).unwrap().0.names.len(), 100_000);
    assert!(start.elapsed().as_secs_f64() < 25.0, "{:?}", start.elapsed());
}

#[test]
fn a_diverged_row_leaves_out_its_value_only() {
    let text = b"ops,acc,loss\n000000,1,0.5\n000001,nan,inf\n000002,N/A,0.25\n000003,diverged,-\n000004,5,1\n000010,6,1\n000011,7,1\n";
    let (table, report) = read(text).unwrap();
    assert_eq!(table.names, ["acc", "loss"]);
    assert!(table.columns[0][1..4].iter().all(|v| v.is_nan()) && table.columns[1][1].is_nan());
    assert_eq!(report.missing, 5);
    assert_eq!(
        report.notes[0],
        "t.csv, column 'acc': 3 cells are left out as no number, the first in line 3: 'nan'"
    );
}

#[test]
fn the_column_of_architectures_is_the_one_that_parses() {
    let ok = |text: &str| read(text.as_bytes()).map(|(_, report)| report.arch_column);
    let arch = "|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|";
    for (header, row, column) in [
        ("arch,model,acc", format!("resnet,{arch},1"), "model"),
        ("index,cell,acc", format!("0,{arch},1"), "cell"),
        ("arch,ops,acc", "17,000120,1".into(), "ops"),
    ] {
        assert_eq!(ok(&format!("{header}\n{row}\n")).unwrap(), column);
    }
    let two = ok(&format!("a,b,acc\n{arch},{arch},1\n")).unwrap_err().to_string();
    assert!(two.contains("several columns hold architectures: a, b"), "{two}");
    // Row numbers, in any order or with some rows left out, are no official indices.
    for rows in ["0,1\n1,2\n2,3\n", "7,1\n1,2\n5,3\n3,1\n"] {
        let told = message(format!("index,acc\n{rows}").as_bytes());
        assert!(told.contains("column 'index' has the numbers of rows"), "{told}");
    }
}

#[test]
fn the_text_form_wins_over_digits_and_index() {
    let text = b",idx,ops,arch,acc\n0,3,000000,|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|,1\n";
    let (table, report) = read(text).unwrap();
    assert_eq!(table.archs[0].codes(), [0, 0, 0, 0, 0, 1]);
    assert_eq!(table.names, ["acc"]);
    assert_eq!(report.skipped, ["column 1 (no name)", "idx", "ops"]);
}

#[test]
fn the_official_index_is_an_architecture() {
    let (table, _) = read(b"idx,acc\n0,1\n15624,2\n").unwrap();
    assert_eq!(table.archs[0].codes(), [4, 2, 1, 2, 1, 1]);
    let far = message(b"idx,acc\n15625,1\n");
    assert!(far.contains("t.csv, line 2, column 'idx'") && far.contains("no index 15625"), "{far}");
    assert!(
        message(b"idx,acc\n-1,1\n")
            .contains("'-1' is not a nasbench201 architecture: expected an index, 0 to 15624")
    );
}

#[test]
fn broken_files_are_told_with_their_line() {
    for (text, says) in [
        (&b""[..], "t.csv: the file is empty"),
        (b"\xEF\xBB\xBF", "t.csv: the file is empty"),
        (b"\n\n\n", "t.csv: the file is empty"),
        (b"arch,acc\n", "a header, but no row"),
        (
            b"model,acc\n1,2\n",
            "expected one called arch, arch_str, architecture, ops, genotype, idx, index, found: model, acc",
        ),
        (b"ops,acc\n000000,1\n000001\n", "line 3: 1 fields, expected 2"),
        (b"ops,acc\n000000,\"1\n000001,2\n", "line 2: a quote is opened, and not closed"),
        (b"ops,acc\n\"000000,1\n000001,2\n", "is a quote not closed?"),
        (b"ops,acc\n000000,1\n12,2\n", "line 3, column 'ops': '12' is not a nasbench201"),
        (b"ops,acc\n000009,1\n", "digit 6 is 9, expected 0 to 4"),
        (
            b"arch,acc\n|foo~0|+|none~0|none~1|+|none~0|none~1|none~2|,1\n",
            "edge 0→1 has operation 'foo', expected one of",
        ),
        (b"ops;acc\n000000;1,5\n", "fields are separated by ';', expected commas"),
        (b"ops\tacc\n000000\t1\n", "fields are separated by '\\t', expected commas"),
        (b"ops,acc\n000000,1e999\n", "'1e999' is not a number"),
        (b"ops,acc\n000000,1\n000001,2\n000002,\"93,1\"\n", "line 4, column 'acc': '93,1'"),
        (b"ops,acc\n000000,1\n000001,2\n000002,1_000\n", "'1_000' is not a number"),
        (b"ops,acc\n000000,1\n000001,2\n000002,93.1 %\n", "'93.1 %' is not a number"),
        (b"ops,acc\n000000,1\n000001,2\n000002,3x\n", "line 4, column 'acc': '3x' is not a number"),
        (b"ops,t_ms\n000000,1\n000001,0\n", "line 3, column 't_ms': '0' is not a latency"),
        (b"ops,t_ms\n000000,-1\n", "line 2, column 't_ms': '-1' is not a latency"),
        (b"ops,a,a\n000000,1,2\n", "two columns are called 'a'"),
        (
            b"ops,a\n000000,1\n000001,2\n000000,3\n",
            "line 4: |none~0|+|none~0|none~1|+|none~0|none~1|none~2| again, as in line 2, but 'a' is 3 here and 1 there",
        ),
        (b"ops,a\n000000,\xff\xfe\n", "line 2: '\u{fffd}\u{fffd}' is not UTF-8"),
    ] as [(&[u8], &str); 23]
    {
        let message = message(text);
        assert!(message.contains(says), "{message}\n  lacks {says}");
    }
    // A list of architectures may have columns of text alone; asked for as numbers, these are told.
    let text = b"ops,acc\n000000,\n000001,fast\n";
    let (table, _) = read(text).unwrap();
    let why = table.column("acc").unwrap_err().to_string();
    assert_eq!(
        why,
        "column 'acc' holds text, expected numbers; the first is 'fast' (t.csv, line 3)"
    );
    let huge = [b"ops,a\n000000,".as_slice(), &[b'1'; 100_000]].concat();
    assert!(message(&huge).contains("line 2: a field of 100000 bytes"));
}

#[test]
fn matrices_of_one_nasbench101_cell_are_averaged() {
    let text =
        "arch,a,b\n1-10_1,1,\n0-10_1,5,7\n\"(0,1,1,0, 0,0,0,1, 0,0,0,0, 0,0,0,0, 0,3,2,1)\",4,2\n";
    let (table, report) =
        read_from(text.as_bytes(), Path::new("t.csv"), &Space::NasBench101, None).unwrap();
    assert_eq!((table.len(), report.merged), (2, 1));
    assert_eq!((table.columns[0][0], table.columns[1][0]), (2.5, 2.0));
    assert_eq!(
        report.notes,
        [
            "t.csv: rows of 1 architecture disagree, and count as repetitions of one measurement: the means \
             are taken; the farthest apart in their columns are 'a' 1 and 4 (line 2, line 4)"
        ]
    );
    let alike = "arch,a,set\n1-10_1,3,x\n1-10_1,3,y\n";
    let read = |text: &str| {
        read_from(text.as_bytes(), Path::new("t.csv"), &Space::NasBench101, None).unwrap().1
    };
    assert_eq!((read(alike).merged, read(alike).notes.len()), (1, 0));
    let sets = read(&alike.replace("3,y", "5,y"));
    assert!(sets.notes[0].ends_with("'a' 3 and 5 (line 2, line 3), which differ in 'set' too"));
}

#[test]
fn a_proxy_that_failed_is_no_value() {
    let text = b"ops,zen,val_nwot,acc\n000000,-1e8,3,-1e8\n000001,2,1e+08,1\n000002,-99999999,-100000000.0,1\n";
    let (table, report) = read(text).unwrap();
    let present: Vec<Vec<f64>> =
        table.columns.iter().map(|c| c.iter().copied().filter(|v| !v.is_nan()).collect()).collect();
    // An accuracy is no proxy: its values stay as they are.
    assert_eq!(present, [vec![2.0, -99_999_999.0], vec![3.0], vec![-1e8, 1.0, 1.0]]);
    assert_eq!(report.missing, 3);
    assert_eq!(
        report.notes,
        [
            "t.csv, column 'zen': 1 cell is left out as a proxy that failed (±1e8), the first in line 2",
            "t.csv, column 'val_nwot': 2 cells are left out as proxies that failed (±1e8), the first in line 3"
        ]
    );
}

#[test]
fn agreeing_duplicates_are_merged_and_counted() {
    let (table, report) = read(b"ops,a,b\n000000,1,\n000001,2,5\n000000,1,4\n").unwrap();
    assert_eq!(report.merged, 1);
    assert_eq!(table.columns, [[1., 2.], [4., 5.]]);
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        rows in prop::collection::btree_map(0u128..15_625, prop::collection::vec(
            prop_oneof![
                3 => prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
                2 => -100.0..100.0f64,
                1 => Just(f64::NAN)
            ], 3), 1..20),
        names in prop::collection::btree_set("[a-z\"',;#%äöü]{1,3}( [a-z,]{1,2})?", 3),
    ) {
        prop_assume!(names.iter().all(|n| !is_arch_name(n)));
        let space = Space::NasBench201;
        let archs: Vec<Architecture> = rows.keys().map(|&i| space.at(i).unwrap()).collect();
        let columns: Vec<Vec<f64>> = (0..3).map(|c| rows.values().map(|r| r[c]).collect()).collect();
        let table = Table::new(space, archs, names.into_iter().collect(), columns).unwrap();
        let mut bytes = vec![];
        write(&table, &mut bytes).unwrap();
        let (back, report) = read(&bytes).unwrap();
        prop_assert_eq!(&back.archs, &table.archs);
        prop_assert_eq!(&back.names, &table.names);
        for (a, b) in back.columns.iter().flatten().zip(table.columns.iter().flatten()) {
            prop_assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()), "{} {}", a, b);
        }
        prop_assert!(report.skipped.is_empty());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_text_panics(text in "(ops|arch|idx|a|,|\n|\r|\"|000000|1|nan| |-){0,40}") {
        let _ = read(text.as_bytes());
    }
}
