//! Tests with pickles made by Python (tests/make_fixtures.py), and with hostile ones.

use proptest::prelude::*;

use super::*;
use crate::pickle::input::{Cause, Fault};

const VALUES: [&[u8]; 6] = [
    include_bytes!("../../tests/fixtures/values_0.pickle"),
    include_bytes!("../../tests/fixtures/values_1.pickle"),
    include_bytes!("../../tests/fixtures/values_2.pickle"),
    include_bytes!("../../tests/fixtures/values_3.pickle"),
    include_bytes!("../../tests/fixtures/values_4.pickle"),
    include_bytes!("../../tests/fixtures/values_5.pickle"),
];

fn parse(bytes: &[u8]) -> Result<Pickle, Fault> {
    read(&mut Input::new(bytes, Some(bytes.len() as u64)), Limits::default())
}

fn why(bytes: &[u8]) -> String {
    match parse(bytes).expect_err("should be refused").cause {
        Cause::Other(why) => why,
        other => format!("{other:?}"),
    }
}

fn ints(item: Item<'_>) -> Vec<i64> {
    item.list().unwrap().map(|i| i.int().unwrap()).collect()
}

#[test]
fn every_protocol_says_the_same() {
    for (protocol, bytes) in VALUES.iter().enumerate() {
        let pickle = parse(bytes).unwrap_or_else(|f| panic!("protocol {protocol}: {f:?}"));
        let get = |key| pickle.root().get(key).unwrap_or_else(|| panic!("{key}"));
        assert_eq!(get("none").kind(), "None");
        let bools: Vec<_> = get("bools").list().unwrap().map(|b| b.is(true)).collect();
        assert_eq!(bools, [true, false]);
        assert_eq!(ints(get("ints")), [0, 255, 256, 65536, -1, 1 << 31, -(1 << 40), i64::MAX]);
        assert!(get("big").big().is_some());
        assert_eq!(get("floats").numbers().unwrap(), [1.5, -0.25, 1e300]);
        assert_eq!(get("text").str(), Some("héllo ☃ 🦅\n\"'\\"));
        assert_eq!(get("long").str(), Some(&*"x".repeat(300)));
        for (key, bytes) in [("bytes", &b"\x00\xff'"[..]), ("empty", b""), ("bytearray", b"ab")] {
            assert_eq!(get(key).bytes(), Some(bytes), "{key} in protocol {protocol}");
        }
        let tuples: Vec<_> = get("tuples").list().unwrap().map(ints).collect();
        assert_eq!(tuples, [vec![], vec![1], vec![1, 2], vec![1, 2, 3], vec![1, 2, 3, 4]]);
        assert_eq!(ints(get("set")), [7]);
        assert_eq!(ints(get("frozen")), [8]);
        let ordered: Vec<_> =
            get("ordered").dict().unwrap().map(|(k, v)| (k.str(), v.int())).collect();
        assert_eq!(ordered, [(Some("a"), Some(1)), (Some("b"), Some(2))]);
        assert_eq!(ints(get("default").get("k").unwrap()), [1]);
        let scalars: Vec<_> = get("scalars").list().unwrap().collect();
        let numbers: Vec<_> = scalars.iter().map(|s| s.number()).collect();
        assert_eq!(numbers, [Some(1.25), Some(0.5), Some(-7.0), None, Some(200.0)]);
        assert!(scalars[3].is(true));
        assert_eq!(get("str_").str(), Some("ok"));
        assert_eq!(get("array").numbers().unwrap(), [1.0, 2.0, 3.0]);
        assert_eq!(get("small").numbers().unwrap(), [1.0, -2.0]);
        assert_eq!(get("big_endian").numbers().unwrap(), [1.5, 2.5]);
        assert_eq!(get("matrix").numbers().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        // Column-major order is refused rather than read in the wrong order.
        assert_eq!(get("column_major").numbers(), None);
        assert_eq!(get("objects").numbers().unwrap(), [1.0, 2.5]);
        let shared: Vec<_> = get("shared").list().unwrap().map(ints).collect();
        assert_eq!(shared, [[1, 2], [1, 2]]);
    }
}

#[test]
fn numpy_1_names_its_globals_otherwise() {
    // Up to protocol 3, names are lines: this is the pickle as numpy 1 would have written it.
    let (old, new) = (&b"cnumpy.core."[..], &b"cnumpy._core."[..]);
    let mut bytes = VALUES[2].to_vec();
    while let Some(at) = bytes.windows(new.len()).position(|w| w == new) {
        bytes.splice(at..at + new.len(), old.iter().copied());
    }
    let pickle = parse(&bytes).unwrap();
    assert_eq!(pickle.root().get("array").unwrap().numbers().unwrap(), [1.0, 2.0, 3.0]);
}

#[test]
fn other_globals_are_refused_by_name() {
    for (bytes, offset, name) in [
        (&b"cos\nsystem\n(S'echo'\ntR."[..], 0, "os.system"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", 17, "posix.system"),
        (b"N0(S'1+1'\nibuiltins\neval\n.", 10, "builtins.eval"),
        (b"c__builtin__\nexec\n.", 0, "__builtin__.exec"),
        (b"cnumpy.core.multiarray\nscalar.x\n.", 0, "numpy.core.multiarray.scalar.x"),
        (b"ctorch.storage\n_load_from_bytes\n.", 0, "torch.storage._load_from_bytes"),
        (b"ca\x1b[31mb\nc\n.", 0, "a\\u{1b}[31mb.c"),
    ] {
        match parse(bytes) {
            Err(Fault { offset: at, cause: Cause::Global(n) }) => {
                assert_eq!((at, n.as_str()), (offset, name))
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    let error = parse(b"cos\nsystem\n.").unwrap_err().into_error(std::path::Path::new("x.pt"));
    assert_eq!(
        error.to_string(),
        "x.pt, byte 0: refused, because the pickle wants the Python global 'os.system', which is not on the list of harmless ones"
    );
}

#[test]
fn broken_pickles_are_told() {
    for (bytes, says) in [
        (&b""[..], "the data ends here, expected 1 more bytes"),
        (b"<!DOCTYPE html>", "byte 0x3c is not an opcode; is this a pickle?"),
        (b"\x80\x06.", "pickle protocol 6, expected 0 to 5"),
        (b".", "the stack is empty"),
        (b"(.", "the stack is empty"),
        (b"N(00.", "the stack is empty"),
        (b"N(t1.", "no mark"),
        (b"N(\x86.", "the stack has 0 values, expected 2"),
        (b"](e}(Nu.", "a key without a value"),
        (b"K\x01Na.", "cannot append to an integer"),
        (b"NNR.", "arguments must be a tuple, not None"),
        (b"N)R.", "None cannot be called"),
        (b"h\x00.", "memo number 0 was never set"),
        (b"]r\xff\xff\xff\xff.", "memo number 4294967295 after only 6 bytes"),
        (b"]p99999999999999999999\n.", "the number of a memo is not a number"),
        (b"I12x\n.", "'12x' is not a number"),
        (b"X\x02\x00\x00\x00\xff\xff.", "not UTF-8"),
        (b"V\\ud800\n.", "not a character"),
        (b"S'\\q'\n.", "unknown escape"),
        (b"Nb.", "the stack is empty"),
        (b"]Nb.", "a list cannot be given None as its state"),
        (b"NQ.", "None is not the persistent id"),
        (b"cnumpy\ndtype\n(X\x02\x00\x00\x00V8tR.", "the code of a plain numpy dtype"),
        (
            b"ccollections\nOrderedDict\n(NNNtR.",
            "other arguments to OrderedDict expected, got (None, None, None)",
        ),
        (b"\x82\x01.", "extension code"),
        (b"\x97.", "buffer outside"),
    ] {
        let why = why(bytes);
        assert!(why.contains(says), "{why}\n  lacks {says}");
    }
}

#[test]
fn a_length_beyond_the_file_is_told_before_it_costs() {
    for bytes in [
        &b"X\xff\xff\xff\xffabc"[..],
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc",
        b"B\xff\xff\xff\xff",
        b"\x8e\x00\x00\x00\x00\x00\x01\x00\x00",
        b"\x96\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x8b\xff\xff\xff\x7f\x01",
        b"T\xff\xff\xff\xff",
        b"\x95\xff\xff\xff\xff\xff\xff\xff\xff.",
    ] {
        let why = why(bytes);
        assert!(why.contains("is announced, but"), "{why}");
        // A decompressor does not know the end: memory grows with the bytes that come.
        assert!(read(&mut Input::new(bytes, None), Limits::default()).is_err());
    }
}

#[test]
fn nesting_and_sharing_cost_nothing() {
    // A million nested lists: neither reading nor dropping recurses.
    let mut deep = vec![b']'; 1_000_000];
    deep.extend(vec![b'a'; 999_999]);
    deep.push(b'.');
    let pickle = parse(&deep).unwrap();
    assert_eq!(pickle.root().list().unwrap().len(), 1);
    assert_eq!(pickle.root().numbers(), None);
    drop(pickle);
    let mut marks = vec![b'('; 1_000_000];
    marks.extend(vec![b't'; 1_000_000]);
    marks.push(b'.');
    assert_eq!(parse(&marks).unwrap().root().list().unwrap().len(), 1);

    // Billion laughs: 250 levels of ten times the level below.
    let mut laughs = b"]q\x00".to_vec();
    for level in 1..=250u8 {
        laughs.extend(b"](");
        laughs.extend([b'h', level - 1].repeat(10));
        laughs.extend([b'e', b'q', level]);
    }
    laughs.push(b'.');
    let pickle = parse(&laughs).unwrap();
    assert_eq!(pickle.root().list().unwrap().len(), 10);
    assert_eq!(pickle.root().numbers(), None);

    // A list in itself.
    let pickle = parse(b"]q\x00h\x00a.").unwrap();
    assert_eq!(pickle.root().list().unwrap().next().unwrap().kind(), "a list");
}

#[test]
fn copies_of_what_is_shared_run_into_the_limit() {
    // A megabyte of text, encoded again and again: each copy costs 6 bytes of pickle.
    let mut bomb = b"c_codecs\nencode\nq\x01X\x00\x00\x10\x00".to_vec();
    bomb.extend(vec![b'a'; 1 << 20]);
    bomb.extend(b"\x85q\x02");
    bomb.extend(b"h\x01h\x02R0".repeat(100_000));
    assert!(why(&bomb).contains("of memory, the most that"), "{}", why(&bomb));

    // The same with a set of a long list.
    let mut bomb = b"c__builtin__\nset\nq\x01](".to_vec();
    bomb.extend(vec![b'N'; 100_000]);
    bomb.extend(b"e\x85q\x02");
    bomb.extend(b"h\x01h\x02R0".repeat(100_000));
    assert!(why(&bomb).contains("of memory, the most that"));

    let limits = Limits { memory: 1000, ..Limits::default() };
    let text = [b"X\xd0\x07\x00\x00".as_slice(), &[b'a'; 2000], b"."].concat();
    let fault = read(&mut Input::new(&text[..], None), limits).unwrap_err();
    assert!(format!("{fault:?}").contains("more than the 1000 bytes of memory left"));
}

#[test]
fn numbers_out_of_little_data_stay_few() {
    // 2^40 elements announced for 8 bytes.
    let array = b"cnumpy.core.multiarray\n_reconstruct\n(NNNtR(K\x01\x8a\x06\x00\x00\x00\x00\x00\x01\x85cnumpy\ndtype\n(X\x02\x00\x00\x00f8K\x00K\x01tRNC\x0812345678tb.";
    assert_eq!(parse(array).unwrap().root().numbers(), None);
    let zero = b"cnumpy.core.multiarray\n_reconstruct\n(NNNtR(K\x01\x8a\x06\x00\x00\x00\x00\x00\x01\x85cnumpy\ndtype\n(X\x02\x00\x00\x00S0K\x00K\x01tRNC\x00tb.";
    assert_eq!(parse(zero).unwrap().root().numbers(), None);
}

#[test]
fn unwanted_values_are_let_go() {
    let limits = Limits { skip: &["floats", "ordered"], ..Limits::default() };
    for bytes in VALUES {
        let pickle = read(&mut Input::new(bytes, None), limits).unwrap();
        let kind = |key| pickle.root().get(key).unwrap().kind();
        assert_eq!(kind("floats"), "a value that was passed over");
        assert_eq!(kind("ordered"), "a value that was passed over");
        assert_eq!(kind("array"), "a numpy array");
    }
}

#[test]
fn every_truncation_is_an_error() {
    for bytes in VALUES {
        for end in 0..bytes.len() {
            assert!(parse(&bytes[..end]).is_err(), "{end}");
            assert!(read(&mut Input::new(&bytes[..end], None), Limits::default()).is_err());
        }
    }
}

/// Calls all methods of every value.
fn visit(pickle: &Pickle) {
    let mut todo = vec![pickle.root()];
    let mut visits = 0;
    while let Some(item) = todo.pop() {
        visits += 1;
        if visits > 1000 {
            return;
        }
        let _ = (item.kind(), item.str(), item.int(), item.big(), item.bytes());
        let _ = (item.number(), item.numbers(), item.get("a"));
        todo.extend(item.list().into_iter().flatten().take(100));
        for (key, value) in item.dict().into_iter().flatten().take(100) {
            todo.extend([key, value]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn flipped_bytes_do_no_harm(
        protocol in 0..6usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = VALUES[protocol].to_vec();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(pickle) = parse(&bytes) {
            visit(&pickle);
        }
    }

    #[test]
    fn random_programs_do_no_harm(ops in prop::collection::vec(op(), 0..60)) {
        let mut bytes = ops.concat();
        bytes.push(b'.');
        if let Ok(pickle) = parse(&bytes) {
            visit(&pickle);
        }
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(pickle) = parse(&bytes) {
            visit(&pickle);
        }
    }
}

/// An opcode with sensible arguments, so that random programs reach deeper states.
fn op() -> impl Strategy<Value = Vec<u8>> {
    let fixed: &[&[u8]] = &[
        b"(",
        b"0",
        b"1",
        b"2",
        b"N",
        b"\x88",
        b"]",
        b")",
        b"}",
        b"\x8f",
        b"l",
        b"t",
        b"d",
        b"a",
        b"e",
        b"s",
        b"u",
        b"\x85",
        b"\x86",
        b"\x87",
        b"R",
        b"\x81",
        b"b",
        b"Q",
        b"o",
        b"\x90",
        b"\x91",
        b"\x93",
        b"\x94",
        b"q\x00",
        b"q\x01",
        b"h\x00",
        b"h\x01",
        b"h\x02",
        b"K\x00",
        b"K\x02",
        b"K\x03",
        b"G?\xf0\x00\x00\x00\x00\x00\x00",
        b"J\xff\xff\xff\xff",
        b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x8a\x01\x80",
        b"\x8a\x00",
        b"X\x02\x00\x00\x00f8",
        b"X\x01\x00\x00\x00<",
        b"X\x01\x00\x00\x00a",
        b"X\x07\x00\x00\x00storage",
        b"C\x00",
        b"C\x08abcdefgh",
        b"U\x08abcdefgh",
        b"ccollections\nOrderedDict\n",
        b"cbuiltins\nset\n",
        b"c_codecs\nencode\n",
        b"cnumpy\ndtype\n",
        b"cnumpy\ndtype\n(X\x02\x00\x00\x00f8K\x00K\x01tR",
        b"cnumpy.core.multiarray\nscalar\n",
        b"cnumpy.core.multiarray\n_reconstruct\n(NNNtR",
        b"cnumpy.core.numeric\n_frombuffer\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch\nFloatStorage\n",
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x00aNK\x03tQ",
    ];
    prop::sample::select(fixed).prop_map(<[u8]>::to_vec)
}
