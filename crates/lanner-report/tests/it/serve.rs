//! The live report over a socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use lanner_report::{ReportError, serve};
use lanner_search::StrategyName;
use lanner_search::study::{Outcome, Study};

fn get(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn serves_this_machine_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study");
    let mut settings = crate::common::settings(&[("accuracy", true)], None, 4);
    settings.strategy = StrategyName::Random;
    let other = folder.path().join("other.db");
    std::fs::write(&other, "no database").unwrap();
    assert!(matches!(serve(&other, 0, |_| {}), Err(ReportError::Study(_))));
    let server = serve(&path, 0, |report| report.command = Some("as before".into())).unwrap();
    let address = server.address();
    assert!(address.ip().is_loopback());
    std::thread::spawn(move || server.run());
    let at = |path: &str| get(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"));

    let waiting = at("/");
    assert!(waiting.starts_with("HTTP/1.1 200 OK") && waiting.contains("Waiting for a study"));
    let absent = at("/version");
    let mut study = Study::create(&path, &settings).unwrap();
    assert_ne!(at("/version"), absent);
    let empty = at("/");
    assert!(empty.starts_with("HTTP/1.1 200 OK\r\n"), "{empty}");
    assert!(empty.contains("data-live") && empty.contains("as before"));
    assert!(empty.contains("Nothing is evaluated yet."));
    let before = at("/version");

    study.ask(4).unwrap();
    let trial = study.claim().unwrap().unwrap();
    study.tell(trial.id, Outcome::Done { metrics: [("accuracy".into(), 91.25)].into() }).unwrap();
    assert_ne!(at("/version"), before);
    assert!(at("/").contains("91.25"));

    for path in ["/report.html", "/../../etc/passwd", "//", "/?a", "*", ""] {
        assert!(at(path).starts_with("HTTP/1.1 404 "), "{path}");
    }
    let port = address.port();
    for host in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1", "127.0.0.1:1", ""] {
        let answer = get(address, &format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 403 "), "{host}");
        assert!(!answer.contains("nasbench201"));
    }
    let two = format!("GET / HTTP/1.1\r\nHost: {address}\r\nHost: evil.example\r\n\r\n");
    assert!(get(address, &two).starts_with("HTTP/1.1 403 "));
    assert!(get(address, "GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 403 "));
    let local = get(address, &format!("GET / HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n"));
    assert!(local.starts_with("HTTP/1.1 200 "));
    let post = format!("POST / HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n");
    assert!(get(address, &post).starts_with("HTTP/1.1 405 "));
    let head = get(address, &format!("HEAD / HTTP/1.1\r\nHost: {address}\r\n\r\n"));
    assert!(head.ends_with("\r\n\r\n") && head.contains("Content-Length: "));
}

/// Sixteen connections that send a byte now and then keep nobody out for longer than one head may take.
#[test]
fn slow_connections_are_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study");
    drop(Study::create(&path, &crate::common::settings(&[("accuracy", true)], None, 4)).unwrap());
    let server = serve(&path, 0, |_| {}).unwrap();
    let address = server.address();
    std::thread::spawn(move || server.run());
    let mut slow: Vec<TcpStream> = (0..16).map(|_| TcpStream::connect(address).unwrap()).collect();
    let start = std::time::Instant::now();
    let request = format!("GET /version HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let answered = || {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    };
    while answered().is_none() {
        assert!(start.elapsed().as_secs() < 30, "still kept out");
        // An ended connection takes no more bytes.
        slow.iter_mut().for_each(|stream| drop(stream.write_all(b"a")));
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}
