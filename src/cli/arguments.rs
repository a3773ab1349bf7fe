//! Command line of the binary: commands, flags and their help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use sutazai::adapter::flag_help;
use sutazai::config::{Config, Layers, ModelProgram};
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
  sutazai analyze                          a report on this machine
  sutazai analyze --json | jq .findings    the report for programs
  sutazai --model-backends llama-cpp=/models/small.gguf analyze
  sutazai serve --listen 127.0.0.1:10010   the HTTP server
  sutazai config check                     every setting, and every problem

Exit codes: 0 done, 1 an error of the program, 2 wrong usage or configuration,
3 something needed cannot be reached, 4 not found, 5 refused (conflict, not
allowed), 130 interrupted; those of analyze --exit-code are in its help."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: SettingFlags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Settings that every command understands; a flag overrides its environment variable and the file.
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
    /// Returns the values of the environment, the file and these flags, with `more` flags of one command.
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

    /// Returns the configuration of a command.
    ///
    /// # Errors
    /// The last problem; those before it are printed to standard error.
    pub(crate) fn load(&self, more: &[(&'static str, Option<String>)]) -> Result<Config> {
        self.layers(more).check().map(with_own_program).map_err(last)
    }

    /// Returns the configuration of a process that runs workers only.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub(crate) fn load_worker(&self, more: &[(&'static str, Option<String>)]) -> Result<Config> {
        self.layers(more).check_worker().map(with_own_program).map_err(last)
    }
}

/// Runs models in child processes of this program, unless another program is configured.
pub(crate) fn with_own_program(mut config: Config) -> Config {
    if cfg!(feature = "llama-cpp-native") && config.model_program.is_none() {
        config.model_program = std::env::current_exe().ok().map(ModelProgram::sutazai);
    }
    config
}

/// Returns the last problem, and prints those before it to standard error.
fn last(mut problems: Vec<Error>) -> Error {
    let last = problems.pop().unwrap_or_else(|| Error::internal("the configuration could not be read"));
    problems.iter().for_each(|problem| eprintln!("sutazai: {}", Printable(problem)));
    last
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Analyze this machine and print recommendations
    Analyze(Analyze),
    /// Run the HTTP server and its workers
    Serve(Serve),
    /// Run workers without a server, for tasks that other processes accept
    Worker(Work),
    /// Migrate the database's schema forward or back
    #[command(subcommand)]
    Migrate(Migrate),
    /// List, measure and download models
    #[command(subcommand)]
    Models(Models),
    /// Show the effective configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the OpenAPI document of the HTTP API
    #[command(after_help = "\
Examples:
  sutazai openapi > openapi.json    the document of GET /api/openapi.json, without a server")]
    Openapi,
    /// Manage users as an operator of the database
    #[command(subcommand)]
    Admin(Admin),
    /// Run one model for the process that started this one
    #[cfg(feature = "llama-cpp-native")]
    #[command(hide = true)]
    ModelProcess,
}

/// Analyze this machine and print recommendations
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sutazai analyze                 a report, with progress while the model writes
  sutazai analyze --no-model      the texts of the rules, in a second
  sutazai analyze --watch 60      again every minute, until Ctrl-C
  sutazai analyze --exit-code     10 for medium, 11 for high, 12 for critical, 0 for low")]
pub(crate) struct Analyze {
    /// Print one JSON object to standard output and nothing else
    #[arg(long)]
    pub(crate) json: bool,
    /// Use the texts of the rules, without a model
    #[arg(long)]
    pub(crate) no_model: bool,
    /// Repeat the analysis at this interval, until Ctrl-C
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) watch: Option<u64>,
    /// Report the priority level by the exit code
    #[arg(long, conflicts_with = "watch")]
    pub(crate) exit_code: bool,
}

/// Run the HTTP server and its workers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sutazai serve
  sutazai serve --listen 0.0.0.0:8080 --database sqlite:///var/lib/sutazai/sutazai.db
  sutazai serve --open            opens the web interface in a browser
  sutazai serve --workers 0       accepts tasks for `sutazai worker`")]
pub(crate) struct Serve {
    #[arg(long, value_name = "ADDR:PORT", help = flag_help("LISTEN"))]
    pub(crate) listen: Option<String>,
    #[arg(long, value_name = "N", help = flag_help("WORKERS"))]
    pub(crate) workers: Option<String>,
    #[arg(long, value_name = "FORMAT", help = flag_help("LOG_FORMAT"))]
    pub(crate) log_format: Option<String>,
    /// Open the web interface in a browser, or print its address where there is none
    #[arg(long)]
    pub(crate) open: bool,
}

/// Run workers without a server, for tasks that other processes accept
///
/// Any number of workers, on any number of machines, share the tasks of one PostgreSQL database; no port is
/// opened. On SIGTERM, running tasks get SHUTDOWN_GRACE_SECONDS to end; then they are released for other
/// workers.
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

/// Migrate the database's schema forward or back
#[derive(Debug, Subcommand)]
pub(crate) enum Migrate {
    /// Apply all migrations that are missing
    Up,
    /// Revert the latest migrations; the data that they introduced is lost
    Down {
        /// Number of migrations to revert
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
    },
    /// Show the state of every migration
    Status,
}

/// List, measure and download models
#[derive(Debug, Subcommand)]
pub(crate) enum Models {
    /// List the models that the backends have
    List {
        /// Print one JSON array to standard output
        #[arg(long)]
        json: bool,
    },
    /// Measure the permissions of a model and store them
    ///
    /// Takes at most 60 s. A model that has not been measured writes nothing: the texts then come from the
    /// rules. The result belongs to the weights of the model, regardless of its name.
    #[command(after_help = "\
Examples:
  sutazai models check                the model that answers by default
  sutazai models check tinyllama
  sutazai models check --json | jq .granted")]
    Check {
        /// Name of the model, as `models list` shows it; default: the model that answers by default
        name: Option<String>,
        /// Print one JSON object to standard output
        #[arg(long)]
        json: bool,
    },
    /// Download a model through the first backend that can
    Pull {
        /// Name of the model, as its backend knows it
        name: String,
    },
}

/// Show the effective configuration
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting with its origin, secrets hidden, and every problem
    Check,
    /// Print every setting with its meaning, its values and its default
    Settings {
        /// Print the settings as Markdown tables
        #[arg(long)]
        markdown: bool,
    },
}

/// Manage users as an operator of the database
#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Create a user; the password is asked for, or read from a file or standard input
    #[command(after_help = "\
Examples:
  sutazai admin create-user --username ada --email ada@example.org --admin
  sutazai admin create-user --username ada --email ada@example.org --password-file /run/secrets/ada
  pwgen 20 1 | sutazai admin create-user --username ada --email ada@example.org --password-file -")]
    CreateUser {
        /// Username: 3 to 50 of A-Z, a-z, 0-9 and _
        #[arg(long)]
        username: String,
        /// E-mail address of the user
        #[arg(long)]
        email: String,
        /// File with the password; - for standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Create the user as an admin
        #[arg(long)]
        admin: bool,
    },
    /// Print an invitation to one registration, for servers where registration is closed
    Invite {
        /// Hours until it expires, 1 to 720
        #[arg(long, default_value_t = 72, value_parser = clap::value_parser!(u32).range(1..=720))]
        hours: u32,
    },
    /// Delete a user with all their tasks, documents, conversations, schedules, keys and sessions
    #[command(after_help = "\
Examples:
  sutazai admin delete-user ada          asks for the username again
  sutazai admin delete-user ada --yes    without confirmation")]
    DeleteUser {
        /// Username or e-mail address
        #[arg(value_name = "USER")]
        login: String,
        /// Delete without asking for confirmation
        #[arg(long)]
        yes: bool,
    },
}
