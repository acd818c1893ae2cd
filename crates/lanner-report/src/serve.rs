//! Serves a live report of a study that is being written to, on this machine only.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lanner_search::SearchError;
use lanner_search::study::{Counts, Study};

use crate::{Report, ReportError};

/// Largest number of bytes of a request, which is a head only, and longest wait for it.
const MOST: usize = 16 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest number of connections at a time; more are closed at once.
const CONNECTIONS: usize = 16;
/// A page that took longer to make than `QUICK` is kept for `RATIO` times the excess, even if the
/// study changes.
const QUICK: Duration = Duration::from_millis(500);
const RATIO: u32 = 10;

/// A live report that listens for browsers.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    page: Arc<Page>,
}

struct Page {
    study: PathBuf,
    finish: Box<dyn Fn(&mut Report) + Send + Sync>,
    last: Mutex<Option<Last>>,
}

/// The page that was made last.
struct Last {
    /// Version of the study that it shows.
    version: String,
    html: Arc<String>,
    made: Instant,
    took: Duration,
}

impl Last {
    /// Tells whether the page is kept. For a study of a million trials it takes seconds to make, and
    /// most of the time should be left to the search.
    fn is_fresh(&self) -> bool {
        self.made.elapsed() < RATIO * self.took.saturating_sub(QUICK)
    }
}

/// Listens on 127.0.0.1, on a free port if `port` is 0. The study is only read, and read again when it
/// has changed; until there is one, the page waits for it. `finish` can add to each report what the study does not have.
pub fn serve(
    study: impl AsRef<Path>,
    port: u16,
    finish: impl Fn(&mut Report) + Send + Sync + 'static,
) -> Result<Server, ReportError> {
    // Reports a file that is no study here, not to the browser.
    match Study::open_read_only(&study) {
        Err(SearchError::Missing { .. }) => {}
        other => drop(other?),
    }
    let listen = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    let (listener, address) = listen().map_err(|cause| ReportError::Listen { port, cause })?;
    let page =
        Page { study: study.as_ref().into(), finish: Box::new(finish), last: Mutex::new(None) };
    Ok(Server { listener, address, page: Arc::new(page) })
}

impl Server {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until the process ends.
    pub fn run(self) {
        // Each connection holds a clone; the count of clones tells the number of connections.
        let open = Arc::new(());
        for stream in self.listener.incoming().flatten() {
            if Arc::strong_count(&open) > CONNECTIONS {
                continue;
            }
            let (page, one, port) = (self.page.clone(), open.clone(), self.address.port());
            std::thread::spawn(move || {
                // A browser may go away at any time.
                let _ = answer(&stream, &page, port);
                drop(one);
            });
        }
    }
}

/// Response to a request.
struct Answer {
    status: &'static str,
    kind: &'static str,
    body: Arc<String>,
}

impl Answer {
    fn text(status: &'static str, body: impl Into<String>) -> Answer {
        Answer { status, kind: "text/plain; charset=utf-8", body: Arc::new(body.into()) }
    }
}

fn answer(stream: &TcpStream, page: &Page, port: u16) -> std::io::Result<()> {
    let head = read_head(stream)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = String::from_utf8_lossy(&head);
    let answer = respond(&head, page, port);
    let mut out = stream;
    write!(
        out,
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.kind,
        answer.body.len()
    )?;
    if !head.starts_with("HEAD ") {
        out.write_all(answer.body.as_bytes())?;
    }
    out.flush()
}

/// Reads a request's head, within [`PATIENCE`] for all of it.
fn read_head(mut stream: &TcpStream) -> std::io::Result<Vec<u8>> {
    let start = Instant::now();
    let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
    let is_whole = |head: &[u8]| {
        head.windows(2).any(|w| w == b"\n\n") || head.windows(4).any(|w| w == b"\r\n\r\n")
    };
    while head.len() < MOST && !is_whole(&head) {
        let left = PATIENCE.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer)? {
            0 => break,
            n => head.extend_from_slice(&buffer[..n]),
        }
    }
    Ok(head)
}

fn respond(head: &str, page: &Page, port: u16) -> Answer {
    let mut lines = head.lines();
    let mut request = lines.next().unwrap_or("").split(' ');
    let (method, path) = (request.next().unwrap_or(""), request.next().unwrap_or(""));
    let hosts: Vec<&str> = lines
        .filter_map(|l| l.split_once(':'))
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, value)| value.trim())
        .collect();
    // A page of another site whose name was made to point here (DNS rebinding) sends another host.
    let ours = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    match hosts[..] {
        [host] if ours.iter().any(|o| o.eq_ignore_ascii_case(host)) => {}
        _ => return Answer::text("403 Forbidden", "This address serves 127.0.0.1 only.\n"),
    }
    if !matches!(method, "GET" | "HEAD") {
        return Answer::text("405 Method Not Allowed", "Only GET.\n");
    }
    let fails = |e: ReportError| Answer::text("500 Internal Server Error", format!("{e}\n"));
    match path {
        "/" => page.html().map_or_else(fails, |body| Answer {
            status: "200 OK",
            kind: "text/html; charset=utf-8",
            body,
        }),
        "/version" => page.version().map_or_else(fails, |v| Answer::text("200 OK", v)),
        _ => Answer::text("404 Not Found", "There is only / here.\n"),
    }
}

impl Page {
    /// Returns a text that changes whenever a trial changes: it counts trials by state.
    fn version(&self) -> Result<String, ReportError> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.as_ref().filter(|l| l.is_fresh()) {
            return Ok(last.version.clone());
        }
        drop(last);
        match Study::open_to_count(&self.study) {
            Err(SearchError::Missing { .. }) => Ok("no study".into()),
            study => version(&study?),
        }
    }

    fn html(&self) -> Result<Arc<String>, ReportError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.as_ref().filter(|l| l.is_fresh()) {
            return Ok(last.html.clone());
        }
        let start = Instant::now();
        let study = match Study::open_read_only(&self.study) {
            // It may be about to be made.
            Err(why) if last.is_none() => return Ok(Arc::new(waiting(&why.to_string()))),
            study => study?,
        };
        // The version is read first: a change between the two makes the page newer than its version
        // says, never older.
        let version = version(&study)?;
        if let Some(last) = last.as_ref().filter(|l| l.version == version) {
            return Ok(last.html.clone());
        }
        let mut report = Report::of(&study)?;
        (self.finish)(&mut report);
        report.live = true;
        let html = Arc::new(report.html());
        let (made, took) = (Instant::now(), start.elapsed());
        *last = Some(Last { version, html: html.clone(), made, took });
        Ok(html)
    }
}

/// Page that looks again every two seconds whether there is a study.
fn waiting(why: &str) -> String {
    format!(
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=2>\
         <title>Waiting for a study</title><p>Waiting for a study: {}",
        crate::text::escape(why)
    )
}

fn version(study: &Study) -> Result<String, ReportError> {
    let Counts { asked, running, done, failed, infeasible, imported } = study.counts()?;
    let budget = study.job().budget;
    Ok(format!("{asked} {running} {done} {failed} {infeasible} {imported} {budget}"))
}
