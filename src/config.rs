//! What an operator can set, where it came from, and what is wrong with it.
//!
//! Every setting has one name, the name of its environment variable. It is looked for in the environment, then
//! in a TOML file (over it, the same names in lower case), then in command-line flags (over both). A secret may
//! also be given as `NAME_FILE`, the path of a file that holds it. Nothing here opens a database or a model:
//! [`crate::setup`] does that with the finished [`Config`].

mod settings;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sutazai_core::{Error, Result};

pub use settings::{SETTINGS, Setting};

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from every log, error and `Debug`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// How strict the start is about what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// A missing signing key is made and kept beside the database.
    Development,
    /// A missing secret is a start-up error.
    Production,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The effective configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where tasks, users and history live, such as `sqlite:///var/lib/sutazai/sutazai.db`.
    pub database_url: String,
    /// Model backends in order of preference, as `name=address` separated by commas.
    pub model_backends: String,
    /// The model to use when it is there.
    pub default_model: String,
    /// Bearer key for OpenAI-compatible servers.
    pub openai_api_key: Option<Secret>,
    /// Key that access tokens are signed with, at least 32 bytes.
    pub jwt_secret_key: Option<Secret>,
    /// The key of before a change of keys: its tokens are taken still.
    pub jwt_previous_secret_key: Option<Secret>,
    /// Memory of one password hash in KiB.
    pub argon2_memory_kib: u32,
    /// Passes of one password hash over its memory.
    pub argon2_iterations: u32,
    /// Lanes of one password hash.
    pub argon2_parallelism: u32,
    /// Who is made an admin at the start, if there is nobody of that name.
    pub first_admin: Option<FirstAdmin>,
    /// Lifetime of an access token.
    pub access_ttl: Duration,
    /// Lifetime of a refresh token.
    pub refresh_ttl: Duration,
    /// Address the server listens on.
    pub listen: SocketAddr,
    /// Whether callers must sign in; off only on a loopback address.
    pub enable_auth: bool,
    /// How many tasks run at once.
    pub workers: usize,
    /// Time between two samples of the metric history.
    pub history_interval: Duration,
    /// How long the metric history is kept.
    pub history_keep: Duration,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines there are, as a filter such as `info,sutazai=debug`; where it is not set each command chooses.
    pub log_level: Option<String>,
    /// How strict the start is.
    pub environment: Environment,
}

/// Who is made an admin at the start.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstAdmin {
    /// The name to sign in with.
    pub username: String,
    /// The e-mail address.
    pub email: String,
    /// The password to begin with.
    pub password: Secret,
}

/// Values as they were found, with where each came from; not yet checked.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    found: BTreeMap<&'static str, (Secret, String)>,
    problems: Vec<Error>,
}

impl Layers {
    /// Reads the environment through `lookup`, then the file, then the flags (setting name and value).
    pub fn read(
        lookup: impl Fn(&str) -> Option<String>,
        file: Option<&Path>,
        flags: &[(&'static str, Option<String>)],
    ) -> Self {
        let mut layers = Self::default();
        for setting in SETTINGS {
            layers.read_environment(setting, &lookup);
        }
        if let Some(path) = file {
            layers.read_file(path);
        }
        for (name, value) in flags {
            if let (Some(setting), Some(value)) = (setting_named(name), value) {
                let flag = format!("--{}", name.to_lowercase().replace('_', "-"));
                layers.put(setting, value.clone(), flag);
            }
        }
        layers
    }

    /// The effective configuration, or everything that is wrong with it.
    pub fn check(&self) -> std::result::Result<Config, Vec<Error>> {
        let mut problems = self.problems.clone();
        let config = self.parse(&mut problems);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }

    /// Name, value and origin of every setting; secrets are hidden.
    pub fn effective(&self) -> Vec<(&'static str, String, String)> {
        SETTINGS
            .iter()
            .map(|setting| match (self.found.get(setting.name), (setting.default)()) {
                (Some(_), _) if setting.secret => (setting.name, "(hidden)".to_owned(), self.origin(setting)),
                (Some((value, _)), _) => (setting.name, hide_password(value.expose()), self.origin(setting)),
                (None, Some(default)) => (setting.name, default, "default".to_owned()),
                (None, None) => (setting.name, "(not set)".to_owned(), "default".to_owned()),
            })
            .collect()
    }

    fn origin(&self, setting: &Setting) -> String {
        self.found.get(setting.name).map_or_else(|| "default".to_owned(), |(_, origin)| origin.clone())
    }

    fn put(&mut self, setting: &'static Setting, value: String, origin: String) {
        self.found.insert(setting.name, (Secret(value), origin));
    }

    fn read_environment(&mut self, setting: &'static Setting, lookup: &impl Fn(&str) -> Option<String>) {
        let file_variable = format!("{}_FILE", setting.name);
        if setting.secret
            && let Some(path) = lookup(&file_variable).filter(|path| !path.is_empty())
        {
            match std::fs::read_to_string(&path) {
                Ok(text) => self.put(setting, text.trim_end().to_owned(), format!("{file_variable}={path}")),
                Err(e) => {
                    self.problems.push(Error::invalid(file_variable, format!("cannot read {path}: {e}")))
                }
            }
        } else if let Some(value) = lookup(setting.name).filter(|value| !value.is_empty()) {
            self.put(setting, value, "environment".to_owned());
        }
    }

    fn read_file(&mut self, path: &Path) {
        let shown = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) => {
                return self.problems.push(Error::invalid("--config", format!("cannot read {shown}: {e}")));
            }
        };
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(e) => {
                return self.problems.push(Error::invalid("--config", format!("{shown}: {}", e.message())));
            }
        };
        for (key, value) in table {
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(flag) => flag.to_string(),
                other => {
                    let got = other.type_str();
                    let wanted =
                        format!("{shown}: expected a string, a whole number or a boolean, got {got}");
                    self.problems.push(Error::invalid(key, wanted));
                    continue;
                }
            };
            match setting_named(&key.to_uppercase()) {
                Some(setting) => self.put(setting, text, shown.clone()),
                None => self.problems.push(Error::invalid(key, format!("{shown}: no such setting"))),
            }
        }
    }

    fn text(&self, name: &'static str) -> Option<String> {
        let found = self.found.get(name).map(|(value, _)| value.expose().to_owned());
        found.or_else(|| setting_named(name).and_then(|setting| (setting.default)()))
    }

    fn number<T: FromStr + PartialOrd + fmt::Display>(
        &self,
        name: &'static str,
        (min, max): (T, T),
        problems: &mut Vec<Error>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let number = text.parse::<T>().ok().filter(|number| (&min..=&max).contains(&number));
        if number.is_none() {
            problems.push(Error::invalid(
                name,
                format!("expected a whole number from {min} to {max}, got {text:?}"),
            ));
        }
        number
    }

    fn choice<T: Copy>(&self, name: &'static str, of: &[(&str, T)], problems: &mut Vec<Error>) -> Option<T> {
        let text = self.text(name)?;
        let chosen = of.iter().find(|(word, _)| *word == text.to_lowercase()).map(|(_, value)| *value);
        if chosen.is_none() {
            let words: Vec<_> = of.iter().map(|(word, _)| *word).collect();
            problems
                .push(Error::invalid(name, format!("expected one of {}, got {text:?}", words.join(", "))));
        }
        chosen
    }

    /// A key that tokens are signed with.
    fn signing_key(&self, name: &'static str, problems: &mut Vec<Error>) -> Option<Secret> {
        let key = self.text(name).map(Secret)?;
        let length = key.expose().len();
        if length < 32 {
            problems.push(Error::invalid(name, format!("expected at least 32 bytes, got {length}")));
        }
        Some(key)
    }

    /// Name and password belong together.
    fn first_admin(&self, problems: &mut Vec<Error>) -> Option<FirstAdmin> {
        match (self.text("ADMIN_USERNAME"), self.text("ADMIN_PASSWORD")) {
            (Some(username), Some(password)) => Some(FirstAdmin {
                email: self.text("ADMIN_EMAIL").unwrap_or_else(|| format!("{username}@localhost")),
                username,
                password: Secret(password),
            }),
            (Some(_), None) => {
                let why = "must be set (or ADMIN_PASSWORD_FILE) when ADMIN_USERNAME is";
                problems.push(Error::invalid("ADMIN_PASSWORD", why));
                None
            }
            (None, Some(_)) => {
                let why = "must be set when ADMIN_PASSWORD is";
                problems.push(Error::invalid("ADMIN_USERNAME", why));
                None
            }
            (None, None) => None,
        }
    }

    /// Parses every setting before it gives up, so that `problems` holds all that is wrong.
    fn parse(&self, problems: &mut Vec<Error>) -> Option<Config> {
        let switch =
            [("true", true), ("false", false), ("1", true), ("0", false), ("on", true), ("off", false)];
        let access = self.number("ACCESS_TOKEN_EXPIRE_MINUTES", (1_u64, 1_440), problems);
        let refresh = self.number("REFRESH_TOKEN_EXPIRE_DAYS", (1_u64, 365), problems);
        let workers = self.number("WORKERS", (1_usize, 1_024), problems);
        let interval = self.number("HISTORY_INTERVAL_SECONDS", (1_u64, 3_600), problems);
        let keep = self.number("HISTORY_KEEP_DAYS", (1_u64, 3_650), problems);
        let enable_auth = self.choice("ENABLE_AUTH", &switch, problems);
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let log_format = self.choice("LOG_FORMAT", &formats, problems);
        let environments =
            [("development", Environment::Development), ("production", Environment::Production)];
        let environment = self.choice("ENVIRONMENT", &environments, problems);
        let listen = self.text("LISTEN").and_then(|text| {
            let address = text.parse::<SocketAddr>().ok();
            if address.is_none() {
                let wanted = format!("expected an address and a port such as 127.0.0.1:10010, got {text:?}");
                problems.push(Error::invalid("LISTEN", wanted));
            }
            address
        });
        let argon2_memory_kib = self.number("ARGON2_MEMORY_KIB", (7_168, 2_097_152), problems);
        let argon2_iterations = self.number("ARGON2_ITERATIONS", (1, 100), problems);
        let argon2_parallelism = self.number("ARGON2_PARALLELISM", (1, 64), problems);
        let jwt_secret_key = self.signing_key("JWT_SECRET_KEY", problems);
        let jwt_previous_secret_key = self.signing_key("JWT_PREVIOUS_SECRET_KEY", problems);
        if jwt_secret_key.is_none()
            && (environment, enable_auth) == (Some(Environment::Production), Some(true))
        {
            let why = "must be set (or JWT_SECRET_KEY_FILE) when ENVIRONMENT is production";
            problems.push(Error::invalid("JWT_SECRET_KEY", why));
        }
        if jwt_secret_key.is_some() && jwt_secret_key == jwt_previous_secret_key {
            let why = "expected another key than JWT_SECRET_KEY";
            problems.push(Error::invalid("JWT_PREVIOUS_SECRET_KEY", why));
        }
        let first_admin = self.first_admin(problems);
        if let (Some(false), Some(listen)) = (enable_auth, listen)
            && !listen.ip().is_loopback()
        {
            let why = format!("may be off only on a loopback address, and LISTEN is {listen}");
            problems.push(Error::invalid("ENABLE_AUTH", why));
        }
        Some(Config {
            database_url: self.text("DATABASE_URL")?,
            model_backends: self.text("MODEL_BACKENDS").unwrap_or_default(),
            default_model: self.text("DEFAULT_MODEL")?,
            openai_api_key: self.text("OPENAI_API_KEY").map(Secret),
            jwt_secret_key,
            jwt_previous_secret_key,
            argon2_memory_kib: argon2_memory_kib?,
            argon2_iterations: argon2_iterations?,
            argon2_parallelism: argon2_parallelism?,
            first_admin,
            access_ttl: Duration::from_secs(access? * 60),
            refresh_ttl: Duration::from_secs(refresh? * 86_400),
            listen: listen?,
            enable_auth: enable_auth?,
            workers: workers?,
            history_interval: Duration::from_secs(interval?),
            history_keep: Duration::from_secs(keep? * 86_400),
            log_format: log_format?,
            log_level: self.text("LOG_LEVEL"),
            environment: environment?,
        })
    }
}

impl Config {
    /// The configuration of this process: its environment, and nothing over it.
    ///
    /// # Errors
    /// `InvalidInput` naming the first setting that does not fit.
    pub fn from_env() -> Result<Self> {
        let layers = Layers::read(|name| std::env::var(name).ok(), None, &[]);
        layers.check().map_err(|mut problems| problems.swap_remove(0))
    }
}

fn setting_named(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// Hides what stands between `//user:` and `@` of an address, in each of several that commas separate.
fn hide_password(text: &str) -> String {
    let hide = |part: &str| {
        let Some((scheme, rest)) = part.split_once("://") else { return part.to_owned() };
        let authority_end = rest.find('/').unwrap_or(rest.len());
        match rest[..authority_end].rfind('@') {
            Some(at) => {
                let user = rest[..at].split(':').next().unwrap_or_default();
                format!("{scheme}://{user}:(hidden){}", &rest[at..])
            }
            None => part.to_owned(),
        }
    };
    text.split(',').map(hide).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        variables: &[(&str, &str)],
        file: Option<&Path>,
        flags: &[(&'static str, Option<String>)],
    ) -> Layers {
        let lookup = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Layers::read(lookup, file, flags)
    }

    fn problems(variables: &[(&str, &str)]) -> Vec<String> {
        read(variables, None, &[]).check().unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn defaults_are_good() {
        let config = read(&[], None, &[]).check().unwrap();
        assert_eq!(config.listen, "127.0.0.1:10010".parse().unwrap());
        assert_eq!(config.default_model, "tinyllama");
        assert_eq!(config.access_ttl, Duration::from_secs(1_800));
        assert!(config.workers >= 1);
        assert_eq!(
            (config.argon2_memory_kib, config.argon2_iterations, config.argon2_parallelism),
            (19_456, 2, 1)
        );
    }

    #[test]
    fn flags_go_over_the_file_and_the_file_over_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sutazai.toml");
        std::fs::write(&file, "default_model = \"from-file\"\nworkers = 3\n").unwrap();
        let variables = [("DEFAULT_MODEL", "from-env"), ("WORKERS", "2"), ("LOG_FORMAT", "json")];
        let config = read(&variables, Some(&file), &[("WORKERS", Some("4".into()))]).check().unwrap();
        assert_eq!((config.default_model.as_str(), config.workers), ("from-file", 4));
        assert_eq!(config.log_format, LogFormat::Json);
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once() {
        let found = problems(&[
            ("WORKERS", "0"),
            ("LISTEN", "here"),
            ("LOG_FORMAT", "xml"),
            ("JWT_SECRET_KEY", "short"),
            ("ARGON2_MEMORY_KIB", "64"),
            ("ARGON2_ITERATIONS", "0"),
            ("ARGON2_PARALLELISM", "many"),
        ]);
        for name in [
            "WORKERS",
            "LISTEN",
            "LOG_FORMAT",
            "JWT_SECRET_KEY",
            "ARGON2_MEMORY_KIB",
            "ARGON2_ITERATIONS",
            "ARGON2_PARALLELISM",
        ] {
            assert!(found.iter().any(|p| p.starts_with(name)), "{name} in {found:?}");
        }
        assert!(!found.iter().any(|p| p.contains("short")), "a secret was shown: {found:?}");
    }

    #[test]
    fn production_needs_its_secret_and_auth() {
        assert!(problems(&[("ENVIRONMENT", "production")])[0].starts_with("JWT_SECRET_KEY: must be set"));
        let open = [("ENABLE_AUTH", "false"), ("LISTEN", "0.0.0.0:80")];
        assert!(problems(&open)[0].starts_with("ENABLE_AUTH: may be off only"));
    }

    #[test]
    fn keys_can_be_changed() {
        let [new, old] = ["n", "o"].map(|letter| letter.repeat(32));
        let pair = [("JWT_SECRET_KEY", new.as_str()), ("JWT_PREVIOUS_SECRET_KEY", old.as_str())];
        let config = read(&pair, None, &[]).check().unwrap();
        assert_eq!(config.jwt_previous_secret_key, Some(Secret::new(&old)));
        let same = [("JWT_SECRET_KEY", new.as_str()), ("JWT_PREVIOUS_SECRET_KEY", new.as_str())];
        assert!(problems(&same)[0].starts_with("JWT_PREVIOUS_SECRET_KEY: expected another key"));
        let short = problems(&[("JWT_PREVIOUS_SECRET_KEY", "short")]);
        assert_eq!(short, ["JWT_PREVIOUS_SECRET_KEY: expected at least 32 bytes, got 5"]);
    }

    #[test]
    fn the_first_admin_has_a_name_and_a_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "correct horse battery\n").unwrap();
        let path = file.display().to_string();
        let both = [("ADMIN_USERNAME", "root_1"), ("ADMIN_PASSWORD_FILE", path.as_str())];
        let config = read(&both, None, &[]).check().unwrap();
        let admin = config.first_admin.clone().unwrap();
        assert_eq!((admin.username.as_str(), admin.email.as_str()), ("root_1", "root_1@localhost"));
        assert_eq!(admin.password.expose(), "correct horse battery");
        assert!(!format!("{config:?}").contains("horse"));
        assert!(problems(&both[..1])[0].starts_with("ADMIN_PASSWORD: must be set"));
        assert!(problems(&both[1..])[0].starts_with("ADMIN_USERNAME: must be set"));
        assert_eq!(read(&[], None, &[]).check().unwrap().first_admin, None);
    }

    #[test]
    fn secrets_come_from_files_and_stay_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "0123456789abcdef0123456789abcdef\n").unwrap();
        let path = file.display().to_string();
        let layers = read(
            &[("JWT_SECRET_KEY_FILE", &path), ("DATABASE_URL", "postgres://me:hunter2@db/x")],
            None,
            &[],
        );
        let shown = format!("{:?} {:?} {:?}", layers, layers.effective(), layers.check());
        assert!(!shown.contains("0123456789abcdef"), "{shown}");
        let database = layers.effective().into_iter().find(|(name, ..)| *name == "DATABASE_URL").unwrap();
        assert_eq!(database.1, "postgres://me:(hidden)@db/x");
    }

    #[test]
    fn a_file_with_unknown_or_ill_typed_keys_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sutazai.toml");
        std::fs::write(&file, "workerz = 3\nlisten = [1]\n").unwrap();
        let found = read(&[], Some(&file), &[]).check().unwrap_err();
        let fields: Vec<_> = found.iter().filter_map(Error::field).collect();
        assert_eq!(fields, ["listen", "workerz"]);
    }
}
