//! A store in a bucket and an object read like a file, on real servers, with one request in five failing.

use crate::servers::{FAULTS, Proxy, again, environment, is_child, put_s3, server};
use schema::{CallMetrics, StageName, Table, to_batch};
use std::{
    collections::HashSet,
    io::{Read, Seek, SeekFrom},
};
use store::{Key, ObjectReader, Store, objects};

/// Runs a test's own process against the server, through a proxy that fails one request in `every`.
fn through_proxy(test: &str, scheme: &str, variable: &str, every: usize) -> Option<()> {
    if is_child() {
        return Some(());
    }
    let proxy = Proxy::start(server(variable)?, every);
    again(test, &environment(scheme, &proxy.address));
    let kinds: HashSet<String> =
        proxy.log.lock().unwrap().iter().filter_map(|(_, fault)| Some(format!("{:?}", (*fault)?))).collect();
    println!("{}: {} requests, {} failed on purpose: {kinds:?}", scheme, proxy.requests(), proxy.faults());
    assert!(proxy.faults() >= FAULTS.len(), "too few faults to show anything");
    None
}

/// Writes, lists, stamps, reads, overwrites and deletes.
fn use_store(location: &str) {
    let error = Store::open_existing(location).err().unwrap().to_string();
    assert!(error.contains("there is no such store"), "{error}");
    let store = Store::open(location).unwrap();
    let names: Vec<String> = (0..12).map(|i| format!("{i:02}")).collect();
    for name in &names {
        let rows = [crate::metrics(name)];
        store.write(&Key::new(Table::CallMetrics, name), &[to_batch(&rows).unwrap()], &crate::stamp()).unwrap();
    }
    let keys = store.list(Table::CallMetrics).unwrap();
    assert_eq!(keys.iter().map(Key::shard).collect::<Vec<_>>(), names);
    assert!(store.list(Table::Turns).unwrap().is_empty());
    for key in &keys {
        assert_eq!(store.stamp(key).unwrap(), Some(crate::stamp()));
    }
    let calls: Vec<String> = store.table::<CallMetrics>().unwrap().into_iter().map(|m| m.call_id).collect();
    assert_eq!(calls, names);
    let absent = Key::errors("00", StageName::Flow);
    assert_eq!(store.stamp(&absent).unwrap(), None);
    for key in &keys {
        store.delete(key).unwrap();
        store.delete(key).unwrap();
    }
    assert!(store.list(Table::CallMetrics).unwrap().is_empty());
}

/// Bytes that no two places have alike.
fn bytes(length: u32) -> Vec<u8> {
    (0..length.div_ceil(4)).flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes()).take(length as usize).collect()
}

/// Reads as a decoder does: from front to back, then here and there.
fn use_reader(url: &str, wanted: &[u8]) {
    let mut reader = ObjectReader::open(url).unwrap();
    assert_eq!(reader.size(), wanted.len() as u64);
    let mut got = Vec::new();
    reader.read_to_end(&mut got).unwrap();
    assert!(got == wanted, "{url} came back changed");
    let mut state = 7u64;
    for _ in 0..50 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = (state >> 33) as usize % wanted.len();
        let length = 100_000.min(wanted.len() - at);
        reader.seek(SeekFrom::Start(at as u64)).unwrap();
        let mut piece = vec![0; length];
        reader.read_exact(&mut piece).unwrap();
        assert!(piece == wanted[at..at + length]);
    }
    assert_eq!(reader.seek(SeekFrom::End(5)).unwrap(), wanted.len() as u64 + 5);
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    assert!(reader.trouble().get().is_none());
}

#[test]
fn a_store_at_s3() {
    if through_proxy("buckets::a_store_at_s3", "s3", "NIGHTCALL_TEST_S3", 5).is_some() {
        use_store("s3://nightcall/stores/a");
    }
}

#[test]
fn a_store_at_azure() {
    if through_proxy("buckets::a_store_at_azure", "az", "NIGHTCALL_TEST_AZURE", 5).is_some() {
        use_store("az://nightcall/stores/a/");
    }
}

/// Google's XML interface is that of S3; the same server answers it.
#[test]
fn a_store_at_google() {
    if through_proxy("buckets::a_store_at_google", "gs", "NIGHTCALL_TEST_S3", 12).is_some() {
        use_store("gs://nightcall/stores/g");
    }
}

#[test]
fn an_object_read_like_a_file() {
    const TEST: &str = "buckets::an_object_read_like_a_file";
    let (large, small) = (bytes(40_000_001), bytes(2_500_000));
    if is_child() {
        let odd = "s3://nightcall/reader/a b (1).bin";
        use_reader("s3://nightcall/reader/large.bin", &large);
        use_reader(odd, &small);
        let listed = objects::list("s3://nightcall/reader").unwrap();
        let found: Vec<_> = listed.iter().map(|object| (object.url.as_str(), object.size)).collect();
        assert_eq!(found, [(odd, 2_500_000), ("s3://nightcall/reader/large.bin", 40_000_001)]);
        assert_eq!(objects::list(odd).unwrap(), [listed[0].clone()]);
        let there = objects::find(&[odd.into(), "s3://nightcall/reader/none.bin".into()]).unwrap();
        assert_eq!(there.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [Some(listed[0].clone()), None]);
        assert!(objects::read(odd).unwrap() == small);
        let error = ObjectReader::open("s3://nightcall/reader/none.bin").err().unwrap();
        assert!(error.is_not_found() && error.to_string().contains("none.bin"), "{error}");
        return;
    }
    let Some(address) = server("NIGHTCALL_TEST_S3") else { return };
    put_s3(&address, "reader/large.bin", &large);
    put_s3(&address, "reader/a%20b%20(1).bin", &small);
    through_proxy(TEST, "s3", "NIGHTCALL_TEST_S3", 10);
}

/// What is asked for is of one version: overwritten half way, a recording fails instead of being two mixed.
#[test]
fn an_object_that_is_overwritten() {
    const TEST: &str = "buckets::an_object_that_is_overwritten";
    let Some(address) = server("NIGHTCALL_TEST_S3") else { return };
    if is_child() {
        let mut reader = ObjectReader::open("s3://nightcall/overwritten.bin").unwrap();
        reader.read_exact(&mut [0; 1000]).unwrap();
        put_s3(&address, "overwritten.bin", &bytes(9_000_001));
        reader.seek(SeekFrom::Start(8_000_000)).unwrap();
        let error = reader.read(&mut [0; 1000]).unwrap_err().to_string();
        assert!(error.contains("overwritten.bin: was overwritten while it was read"), "{error}");
        assert_eq!(reader.trouble().get(), Some(&error));
        return;
    }
    put_s3(&address, "overwritten.bin", &bytes(9_000_000));
    again(TEST, &environment("s3", &address));
}
