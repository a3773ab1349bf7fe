//! Fuzzes the configuration: files and values of the environment.

use std::io::Write;
use std::time::Duration;

use sutazai_core::testing::mutated;

use super::Layers;
use super::settings::settings;

/// Time for each target where no fuzzer sets it.
const TIME: Duration = Duration::from_secs(2);
const PASSWORD: &str = "hunter2hunter2hunter2";

#[test]
fn configuration_files() {
    let seeds: [&[u8]; 3] = [
        b"listen = \"127.0.0.1:10010\"\nworkers = 2\nenable_auth = false\ncors_origins = \"*\"\n",
        b"jwt_secret_key = \"0123456789abcdef0123456789abcdef\"\nmodel_backends = \"ollama=http://127.0.0.1:11434\"\n[table]\na = [1]\n",
        b"database_url = 'postgres://a@b/c'\nlease_seconds = -1\nport = 1e3\nx = 2026-01-01\n",
    ];
    let mut file = tempfile::NamedTempFile::new().unwrap();
    bolero::check!().with_test_time(TIME).for_each(|script: &[u8]| {
        file.as_file_mut().set_len(0).unwrap();
        std::io::Seek::rewind(file.as_file_mut()).unwrap();
        file.write_all(&mutated(&seeds, script)).unwrap();
        let layers = Layers::read([], Some(file.path()), &[]);
        let _ = (layers.check(), layers.check_worker(), layers.effective());
    });
}

#[test]
fn values_of_the_environment() {
    let addresses: Vec<String> = [
        "redis://:{}@127.0.0.1:6379/0",
        "postgres://me:{}@db:5432/x?sslmode=require",
        "amqps://me:{}@here/%2f",
        "https://me:{}@collector:4318",
        "{}",
    ]
    .iter()
    .map(|address| address.replace("{}", PASSWORD))
    .collect();
    let mut seeds: Vec<&[u8]> = addresses.iter().map(String::as_bytes).collect();
    seeds.extend([
        &b"60"[..],
        b"true",
        b"1d",
        b"127.0.0.1:1",
        b"10.0.0.0/8,::1",
        b"llama-cpp=/m.gguf",
        b"info,sutazai=debug",
    ]);
    bolero::check!().with_test_time(TIME).for_each(|script: &[u8]| {
        let value = String::from_utf8_lossy(&mutated(&seeds, script)).into_owned();
        let chosen = usize::from(script.last().copied().unwrap_or_default()) % settings().count();
        let Some(setting) = settings().nth(chosen) else { return };
        let name = setting.name;
        let layers = Layers::read([(name.into(), value.clone().into())], None, &[]);
        let checked = layers.check();
        // Text between a user and a host, and secrets, must not be shown.
        if setting.is_secret() && value.contains(PASSWORD) {
            let shown = format!("{checked:?} {:?} {layers:?}", layers.effective());
            assert!(!shown.contains(PASSWORD), "{name}={value}: {shown}");
        }
    });
}
