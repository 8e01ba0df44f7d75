//! The flags that change the configuration, and the way from all sources to a [`Config`].

use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::fault::{Faults, Place};
use crate::config::{Config, Flag, keys};

/// Flags of every command that needs the configuration.
#[derive(Debug, Args)]
pub(super) struct Settings {
    #[arg(
        long,
        value_name = "FILE",
        help = "Configuration file [default: tidings.toml, if there is one; variable: \
                TIDINGS_CONFIG]"
    )]
    pub(super) config: Option<PathBuf>,
    /// Where clients connect [default: 127.0.0.1:4000]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where metrics and health are served [default: 127.0.0.1:4001]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Lets pages of this origin connect; may be given several times
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,
    /// Serves other than loopback addresses although no key is configured
    #[arg(long)]
    insecure: bool,
    /// Serves https:// and wss:// with the certificate in this PEM file, then its intermediates
    #[arg(long, value_name = "PEM")]
    tls_cert: Option<String>,
    /// The private key of that certificate
    #[arg(long, value_name = "PEM")]
    tls_key: Option<String>,
    /// Keeps messages in this folder, so that they survive restarts and power losses
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Declares typed topics in the *.graphql files of this folder
    #[arg(long, value_name = "DIR")]
    schema: Option<String>,
    /// Reloads when one of these files changes, as on SIGHUP
    #[arg(long)]
    watch: bool,
    /// Least severe level to log: off, error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    /// How a log line looks: text or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    #[arg(
        long,
        value_name = "SECTION.KEY=VALUE",
        value_parser = assignment,
        help = "Sets any key of tidings.toml, as in limits.init_timeout=1s; may be given several \
                times"
    )]
    set: Vec<Assignment>,
}

#[derive(Debug, Clone)]
struct Assignment {
    key: String,
    value: String,
}

fn assignment(text: &str) -> Result<Assignment, String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("no value; write SECTION.KEY=VALUE, as in limits.init_timeout=1s")?;
    Ok(Assignment { key: key.trim().to_owned(), value: value.to_owned() })
}

const DEFAULT_FILE: &str = "tidings.toml";
const FILE_VARIABLE: &str = "TIDINGS_CONFIG";

impl Settings {
    /// The configuration of file, variables and these flags.
    pub(super) fn load(&self) -> Result<Config, Faults> {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            let name = name.into_string().ok()?;
            Some((name, value.to_string_lossy().into_owned()))
        };
        let ours = |(name, _): &(String, String)| name.starts_with(keys::PREFIX);
        let variables = std::env::vars_os().filter_map(text).filter(ours);
        Config::load(self.file().as_deref(), variables, self.flags())
    }

    /// The file that is read, if any.
    pub(super) fn file(&self) -> Option<PathBuf> {
        #[expect(clippy::disallowed_methods, reason = "this is the command line")]
        let variable = std::env::var_os(FILE_VARIABLE);
        let named = self.config.clone().or(variable.map(PathBuf::from));
        named.or_else(|| Some(Path::new(DEFAULT_FILE).to_owned()).filter(|path| path.exists()))
    }

    /// The file that would be read if it were there.
    pub(super) fn possible_file(&self) -> PathBuf {
        self.file().unwrap_or_else(|| DEFAULT_FILE.into())
    }

    fn flags(&self) -> Vec<Flag> {
        let flag = |flag, key: &str, value: &str| Flag {
            place: Place::Flag(flag),
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let own = [
            ("--listen", "server.listen", self.listen.clone()),
            ("--admin-listen", "server.admin_listen", self.admin_listen.clone()),
            ("--tls-cert", "server.tls_cert", self.tls_cert.clone()),
            ("--tls-key", "server.tls_key", self.tls_key.clone()),
            ("--data", "data.dir", self.data.clone()),
            ("--schema", "schema.dir", self.schema.clone()),
            ("--watch", "schema.watch", self.watch.then(|| "true".to_owned())),
            ("--log", "log.level", self.log.clone()),
            ("--log-format", "log.format", self.log_format.clone()),
            ("--insecure", "server.insecure", self.insecure.then(|| "true".to_owned())),
            (
                "--origin",
                "server.origins",
                (!self.origin.is_empty()).then(|| self.origin.join(",")),
            ),
        ];
        let set = self.set.iter().map(|Assignment { key, value }| Flag {
            place: Place::Set(key.clone()),
            key: key.clone(),
            value: value.clone(),
        });
        let own =
            own.iter().filter_map(|(name, key, value)| Some(flag(name, key, value.as_ref()?)));
        set.chain(own).collect()
    }
}
