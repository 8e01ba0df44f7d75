//! A broker that serves, and how it takes over another configuration without closing anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use super::inputs::{Inputs, Stamp};
use super::{Declared, Settings, listen, options};
use crate::cli::tls;
use crate::config::Config;
use crate::config::change::Changes;
use crate::graphql::definition::Definition;
use crate::graphql::sdl::model::Model;
use crate::server::{Handle, Layers};
use crate::telemetry::LogLevel;

/// What serves, and what it was made of.
pub(super) struct Running<'a> {
    pub(super) handle: Handle,
    /// What holds: where the file says otherwise only for the next start, as it was.
    pub(super) config: Config,
    /// The files as they were when they were last taken over.
    served: Stamp,
    /// The files that were last looked at, taken over or not, as they were then.
    inputs: Inputs,
    tried: Stamp,
    settings: &'a Settings,
    model: Model,
    log: LogLevel,
}

/// How long shards are waited for: signals wait as well.
const FOLLOW_WITHIN: Duration = Duration::from_secs(5);

impl<'a> Running<'a> {
    pub(super) fn start(
        settings: &'a Settings,
        config: Config,
        log: LogLevel,
    ) -> Result<Self, String> {
        let inputs = Inputs::of(settings, &config);
        let tried = inputs.stamp();
        let Declared { model, definition } = Declared::load(&config)?;
        let handle = listen(&config, definition, &options::connection(&config))?;
        Ok(Self { handle, config, served: tried.clone(), inputs, tried, settings, model, log })
    }

    /// The folders in which a change is to be looked at.
    pub(super) fn watched(&self) -> BTreeSet<PathBuf> {
        if self.config.schema.watch { self.inputs.folders() } else { BTreeSet::new() }
    }

    /// Is a file not what it was when it was last read?
    pub(super) fn is_outdated(&self) -> bool {
        self.inputs.stamp() != self.tried
    }

    /// Reads everything anew if a file is not what it was.
    pub(super) async fn reload_if_outdated(&mut self) {
        if self.is_outdated() {
            self.reload().await;
        }
    }

    /// Reads everything anew and takes over what can change. What is wrong changes nothing.
    pub(super) async fn reload(&mut self) {
        if let Err(faults) = self.try_reload().await {
            tracing::error!("nothing was reloaded: {faults}");
        }
    }

    async fn try_reload(&mut self) -> Result<(), String> {
        // Always before it is read: what changes meanwhile counts as a change.
        self.tried = self.inputs.stamp();
        let newer = self.settings.load().map_err(|faults| faults.to_string())?;
        self.inputs = Inputs::of(self.settings, &newer);
        self.tried = self.inputs.stamp_after(&self.tried);
        let Declared { model, definition } = Declared::load(&newer)?;
        let tls = tls::server(&newer)?;
        let changes = self.config.take_over(newer);
        let certificate = [&self.config.server.tls_cert, &self.config.server.tls_key];
        let mut certificate = certificate.into_iter().flatten();
        let is_renewed = certificate.any(|file| self.tried.differs(&self.served, file));
        let server = options::server(&self.config, tls);
        let types = differences(&self.model, &model);
        self.model = model;
        self.hold(definition).await;
        self.handle.set_options(server);
        self.served.clone_from(&self.tried);
        tell(&changes, &types, is_renewed);
        Ok(())
    }

    /// Holds every layer but the listener to the configuration.
    async fn hold(&self, definition: Definition) {
        let config = &self.config;
        let Layers { broker, schema, registry } = self.handle.layers();
        self.log.set(config.log.level);
        registry.set_limits(options::registry(config));
        let retention = options::retention(config, &definition.typed);
        let rules = options::broker(config, &definition.typed, broker.node().clone());
        // First what validates, then what delivers: no subscription gets what it did not ask for,
        // because shards look at the schema before they deliver, and new ones wait for both.
        schema.replace(definition, &options::graphql(config), || broker.set_options(rules));
        broker.set_retention(retention);
        broker.set_bounds(options::bounds(config));
        let follow = self.handle.shards().follow(options::connection(config));
        if tokio::time::timeout(FOLLOW_WITHIN, follow).await.is_err() {
            tracing::warn!("open connections are busy and follow later");
        }
    }
}

/// Says what has changed, in one line, and what is to change at the next start.
fn tell(changes: &Changes, types: &[String], is_renewed: bool) {
    let schema = (!types.is_empty()).then(|| format!("schema ({})", types.join(", ")));
    let keys = changes.taken.iter().map(|key| (*key).to_owned());
    let certificate = is_renewed.then(|| "the certificate".to_owned());
    let parts: Vec<String> = schema.into_iter().chain(certificate).chain(keys).collect();
    let what = if parts.is_empty() { "nothing has changed".to_owned() } else { parts.join(", ") };
    tracing::info!("reloaded: {what}");
    match changes.waiting.as_slice() {
        [] => {}
        [key] => tracing::warn!("{key} changed in the file; it takes effect at the next start"),
        keys => {
            let keys = keys.join(", ");
            tracing::warn!("{keys} changed in the file; they take effect at the next start");
        }
    }
}

/// Which types are new (`+`), gone (`-`) or other than they were (`~`), by name.
fn differences(old: &Model, new: &Model) -> Vec<String> {
    let (old, new) = (types(old), types(new));
    let mut names: Vec<&str> = old.keys().chain(new.keys()).copied().collect();
    names.sort_unstable();
    names.dedup();
    let sign = |name: &str| match (old.get(name), new.get(name)) {
        (None, _) => Some('+'),
        (_, None) => Some('-'),
        (before, now) if before != now => Some('~'),
        _ => None,
    };
    names.into_iter().filter_map(|name| Some(format!("{}{name}", sign(name)?))).collect()
}

/// All that a model says of each type.
fn types(model: &Model) -> BTreeMap<&str, Vec<String>> {
    let mut types: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut add = |name, said: &dyn Debug| {
        types.entry(name).or_default().push(format!("{said:?}"));
    };
    model.objects.iter().for_each(|object| add(object.name.as_str(), object));
    model.topics.iter().for_each(|topic| add(topic.object.as_str(), topic));
    model.enums.iter().for_each(|one| add(one.name.as_str(), one));
    model.scalars.iter().for_each(|scalar| add(scalar.name.as_str(), scalar));
    types
}
