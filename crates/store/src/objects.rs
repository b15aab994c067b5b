//! Objects behind URLs: `s3://`, `az://` and `gs://`, listed, found and read.
//!
//! Credentials, endpoints and regions are found where the clouds' own tools find them (the environment, profile files,
//! instance and container roles, application default credentials); `README.md` names the variables. A request that meets a
//! server error, a refused connection or a timeout is sent again, with growing pauses, for up to three minutes; a body that
//! ends early is asked for from where it ended.
//!
//! The rest of the house is synchronous: futures run on one small runtime, here, for the whole process.

use crate::StoreError;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::{
    GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, aws::AmazonS3Builder, aws::AmazonS3ConfigKey,
    azure::AzureConfigKey, azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder, gcp::GoogleConfigKey,
    path::Path,
};
use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};

/// Times that a request is made anew whose answer broke off or came too short; the client's own retries end with its head.
const RETRIES: u32 = 5;
/// After this long the client has tried often enough itself.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests of [`find`] under way at once.
const FINDERS: usize = 32;
const SCHEMES: [&str; 5] = ["s3", "s3a", "az", "azure", "gs"];

/// An object in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// `scheme://bucket/key`, the key as it is and not percent-encoded.
    pub url: String,
    /// Bytes.
    pub size: u64,
    /// What changes when the object does: its ETag, else the time it was written.
    pub version: String,
}

/// Whether a location is a URL and no path. `file://` URLs are paths.
pub fn is_url(location: &str) -> bool {
    location.contains("://") && !location.starts_with("file://")
}

/// A bucket (a container, at Azure) and a key or prefix in it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub objects: Arc<dyn ObjectStore>,
    /// `scheme://bucket`
    pub bucket: String,
    pub path: Path,
}

impl Place {
    /// Connects to the URL's bucket; later calls share the connection.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        static BUCKETS: LazyLock<Mutex<HashMap<String, Arc<dyn ObjectStore>>>> = LazyLock::new(Mutex::default);
        let fail = |message: String| StoreError::Location { location: url.to_owned(), message };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| fail("is no URL".into()))?;
        if !SCHEMES.contains(&scheme) {
            return Err(fail(format!("{scheme}:// is not known; s3://, az:// and gs:// are, and paths of folders")));
        }
        let (name, key) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty() {
            return Err(fail(format!("names no bucket; write {scheme}://BUCKET/PREFIX")));
        }
        let path = Path::parse(key).map_err(|e| fail(e.to_string()))?;
        let bucket = format!("{scheme}://{name}");
        let mut buckets = BUCKETS.lock().unwrap_or_else(PoisonError::into_inner);
        let objects = if let Some(objects) = buckets.get(&bucket) {
            objects.clone()
        } else {
            let objects = connect(scheme, name).map_err(|e| fail(e.to_string()))?;
            buckets.insert(bucket.clone(), objects.clone());
            objects
        };
        Ok(Self { objects, bucket, path })
    }

    pub fn url(&self, path: &Path) -> String {
        format!("{}/{path}", self.bucket)
    }

    fn object(&self, meta: &ObjectMeta) -> Object {
        let version = meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.timestamp_millis().to_string());
        Object { url: self.url(&meta.location), size: meta.size, version: version.trim_matches('"').to_owned() }
    }
}

/// A client of a bucket. Who gives an endpoint with `http://` need not say again that it is to be used without TLS.
fn connect(scheme: &str, bucket: &str) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    let plain = |endpoint: Option<String>| endpoint.is_some_and(|url| url.starts_with("http://"));
    Ok(match scheme {
        "s3" | "s3a" => {
            let builder = with_profile(AmazonS3Builder::from_env().with_bucket_name(bucket))?;
            let value = |key| builder.get_config_value(&key);
            let plain = plain(value(AmazonS3ConfigKey::S3Endpoint).or_else(|| value(AmazonS3ConfigKey::Endpoint)));
            Arc::new(if plain { builder.with_allow_http(true) } else { builder }.build()?)
        }
        "az" | "azure" => {
            let builder = MicrosoftAzureBuilder::from_env().with_container_name(bucket);
            let plain = plain(builder.get_config_value(&AzureConfigKey::Endpoint));
            Arc::new(if plain { builder.with_allow_http(true) } else { builder }.build()?)
        }
        _ => {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
            let plain = plain(builder.get_config_value(&GoogleConfigKey::BaseUrl));
            let options = object_store::ClientOptions::new().with_allow_http(true);
            Arc::new(if plain { builder.with_client_options(options) } else { builder }.build()?)
        }
    })
}

/// What the environment does not say, as the profile files have it.
fn with_profile(mut builder: AmazonS3Builder) -> Result<AmazonS3Builder, object_store::Error> {
    let profile = crate::profile::profile(|variable| std::env::var(variable).ok());
    let profile = profile.map_err(|message| object_store::Error::Generic { store: "S3", source: message.into() })?;
    for (name, value) in profile {
        let key: AmazonS3ConfigKey = name.parse()?;
        if builder.get_config_value(&key).is_none() {
            builder = builder.with_config(key, value);
        }
    }
    Ok(builder)
}

/// The runtime, or why there is none.
pub(crate) fn runtime() -> Result<&'static Runtime, StoreError> {
    static RUNTIME: LazyLock<Result<Runtime, String>> = LazyLock::new(|| {
        let built = Builder::new_multi_thread().worker_threads(2).thread_name("objects").enable_all().build();
        built.map_err(|e| e.to_string())
    });
    RUNTIME.as_ref().map_err(|e| StoreError::Location { location: "object store".into(), message: e.clone() })
}

pub(crate) fn object_error(object: impl Into<String>, source: object_store::Error) -> StoreError {
    StoreError::Object { object: object.into(), source: Box::new(source) }
}

/// The objects below a prefix, or the one object of that name, sorted.
pub fn list(url: &str) -> Result<Vec<Object>, StoreError> {
    let place = Place::open(url.trim_end_matches('/'))?;
    let listed = runtime()?.block_on(retried(|| async {
        let below: Vec<ObjectMeta> = place.objects.list(Some(&place.path)).try_collect().await?;
        if !below.is_empty() || place.path.as_ref().is_empty() {
            return Ok(below);
        }
        match place.objects.head(&place.path).await {
            Ok(meta) => Ok(vec![meta]),
            Err(object_store::Error::NotFound { .. }) => Ok(below),
            Err(e) => Err(e),
        }
    }));
    let mut objects: Vec<_> = listed.map_err(|e| object_error(url, e))?.iter().map(|meta| place.object(meta)).collect();
    objects.sort_by(|a, b| a.url.cmp(&b.url));
    Ok(objects)
}

/// Looks for objects by name, many at once; `None` for each that is not there.
pub fn find(urls: &[String]) -> Result<Vec<Result<Option<Object>, StoreError>>, StoreError> {
    let one = |url: String| async move {
        let place = Place::open(&url)?;
        match retried(|| async { place.objects.head(&place.path).await }).await {
            Ok(meta) => Ok(Some(place.object(&meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(object_error(url, e)),
        }
    };
    let requests = futures::stream::iter(urls.iter().cloned().map(one)).buffered(FINDERS);
    Ok(runtime()?.block_on(requests.collect()))
}

/// A whole object, for lists.
pub fn read(url: &str) -> Result<Bytes, StoreError> {
    let place = Place::open(url)?;
    runtime()?.block_on(get(&place.objects, &place.path)).map_err(|e| object_error(url, e))
}

/// The first bytes of objects, at most so many of each, many objects at once.
pub fn starts(urls: &[(String, u64)], length: u64) -> Result<Vec<Result<Bytes, StoreError>>, StoreError> {
    let one = |(url, size): (String, u64)| async move {
        let place = Place::open(&url)?;
        let end = size.min(length);
        if end == 0 {
            return Ok(Bytes::new());
        }
        get_range(&place.objects, &place.path, 0..end, None).await.map_err(|e| object_error(url, e))
    };
    let requests = futures::stream::iter(urls.iter().cloned().map(one)).buffered(FINDERS);
    Ok(runtime()?.block_on(requests.collect()))
}

/// A whole object.
pub(crate) async fn get(objects: &Arc<dyn ObjectStore>, path: &Path) -> Result<Bytes, object_store::Error> {
    retried(|| async {
        let found = objects.get(path).await?;
        let size = found.meta.size;
        whole(found.bytes().await?, size)
    })
    .await
}

/// A stretch of an object, of the version with this ETag.
pub(crate) async fn get_range(
    objects: &Arc<dyn ObjectStore>,
    path: &Path,
    range: Range<u64>,
    e_tag: Option<&str>,
) -> Result<Bytes, object_store::Error> {
    retried(|| async {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: e_tag.map(str::to_owned),
            ..GetOptions::default()
        };
        whole(objects.get_opts(path, options).await?.bytes().await?, range.end - range.start)
    })
    .await
}

/// A body, if it is all of it: what a server or a proxy calls its length may be short of what was asked for.
pub(crate) fn whole(bytes: Bytes, length: u64) -> Result<Bytes, object_store::Error> {
    if bytes.len() as u64 == length {
        return Ok(bytes);
    }
    let source = format!("{} of {length} bytes came", bytes.len()).into();
    Err(object_store::Error::Generic { store: "body", source })
}

/// Asks again after errors that are no answer: one that says that an object is not there, or may not be read, is one.
pub(crate) async fn retried<T, F>(ask: impl Fn() -> F) -> Result<T, object_store::Error>
where
    F: Future<Output = Result<T, object_store::Error>>,
{
    let (began, mut attempt) = (Instant::now(), 0);
    loop {
        match ask().await {
            Err(object_store::Error::Generic { .. }) if attempt < RETRIES && began.elapsed() < PATIENCE => attempt += 1,
            answer => return answer,
        }
        tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_paths() {
        assert!(is_url("s3://bucket/calls") && is_url("ftp://host/calls"));
        assert!(!is_url("file:///calls/a.wav") && !is_url("calls/a.wav") && !is_url("C:\\calls"));
        let error = |url| Place::open(url).unwrap_err().to_string();
        assert_eq!(
            error("ftp://host/calls"),
            "store ftp://host/calls: ftp:// is not known; s3://, az:// and gs:// are, and paths of folders"
        );
        assert!(error("s3:///calls").contains("names no bucket; write s3://BUCKET/PREFIX"));
        let place = Place::open("s3://bucket/2026/a b [1]%.wav").unwrap();
        assert_eq!(place.url(&place.path), "s3://bucket/2026/a b [1]%.wav");
    }

    #[test]
    fn a_short_body_is_asked_for_again() {
        let asked = Mutex::new(0);
        let body = runtime().unwrap().block_on(retried(|| async {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            whole(Bytes::from_static(if *asked < 3 { b"ab" } else { b"abc" }), 3)
        }));
        assert_eq!((body.unwrap(), asked.into_inner().unwrap()), (Bytes::from_static(b"abc"), 3));
        let gone = || async { Err::<(), _>(object_store::Error::NotFound { path: "a".into(), source: "gone".into() }) };
        assert!(matches!(runtime().unwrap().block_on(retried(gone)), Err(object_store::Error::NotFound { .. })));
    }
}
