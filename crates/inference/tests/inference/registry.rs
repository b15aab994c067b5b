//! Bringing models from a folder, from a hub of our own on the loopback, and from a Python package of our own.

use inference::{PullProgress, Registry, RegistryError, Status};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

/// Files of a model, in two versions: what the hub has, and what the package has.
const HUB: [(&str, &[u8]); 2] = [("config.json", b"{\"from\":\"hub\"}"), ("model.safetensors", &[7; 300_000])];
const PACKAGE: [(&str, &[u8]); 2] = [("config.json", b"{\"from\":\"package\"}"), ("model.safetensors", &[8; 200_000])];

/// As many bytes as the package's and the hub's weights, but others.
const FLIPPED: &[u8] = &[9; 200_000];
const WRONG: &[u8] = &[6; 300_000];

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A cache and a folder with the manifest of the model `small`.
struct House {
    root: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let house = Self { root: tempfile::tempdir().unwrap() };
        let files = |files: &[(&str, &[u8])], path: &str| -> String {
            let line = |(name, bytes): &(&str, &[u8])| {
                let (size, sha256) = (bytes.len(), sha256(bytes));
                format!("{{ name = \"{name}\", path = \"{path}{name}\", size = {size}, sha256 = \"{sha256}\" }},")
            };
            files.iter().map(line).collect()
        };
        let text = format!(
            "name = \"small\"\nabout = \"For tests.\"\ntask = \"embedding\"\narchitecture = \"bert\"\n\
             licence = \"MIT\"\nlanguages = [\"en\"]\n\
             [[sources]]\nkind = \"hub\"\nrepository = \"someone/small\"\nrevision = \"{REVISION}\"\nfiles = [{}]\n\
             [[sources]]\nkind = \"package\"\npackage = \"nightcall-small-model\"\nversion = \"1.2\"\nfiles = [{}]\n",
            files(&HUB, "weights/"),
            files(&PACKAGE, "nightcall_small_model/"),
        );
        std::fs::create_dir(house.path("manifests")).unwrap();
        std::fs::write(house.path("manifests/small.toml"), text).unwrap();
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A registry without any network: no hub, no package index, but this folder of wheels.
    fn registry(&self) -> Registry {
        let wheels = self.path("wheels").display().to_string();
        std::fs::create_dir_all(&wheels).unwrap();
        Registry::new(self.path("cache"))
            .with_manifests(&self.path("manifests"))
            .unwrap()
            .with_hub_endpoint("http://127.0.0.1:9")
            .with_pip_arguments(["--no-index".to_owned(), format!("--find-links={wheels}")])
    }

    fn status(&self) -> (Status, Option<String>) {
        let state = self.registry().list().into_iter().find(|state| state.name == "small").unwrap();
        (state.status, state.detail)
    }

    fn write(&self, folder: &str, files: &[(&str, &[u8])]) {
        std::fs::create_dir_all(self.path(folder)).unwrap();
        for (name, bytes) in files {
            std::fs::write(self.path(folder).join(name), bytes).unwrap();
        }
    }

    /// The names in the model's folder.
    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("cache/small")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

const WHOLE: [&str; 4] = [".lock", "config.json", "installed.toml", "model.safetensors"];

/// What a pull said.
#[derive(Default)]
struct Heard {
    steps: Mutex<Vec<String>>,
    bytes: Mutex<BTreeMap<String, (u64, u64)>>,
}

impl PullProgress for Heard {
    fn step(&self, model: &str, what: &str) {
        self.steps.lock().unwrap().push(format!("{model}: {what}"));
    }

    fn bytes(&self, _model: &str, file: &str, done: u64, total: u64) {
        self.bytes.lock().unwrap().insert(file.to_owned(), (done, total));
    }
}

#[test]
fn the_build_knows_its_models() {
    let registry = Registry::new("/nowhere");
    let names: Vec<_> = registry.list().into_iter().map(|state| (state.name, state.status)).collect();
    assert!(names.contains(&("moonshine-tiny-en".into(), Status::Missing)), "{names:?}");
    assert!(names.contains(&("all-minilm-l6-v2".into(), Status::Missing)));

    let error = registry.find("moonshine-tiny-en").unwrap_err();
    assert!(matches!(error, RegistryError::Missing { .. }));
    assert!(error.to_string().contains("nightcall models pull moonshine-tiny-en"), "{error}");
    let error = registry.find("moonshine").unwrap_err().to_string();
    assert!(error.contains("`moonshine`") && error.contains("moonshine-tiny-en"), "{error}");
    assert!(registry.manifest("whisper-tiny").unwrap().speaks("de-AT"));
    assert!(!registry.manifest("whisper-tiny-en").unwrap().speaks("de"));
}

#[test]
fn a_folder_is_copied_and_verified() {
    let house = House::new();
    house.write("usb/small", &PACKAGE);
    let heard = Heard::default();
    let from = format!("file://{}", house.path("usb").display());
    let installed = house.registry().pull("small", Some(&from), &heard).unwrap();
    assert_eq!(installed.source, "Python package nightcall-small-model==1.2");
    assert_eq!(installed.weights(), house.path("cache/small/model.safetensors"));
    assert_eq!(heard.bytes.lock().unwrap()["model.safetensors"], (200_000, 200_000));
    assert_eq!(house.left(), WHOLE);
    assert_eq!(house.status(), (Status::Installed, Some(installed.source.clone())));
    assert_eq!(house.registry().verify("small").unwrap(), installed);
    // Nothing to do: the folder is not even looked at.
    std::fs::remove_dir_all(house.path("usb")).unwrap();
    assert_eq!(house.registry().pull("small", Some(&from), &()).unwrap(), installed);

    // The other source's bytes have another identity.
    let other = House::new();
    other.write("usb/small", &HUB);
    let other = other.registry().pull("small", Some(&other.path("usb").display().to_string()), &()).unwrap();
    assert_ne!(other.sha256, installed.sha256);
}

#[test]
fn a_folder_that_holds_something_else_is_refused() {
    let house = House::new();
    let (mut damaged, from) = (PACKAGE, house.path("usb").display().to_string());
    damaged[1].1 = FLIPPED;
    house.write("usb/small", &damaged);
    let error = house.registry().pull("small", Some(&from), &()).unwrap_err();
    let RegistryError::NoSource { attempts, .. } = &error else { panic!("{error}") };
    assert_eq!(attempts.len(), 2);
    assert!(matches!(*attempts[1].error, RegistryError::WrongFile { .. }));
    let message = error.to_string();
    assert!(message.contains(&sha256(damaged[1].1)) && message.contains(&sha256(PACKAGE[1].1)), "{message}");
    assert!(message.contains("config.json has 18 bytes, not 14"), "{message}");
    assert!(!house.left().contains(&"model.safetensors".to_owned()));
    assert!(matches!(house.registry().find("small"), Err(RegistryError::Damaged { .. })));

    for (from, says) in [("s3://bucket/models", "s3:// is not understood"), ("/nowhere", "config.json is missing")] {
        let message = house.registry().pull("small", Some(from), &()).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn damage_is_seen_and_mended() {
    let house = House::new();
    house.write("usb/small", &PACKAGE);
    let from = house.path("usb").display().to_string();
    let installed = house.registry().pull("small", Some(&from), &()).unwrap();
    let weights = installed.weights();

    // A bit flips: sizes agree, hashes do not.
    std::fs::write(&weights, [&[9u8][..], &PACKAGE[1].1[1..]].concat()).unwrap();
    assert!(house.registry().find("small").is_ok());
    let message = house.registry().verify("small").unwrap_err().to_string();
    assert!(message.contains("model.safetensors") && message.contains("models pull small"), "{message}");
    std::fs::write(&weights, b"cut").unwrap();
    assert_eq!(house.status(), (Status::Damaged, Some("model.safetensors has 3 bytes, not 200000".into())));

    // Only what is wrong is fetched again.
    let heard = Heard::default();
    assert_eq!(house.registry().pull("small", Some(&from), &heard).unwrap(), installed);
    assert_eq!(heard.bytes.lock().unwrap().keys().collect::<Vec<_>>(), ["model.safetensors"]);

    // A manifest that has moved on.
    let manifest = house.path("manifests/small.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace(&sha256(PACKAGE[0].1), &sha256(b"newer"))).unwrap();
    let message = house.registry().find("small").unwrap_err().to_string();
    assert!(message.contains("its manifest no longer names"), "{message}");
}

#[test]
fn files_put_there_by_hand_are_known_by_their_hashes() {
    let house = House::new();
    house.write("cache/small", &HUB);
    let found = house.registry().find("small").unwrap();
    assert_eq!(found.source, format!("model hub someone/small@{}", &REVISION[..8]));
    // A pull takes them over.
    assert_eq!(house.registry().pull("small", None, &()).unwrap(), found);
    assert_eq!(house.left(), WHOLE);
}

#[test]
fn the_hub_s_files_are_downloaded() {
    let house = House::new();
    let hub = Hub::start(&HUB);
    let heard = Heard::default();
    let installed = house.registry().with_hub_endpoint(&hub.url).pull("small", None, &heard).unwrap();
    assert!(installed.source.starts_with("model hub someone/small@01234567"));
    assert_eq!(std::fs::read(installed.weights()).unwrap(), HUB[1].1);
    assert_eq!(house.left(), WHOLE);
    assert_eq!(heard.bytes.lock().unwrap()["model.safetensors"], (300_000, 300_000));
    let asked = hub.asked();
    assert!(asked.contains(&format!("/someone/small/resolve/{REVISION}/weights/config.json")), "{asked:?}");

    // One file lost: the other is not asked for again.
    std::fs::remove_file(house.path("cache/small/config.json")).unwrap();
    hub.asked.lock().unwrap().clear();
    // As a mirror named for this pull alone.
    house.registry().pull("small", Some(&hub.url), &()).unwrap();
    assert!(hub.asked().iter().all(|path| path.ends_with("config.json")), "{:?}", hub.asked());
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_was() {
    let house = House::new();
    let hub = Hub::start(&HUB);
    // Every connection for the weights breaks after 100 kB; the client takes it up again.
    *hub.breaks_after.lock().unwrap() = Some(100_000);
    let installed = house.registry().with_hub_endpoint(&hub.url).pull("small", None, &()).unwrap();
    assert_eq!(std::fs::read(installed.weights()).unwrap(), HUB[1].1);
    let starts: Vec<u64> = hub.starts.lock().unwrap().clone();
    assert_eq!(starts, [0, 100_000, 200_000], "the weights were asked for from these bytes on");
}

#[test]
fn wrong_bytes_from_the_hub_never_get_a_name() {
    let house = House::new();
    let mut wrong = HUB;
    wrong[1].1 = WRONG;
    let hub = Hub::start(&wrong);
    let error = house.registry().with_hub_endpoint(&hub.url).pull("small", None, &()).unwrap_err();
    let message = error.to_string();
    assert!(message.contains(&sha256(wrong[1].1)), "{message}");
    assert!(message.contains("Python package nightcall-small-model==1.2: pip download failed"), "{message}");
    assert!(message.contains("nightcall models pull small --from FOLDER"), "{message}");
    assert!(!house.path("cache/small/model.safetensors").exists());
    // The hub mends its file: nothing of the wrong one is left to be built upon.
    let hub = Hub::start(&HUB);
    let installed = house.registry().with_hub_endpoint(&hub.url).pull("small", None, &()).unwrap();
    assert_eq!(std::fs::read(installed.weights()).unwrap(), HUB[1].1);
}

#[test]
fn two_pulls_at_once_do_not_disturb_each_other() {
    let house = House::new();
    let hub = Hub::start(&HUB);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| house.registry().with_hub_endpoint(&hub.url).pull("small", None, &()).unwrap());
        }
    });
    assert_eq!(house.left(), WHOLE);
    house.registry().verify("small").unwrap();
}

#[test]
fn without_a_hub_the_package_is_taken() {
    let python = std::process::Command::new("python3").args(["-m", "pip", "--version"]).output();
    if !python.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: needs python3 with pip");
        return;
    }
    let house = House::new();
    let registry = house.registry();
    make_wheel(&house.path("wheels"));
    let heard = Heard::default();
    let installed = registry.pull("small", None, &heard).unwrap();
    assert_eq!(installed.source, "Python package nightcall-small-model==1.2");
    assert_eq!(std::fs::read(installed.weights()).unwrap(), PACKAGE[1].1);
    assert_eq!(house.left(), WHOLE);
    let steps = heard.steps.lock().unwrap().join("\n");
    assert!(steps.contains("model hub") && steps.contains("Python package nightcall-small-model 1.2"), "{steps}");
}

#[test]
fn without_python_the_message_says_what_to_install() {
    let house = House::new();
    let error = house.registry().with_python("/nowhere/python3").pull("small", None, &()).unwrap_err().to_string();
    assert!(error.contains("/nowhere/python3 does not start") && error.contains("install Python"), "{error}");
}

#[test]
fn the_packages_of_the_real_models_give_the_bytes_of_their_manifests() {
    if std::env::var_os("NIGHTCALL_TEST_NETWORK").is_none() {
        eprintln!("skipped: needs a package index; set NIGHTCALL_TEST_NETWORK=1 to download 170 MB");
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let registry = Registry::new(cache.path()).with_hub_endpoint("http://127.0.0.1:9");
    for name in ["moonshine-tiny-en", "all-minilm-l6-v2"] {
        let start = std::time::Instant::now();
        let installed = registry.pull(name, None, &()).unwrap();
        assert!(installed.source.starts_with("Python package"), "{}", installed.source);
        eprintln!("{name}: {} in {:.1} s", installed.sha256, start.elapsed().as_secs_f32());
        registry.verify(name).unwrap();
    }
}

/// A wheel of the package's files.
fn make_wheel(folder: &Path) {
    const SCRIPT: &str = "
import sys, zipfile
folder, config, byte, count = sys.argv[1:]
info = 'nightcall_small_model-1.2.dist-info/'
with zipfile.ZipFile(folder + '/nightcall_small_model-1.2-py3-none-any.whl', 'w') as wheel:
    wheel.writestr('nightcall_small_model/config.json', config)
    wheel.writestr('nightcall_small_model/model.safetensors', bytes([int(byte)]) * int(count))
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: nightcall-small-model\\nVersion: 1.2\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(info + 'RECORD', '')
";
    let config = String::from_utf8(PACKAGE[0].1.to_vec()).unwrap();
    let status = std::process::Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(folder)
        .args([&config, "8", "200000"])
        .status()
        .unwrap();
    assert!(status.success());
}

/// A model hub on the loopback that speaks as much of the protocol as a download needs: small files are given at once,
/// large ones by a redirect, ranges are honoured.
struct Hub {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    /// Where each download of the large file started.
    starts: Arc<Mutex<Vec<u64>>>,
    /// A connection gives so many bytes of a large file, then breaks.
    breaks_after: Arc<Mutex<Option<usize>>>,
}

impl Hub {
    fn start(files: &[(&'static str, &'static [u8])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let hub = Self { url, asked: Arc::default(), starts: Arc::default(), breaks_after: Arc::default() };
        let (asked, starts, breaks_after) = (hub.asked.clone(), hub.starts.clone(), hub.breaks_after.clone());
        let (url, files) = (hub.url.clone(), files.to_vec());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = serve(stream.unwrap(), &url, &files, &asked, &starts, &breaks_after);
            }
        });
        hub
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    url: &str,
    files: &[(&str, &[u8])],
    asked: &Mutex<Vec<String>>,
    starts: &Mutex<Vec<u64>>,
    breaks_after: &Mutex<Option<usize>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut range = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            let (from, to) = value.split_once('-').unwrap();
            range = Some((from.parse::<usize>().unwrap(), to.parse::<usize>().ok()));
        }
    }
    let blob = path.starts_with("/blobs/");
    if !blob {
        asked.lock().unwrap().push(path.clone());
    }
    let known = blob || path.starts_with(&format!("/someone/small/resolve/{REVISION}/weights/"));
    let Some((name, bytes)) = files.iter().find(|(name, _)| known && path.ends_with(name)) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let etag = sha256(bytes);
    let large = bytes.len() > 1000;
    if large && !blob {
        let head = format!(
            "HTTP/1.1 302 Found\r\nLocation: {url}/blobs/{name}\r\nX-Linked-Etag: \"{etag}\"\r\nETag: \"x\"\r\n\
             X-Repo-Commit: {REVISION}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        return stream.write_all(head.as_bytes());
    }
    let (from, to) = range.unwrap_or((0, None));
    let part = &bytes[from..to.map_or(bytes.len(), |to| (to + 1).min(bytes.len()))];
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\nContent-Length: {}\r\n\
         ETag: \"{etag}\"\r\nX-Repo-Commit: {REVISION}\r\nConnection: close\r\n\r\n",
        from + part.len() - 1,
        bytes.len(),
        part.len()
    );
    stream.write_all(head.as_bytes())?;
    let mut given = part.len();
    if large && to.is_none() {
        starts.lock().unwrap().push(from as u64);
        given = breaks_after.lock().unwrap().map_or(given, |most| most.min(given));
    }
    stream.write_all(&part[..given])
}
