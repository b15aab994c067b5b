//! Servers of objects on loopback, and a proxy before them that fails on purpose. `scripts/servers` starts the servers.
//!
//! Credentials and endpoints come from the environment, as in a run; a test sets it for a process of its own: itself,
//! started again by [`again`].

use std::{
    env,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

const CHILD: &str = "NIGHTCALL_TEST_CHILD";
/// The key that every emulator of Azure's storage knows.
const AZURE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A signature that a test server takes as any other.
const UNCHECKED: &str = "Authorization: AWS4-HMAC-SHA256 Credential=nightcall/20260101/eu-central-1/s3/aws4_request, \
                         SignedHeaders=host, Signature=0";

/// Address of a server, or none with word of it.
pub fn server(variable: &str) -> Option<String> {
    let url = env::var(variable).ok();
    if url.is_none() {
        println!("skipped: needs a server at {variable}; scripts/servers COMMAND starts one");
    }
    Some(url?.trim_start_matches("http://").to_owned())
}

/// What the clouds' clients read from the environment, for servers at this address.
pub fn environment(scheme: &str, address: &str) -> Vec<(&'static str, String)> {
    let url = format!("http://{address}");
    match scheme {
        "s3" => vec![
            ("AWS_ACCESS_KEY_ID", "nightcall".into()),
            ("AWS_SECRET_ACCESS_KEY", "nightcall".into()),
            ("AWS_REGION", "eu-central-1".into()),
            ("AWS_ENDPOINT_URL", url),
            ("AWS_TIMEOUT", "2s".into()),
        ],
        "az" => vec![
            ("AZURE_STORAGE_ACCOUNT_NAME", "devstoreaccount1".into()),
            ("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY.into()),
            ("AZURE_STORAGE_ENDPOINT", format!("{url}/devstoreaccount1")),
            ("AZURE_TIMEOUT", "2s".into()),
        ],
        _ => {
            let key = r#""client_email": "", "private_key": "", "private_key_id": "", "disable_oauth": true"#;
            vec![("GOOGLE_SERVICE_ACCOUNT_KEY", format!(r#"{{"gcs_base_url": "{url}", {key}}}"#))]
        }
    }
}

/// Whether this process is the one that [`again`] started.
pub fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

/// Runs a test of this binary in a process of its own with this environment, which must end well.
pub fn again(test: &str, environment: &[(&str, String)]) {
    let output = Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    assert!(output.status.success() && text.contains("1 passed"), "{test} failed in its own process");
}

/// What is done to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 500, and the server never hears of it.
    ServerError,
    /// Half the body, and the connection is closed.
    Cut,
    /// Half the body, and nothing more for longer than the client waits.
    Stall,
    /// The connection is closed without an answer; the server has done what was asked.
    Dropped,
    /// Half the body, and a header that says that this is all. Of ranges alone: only there can a client know better.
    Short,
}

/// The faults that are met in turn.
pub const FAULTS: [Fault; 5] = [Fault::ServerError, Fault::Cut, Fault::Stall, Fault::Dropped, Fault::Short];

/// Method and path of each request, and the fault it met.
pub type Log = Vec<(String, Option<Fault>)>;

/// A proxy before a server: of every `every` requests it fails the last, in turn by each of [`FAULTS`].
pub struct Proxy {
    pub address: String,
    pub log: Arc<Mutex<Log>>,
}

impl Proxy {
    pub fn start(server: String, every: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let log: Arc<Mutex<Log>> = Arc::default();
        let (kept, count) = (log.clone(), Arc::new(AtomicUsize::new(0)));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, log, count) = (server.clone(), log.clone(), count.clone());
                thread::spawn(move || {
                    // A client that went away needs no answer.
                    let _ = serve(client, &server, &log, &count, every);
                });
            }
        });
        Self { address, log: kept }
    }

    pub fn faults(&self) -> usize {
        self.log.lock().unwrap().iter().filter(|(_, fault)| fault.is_some()).count()
    }

    pub fn requests(&self) -> usize {
        self.log.lock().unwrap().len()
    }
}

fn serve(
    mut client: TcpStream,
    server: &str,
    log: &Mutex<Log>,
    count: &AtomicUsize,
    every: usize,
) -> std::io::Result<()> {
    let Some((head, body)) = read_request(&mut client)? else { return Ok(()) };
    let number = count.fetch_add(1, Ordering::SeqCst) + 1;
    let ranged = head.to_lowercase().contains("\r\nrange:");
    let fault = number.is_multiple_of(every).then(|| match FAULTS[(number / every) % FAULTS.len()] {
        Fault::Short if !ranged => Fault::Cut,
        fault => fault,
    });
    let line = head.lines().next().unwrap_or_default().to_owned();
    log.lock().unwrap().push((line.trim_end_matches(" HTTP/1.1").to_owned(), fault));
    if fault == Some(Fault::ServerError) {
        return client
            .write_all(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let answer = forward(server, &head, &body)?;
    let start = answer.windows(4).position(|w| w == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let half = start + (answer.len() - start) / 2;
    match fault {
        None => client.write_all(&answer),
        // What has no body is cut within its head.
        Some(Fault::Cut) => client.write_all(&answer[..if half > start { half } else { start / 2 }]),
        Some(Fault::Stall) => {
            client.write_all(&answer[..if half > start { half } else { start / 2 }])?;
            thread::sleep(Duration::from_secs(4));
            Ok(())
        }
        Some(Fault::Short) => {
            let head = String::from_utf8_lossy(&answer[..start]).into_owned();
            let length = format!("\r\nContent-Length: {}", half - start);
            let lines = head.trim_end().split("\r\n").filter(|l| !l.to_lowercase().starts_with("content-length:"));
            let head = lines.collect::<Vec<_>>().join("\r\n") + &length + "\r\n\r\n";
            client.write_all(head.as_bytes())?;
            client.write_all(&answer[start..half])
        }
        Some(_) => client.shutdown(Shutdown::Both),
    }
}

fn read_request(client: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    let start = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        let read = client.read(&mut buffer)?;
        if read == 0 {
            return Ok(None);
        }
        bytes.extend(&buffer[..read]);
    };
    let head = String::from_utf8_lossy(&bytes[..start]).into_owned();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = bytes.split_off(start);
    while body.len() < length.unwrap_or(0) {
        let read = client.read(&mut buffer)?;
        if read == 0 {
            return Ok(None);
        }
        body.extend(&buffer[..read]);
    }
    Ok(Some((head, body)))
}

/// One request on a connection of its own, to the end of its answer.
fn forward(server: &str, head: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut upstream = TcpStream::connect(server)?;
    // The S3 server that stands in for Google's cannot read Google's tokens.
    let dropped = ["connection:", "authorization: bearer"];
    let kept = |line: &&str| !dropped.iter().any(|dropped| line.to_lowercase().starts_with(dropped));
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").filter(kept).collect();
    if !lines.iter().any(|line| line.to_lowercase().starts_with("authorization:")) {
        lines.push(UNCHECKED);
    }
    let head = lines.join("\r\n") + "\r\nConnection: close\r\n\r\n";
    upstream.write_all(head.as_bytes())?;
    upstream.write_all(body)?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// Puts an object into an S3 server past every proxy.
pub fn put_s3(server: &str, key: &str, body: &[u8]) {
    let length = body.len();
    let head = format!("PUT /nightcall/{key} HTTP/1.1\r\nHost: {server}\r\nContent-Length: {length}\r\n\r\n");
    let answer = forward(server, &head, body).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}
