//! For tests: a server that gives prepared answers, one connection each, and keeps the requests.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// An answer: status and body.
pub(crate) type Answer = (u16, String);

/// Answers each request by a function of its line (`GET /path?query`) and body.
pub(crate) struct Fake {
    /// Its URL.
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Serves until the test's process ends.
    pub(crate) fn serve(answer: impl Fn(&str, &str) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let kept = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client may go in the middle; the next one is served.
                let _ = exchange(stream, &answer, &kept);
            }
        });
        Self { url, requests }
    }

    /// Head and body of each request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn exchange(
    mut stream: TcpStream,
    answer: &impl Fn(&str, &str) -> Answer,
    kept: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).unwrap();
    kept.lock().unwrap().push(format!("{head}\n{body}"));
    let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1");
    let (status, text) = answer(line, &body);
    let length = text.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    )
}
