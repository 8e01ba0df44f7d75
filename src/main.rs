//! shim
use tidings::config::{Config, Flag, fault::Place};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let flags = args[1..]
        .chunks(2)
        .map(|c| Flag { place: Place::Default, key: c[0].clone(), value: c[1].clone() })
        .collect();
    let config = Config::load(None, [], flags)
        .map_err(|f| f.0.iter().map(|x| x.to_string()).collect::<Vec<_>>())
        .unwrap();
    tidings::cli::serve::run(&config).unwrap();
}
