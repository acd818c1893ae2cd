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
    assert!(matches!(serve(&path, 0, |_| {}), Err(ReportError::Study(_))));
    let mut study = Study::create(&path, &settings).unwrap();
    let server = serve(&path, 0, |report| report.command = Some("as before".into())).unwrap();
    let address = server.address();
    assert!(address.ip().is_loopback());
    std::thread::spawn(move || server.run());
    let at = |path: &str| get(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"));

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
