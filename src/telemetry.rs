//! shim
use std::sync::Arc;
/// x
pub fn exposition(_: Arc<crate::broker::Broker>) -> crate::server::Exposition {
    Arc::new(String::new)
}
