//! A scriptable registry on a loopback port: enough of the protocol, and every way to misbehave.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// One misbehaviour; each is used up by one request whose path contains the given text.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Sends half of the body and then nothing, for this long.
    Stall(Duration),
    /// Sends the body byte by byte, with this pause after each.
    Drip(Duration),
    /// Sends so many bytes of the body and closes.
    Cut(usize),
    /// Flips the first byte of the body.
    Alter,
    /// Answers this Content-Range with status 206.
    Range(String),
    /// Ignores the Range header.
    IgnoreRange,
    /// Adds these headers to the usual answer.
    Headers(Vec<(String, String)>),
    /// Answers this status with these headers and no body.
    Status(u16, Vec<(String, String)>),
}

/// What a request is let in by.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// Anyone.
    #[default]
    None,
    /// This Authorization header; else a 401 with this WWW-Authenticate.
    Header(String, String),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: Vec<u8>,
}

#[derive(Default)]
struct State {
    documents: BTreeMap<String, (String, Vec<u8>)>,
    faults: VecDeque<(String, Fault)>,
    auth: Auth,
    seen: Vec<Seen>,
}

/// The running registry; its thread ends with the test process.
pub struct FakeRegistry {
    address: String,
    state: Arc<Mutex<State>>,
}

impl FakeRegistry {
    /// Starts on a free loopback port.
    ///
    /// # Errors
    ///
    /// When there is no port to be had.
    pub fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A client that goes away is part of the tests.
                thread::spawn(move || drop(serve(&stream, &shared)));
            }
        });
        Ok(Self { address, state })
    }

    /// Returns `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Puts a document at a path such as `/v2/a/manifests/latest`.
    pub fn put(&self, path: &str, content_type: &str, bytes: &[u8]) {
        let document = (content_type.to_owned(), bytes.to_vec());
        lock(&self.state).documents.insert(path.to_owned(), document);
    }

    /// Queues a fault for the next request whose path contains `path`.
    pub fn fault(&self, path: &str, fault: Fault) {
        lock(&self.state).faults.push_back((path.to_owned(), fault));
    }

    /// Demands authentication below `/v2/`.
    pub fn demand(&self, auth: Auth) {
        lock(&self.state).auth = auth;
    }

    /// Returns what was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.state).seen.clone()
    }

    /// Returns a document, for what was pushed.
    pub fn document(&self, path: &str) -> Option<Vec<u8>> {
        lock(&self.state).documents.get(path).map(|(_, bytes)| bytes.clone())
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let seen = Seen { method, path, headers, body };
    let reply = answer(&seen, &mut lock(state));
    write!(stream, "HTTP/1.1 {} x\r\nconnection: close\r\n", reply.status)?;
    for (name, value) in &reply.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    write!(stream, "content-length: {}\r\n\r\n", reply.body.len())?;
    if seen.method == "HEAD" {
        return Ok(());
    }
    if !reply.drip.is_zero() {
        return drip(stream, &reply);
    }
    let end = reply.cut.unwrap_or(reply.body.len()).min(reply.body.len());
    stream.write_all(reply.body.get(..end).unwrap_or_default())?;
    stream.flush()?;
    thread::sleep(reply.stall);
    Ok(())
}

fn drip(mut stream: &TcpStream, reply: &Reply) -> std::io::Result<()> {
    for byte in &reply.body {
        stream.write_all(&[*byte])?;
        thread::sleep(reply.drip);
    }
    Ok(())
}

#[derive(Default)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cut: Option<usize>,
    stall: Duration,
    drip: Duration,
}

fn answer(seen: &Seen, state: &mut State) -> Reply {
    state.seen.push(seen.clone());
    if let Auth::Header(wanted, challenge) = &state.auth
        && seen.path.starts_with("/v2/")
        && seen.headers.get("authorization") != Some(wanted)
    {
        let headers = vec![("www-authenticate".to_owned(), challenge.clone())];
        return Reply { status: 401, headers, ..Reply::default() };
    }
    let at = state.faults.iter().position(|(path, _)| seen.path.contains(path));
    let fault = at.and_then(|at| state.faults.remove(at)).map(|(_, fault)| fault);
    if let Some(Fault::Status(status, headers)) = fault {
        return Reply { status, headers, ..Reply::default() };
    }
    let mut reply = match seen.method.as_str() {
        "GET" | "HEAD" => fetch(seen, state, fault.as_ref()),
        // A token endpoint.
        "POST" if state.documents.contains_key(&seen.path) => fetch(seen, state, None),
        _ => upload(seen, state),
    };
    match fault {
        Some(Fault::Stall(time)) => {
            (reply.cut, reply.stall) = (Some(reply.body.len() / 2), time);
        }
        Some(Fault::Drip(pause)) => reply.drip = pause,
        Some(Fault::Headers(headers)) => reply.headers.extend(headers),
        Some(Fault::Cut(bytes)) => reply.cut = Some(bytes),
        Some(Fault::Alter) => {
            if let Some(byte) = reply.body.first_mut() {
                *byte ^= 1;
            }
        }
        Some(Fault::Range(range)) => {
            reply.status = 206;
            reply.headers.retain(|(name, _)| name != "content-range");
            reply.headers.push(("content-range".to_owned(), range));
        }
        _ => {}
    }
    reply
}

fn fetch(seen: &Seen, state: &State, fault: Option<&Fault>) -> Reply {
    let path = seen.path.split('?').next().unwrap_or_default();
    if path == "/v2/" {
        return Reply { status: 200, ..Reply::default() };
    }
    let Some((content_type, bytes)) = state.documents.get(path) else {
        let body = br#"{"errors":[{"code":"NOT_FOUND","message":"no such thing"}]}"#.to_vec();
        return Reply { status: 404, body, ..Reply::default() };
    };
    let headers = vec![("content-type".to_owned(), content_type.clone())];
    let range = seen.headers.get("range").filter(|_| !matches!(fault, Some(Fault::IgnoreRange)));
    let start = range.and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match start.and_then(|start: usize| Some((start, bytes.get(start..)?))) {
        Some((start, part)) => {
            let range = format!("bytes {start}-{}/{}", bytes.len().saturating_sub(1), bytes.len());
            let headers = [headers, vec![("content-range".to_owned(), range)]].concat();
            Reply { status: 206, headers, body: part.to_vec(), ..Reply::default() }
        }
        None => Reply { status: 200, headers, body: bytes.clone(), ..Reply::default() },
    }
}

/// Takes a blob from another repository, if that has it.
fn mount(path: &str, query: &str, state: &mut State) -> Option<()> {
    let value = |name: &str| {
        let value = query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))?;
        Some(value.replace("%3A", ":").replace("%2F", "/"))
    };
    let (digest, from) = (value("mount")?, value("from")?);
    let found = state.documents.get(&format!("/v2/{from}/blobs/{digest}"))?.clone();
    let (base, _) = path.split_once("/uploads/")?;
    state.documents.insert(format!("{base}/{digest}"), found);
    Some(())
}

fn upload(seen: &Seen, state: &mut State) -> Reply {
    let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
    if seen.method == "POST" && mount(path, query, state).is_some() {
        return Reply { status: 201, ..Reply::default() };
    }
    let location = match seen.method.as_str() {
        "POST" => vec![("location".to_owned(), format!("{path}session?state=1"))],
        _ => Vec::new(),
    };
    if seen.method == "PUT" {
        let digest = query.split('&').find_map(|part| part.strip_prefix("digest="));
        let target = match (path.split_once("/uploads/"), digest) {
            (Some((base, _)), Some(digest)) => format!("{base}/{}", digest.replace("%3A", ":")),
            _ => path.to_owned(),
        };
        let kind = seen.headers.get("content-type").cloned().unwrap_or_default();
        state.documents.insert(target, (kind, seen.body.clone()));
    }
    let status = if seen.method == "PUT" { 201 } else { 202 };
    Reply { status, headers: location, ..Reply::default() }
}
