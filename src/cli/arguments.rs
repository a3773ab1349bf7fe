//! What the command line understands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use sutazai::config::{Config, Layers, ModelProgram, flag_help};
use sutazai_core::{Error, Result};

use super::printable::Printable;

/// An embeddable, local-first engine for AI agent tasks.
///
/// Looks at this machine, has a local model write recommendations, and checks every number in them against what was
/// measured. Nothing leaves the machine but what you configure.
#[derive(Debug, Parser)]
#[command(
    name = "sutazai",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  sutazai analyze                          what this machine needs, as a report
  sutazai analyze --json | jq .findings    the same for programs
  sutazai --model-backends llama-cpp=/models/small.gguf analyze
  sutazai serve --listen 127.0.0.1:10010   the HTTP server
  sutazai config check                     every setting, and what is wrong with it

Exit codes: 0 done, 1 a fault of the program, 2 wrong usage or configuration,
3 something needed cannot be reached, 4 not found, 5 refused (conflict, not
allowed), 130 interrupted; those of analyze --exit-code are in its help."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: SettingFlags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Settings that every command understands; each goes over its environment variable and the file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingFlags {
    /// TOML file with settings, named as the environment variables in lower case
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[arg(long = "database", global = true, value_name = "URL", help = flag_help("DATABASE_URL"))]
    database_url: Option<String>,
    #[arg(long, global = true, value_name = "NAME=ADDRESS,...", help = flag_help("MODEL_BACKENDS"))]
    model_backends: Option<String>,
    #[arg(long, global = true, value_name = "NAME", help = flag_help("DEFAULT_MODEL"))]
    default_model: Option<String>,
    #[arg(long, global = true, value_name = "FILTER", help = flag_help("LOG_LEVEL"))]
    log_level: Option<String>,
}

impl SettingFlags {
    /// Environment, file and these flags, with `more` flags of one command.
    pub(crate) fn layers(&self, more: &[(&'static str, Option<String>)]) -> Layers {
        let mut flags = vec![
            ("DATABASE_URL", self.database_url.clone()),
            ("MODEL_BACKENDS", self.model_backends.clone()),
            ("DEFAULT_MODEL", self.default_model.clone()),
            ("LOG_LEVEL", self.log_level.clone()),
        ];
        flags.extend_from_slice(more);
        Layers::read(std::env::vars_os(), self.config.as_deref(), &flags)
    }

    /// The configuration of a command.
    ///
    /// # Errors
    /// The last thing that is wrong; those before it are on standard error then.
    pub(crate) fn load(&self, more: &[(&'static str, Option<String>)]) -> Result<Config> {
        self.layers(more).check().map(with_own_program).map_err(last)
    }

    /// The same for a process of workers only.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub(crate) fn load_worker(&self, more: &[(&'static str, Option<String>)]) -> Result<Config> {
        self.layers(more).check_worker().map(with_own_program).map_err(last)
    }
}

/// Models run in child processes of this program, unless another is set.
pub(crate) fn with_own_program(mut config: Config) -> Config {
    if cfg!(feature = "llama-cpp-native") && config.model_program.is_none() {
        config.model_program = std::env::current_exe().ok().map(ModelProgram::sutazai);
    }
    config
}

/// The last problem; those before it are said on standard error.
fn last(mut problems: Vec<Error>) -> Error {
    let last = problems.pop().unwrap_or_else(|| Error::internal("the configuration could not be read"));
    problems.iter().for_each(|problem| eprintln!("sutazai: {}", Printable(problem)));
    last
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look at this machine and say what it needs
    Analyze(Analyze),
    /// Run the HTTP server and its workers
    Serve(Serve),
    /// Run workers without a server, for tasks that other processes take
    Worker(Work),
    /// Bring the database's schema forward or back
    #[command(subcommand)]
    Migrate(Migrate),
    /// See, measure and fetch models
    #[command(subcommand)]
    Models(Models),
    /// See the effective configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Things only an operator may do
    #[command(subcommand)]
    Admin(Admin),
    /// Run one model for the process that started this one
    #[cfg(feature = "llama-cpp-native")]
    #[command(hide = true)]
    ModelProcess,
}

/// Look at this machine and say what it needs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sutazai analyze                 a report, with progress while the model writes
  sutazai analyze --no-model      the rules' own words, in a second
  sutazai analyze --watch 60      again every minute, until Ctrl-C
  sutazai analyze --exit-code     10 for medium, 11 for high, 12 for critical, 0 for low")]
pub(crate) struct Analyze {
    /// Print one JSON object to standard output, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
    /// Use the rules' own words
    #[arg(long)]
    pub(crate) no_model: bool,
    /// Repeat the analysis at this interval, until Ctrl-C
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) watch: Option<u64>,
    /// Tell the priority level by the exit code
    #[arg(long, conflicts_with = "watch")]
    pub(crate) exit_code: bool,
}

/// Run the HTTP server and its workers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sutazai serve
  sutazai serve --listen 0.0.0.0:8080 --database sqlite:///var/lib/sutazai/sutazai.db
  sutazai serve --workers 0       takes tasks, and leaves them to `sutazai worker`")]
pub(crate) struct Serve {
    #[arg(long, value_name = "ADDR:PORT", help = flag_help("LISTEN"))]
    pub(crate) listen: Option<String>,
    #[arg(long, value_name = "N", help = flag_help("WORKERS"))]
    pub(crate) workers: Option<String>,
    #[arg(long, value_name = "FORMAT", help = flag_help("LOG_FORMAT"))]
    pub(crate) log_format: Option<String>,
}

/// Run workers without a server, for tasks that other processes take
///
/// Any number of them, on any number of machines, share the work of one PostgreSQL database; no port is opened. On
/// SIGTERM what runs gets SHUTDOWN_GRACE_SECONDS to end, and is then handed back for others.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sutazai worker --database postgres://sutazai@db.example.org/sutazai
  sutazai worker --workers 16 --log-format json")]
pub(crate) struct Work {
    #[arg(long, value_name = "N", help = flag_help("WORKERS"))]
    pub(crate) workers: Option<String>,
    #[arg(long, value_name = "FORMAT", help = flag_help("LOG_FORMAT"))]
    pub(crate) log_format: Option<String>,
}

/// Bring the database's schema forward or back
#[derive(Debug, Subcommand)]
pub(crate) enum Migrate {
    /// Apply what is missing
    Up,
    /// Take the latest back; the data of what is taken back is lost
    Down {
        /// How many
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
    },
    /// Show what is applied
    Status,
}

/// See, measure and fetch models
#[derive(Debug, Subcommand)]
pub(crate) enum Models {
    /// The models that are really there
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Measure what a model may do, and store it
    ///
    /// Takes at most 60 s. A model that has not been measured writes nothing: the texts are then those of the rules. The
    /// result belongs to the weights of the model, whatever it is called.
    #[command(after_help = "\
Examples:
  sutazai models check                the model that answers by default
  sutazai models check tinyllama
  sutazai models check --json | jq .granted")]
    Check {
        /// Its name, as `models list` shows it; without, the model that answers by default
        name: Option<String>,
        /// Print one JSON object to standard output
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model through the first backend that can
    Pull {
        /// Its name, as the backend knows it
        name: String,
    },
}

/// See the effective configuration
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting with its origin, secrets hidden, and what is wrong
    Check,
    /// Print every setting with its meaning, its values and its default
    Settings {
        /// Print Markdown tables
        #[arg(long)]
        markdown: bool,
    },
}

/// Things only an operator may do
#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Add a user; the password is asked for, or read from a file or standard input
    #[command(after_help = "\
Examples:
  sutazai admin create-user --username ada --email ada@example.org --admin
  sutazai admin create-user --username ada --email ada@example.org --password-file /run/secrets/ada
  pwgen 20 1 | sutazai admin create-user --username ada --email ada@example.org --password-file -")]
    CreateUser {
        /// 3 to 50 of A-Z, a-z, 0-9 and _
        #[arg(long)]
        username: String,
        /// E-mail address
        #[arg(long)]
        email: String,
        /// File with the password; - for standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// May do everything
        #[arg(long)]
        admin: bool,
    },
    /// Print an invitation that is good for one registration, where registration is closed
    Invite {
        /// Hours until it expires, 1 to 720
        #[arg(long, default_value_t = 72, value_parser = clap::value_parser!(u32).range(1..=720))]
        hours: u32,
    },
    /// Delete a user with all their tasks, documents, conversations, schedules, keys and sessions
    #[command(after_help = "\
Examples:
  sutazai admin delete-user ada          asks for the username again
  sutazai admin delete-user ada --yes    asks nothing")]
    DeleteUser {
        /// Username or e-mail address
        #[arg(value_name = "USER")]
        login: String,
        /// Ask nothing
        #[arg(long)]
        yes: bool,
    },
}
