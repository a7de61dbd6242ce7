//! Tables `runtime` and `storage`: where a command runs, how wide, and how its outputs are cut into files.

use espalier_settings::range::{at_least, between, such_that};
use espalier_settings::settings;

settings! {
    /// Where and how wide a command runs. Nothing here decides a result, only how fast it comes.
    #[derive(Eq)]
    pub struct RuntimeConfig {
        /// Where models run: one device, or several with commas between, which share the trees of a search; training takes the first.
        pub device: String = "cpu".into(), such_that("cpu, cuda, cuda:N, cuda:all, or several of them with commas between", |name: &String| name.split(',').all(|name| Place::named(name).is_some()));
        /// Threads that compute with a model; 0 takes as many as the model is large enough for, one for each 32 MiB of weights, and at most the cores left to this process.
        pub threads: usize = 0, between(0, 1024);
        /// Sequences decoded at the same time on each device; with servers, requests to them.
        pub max_rows: usize = 96, at_least(1);
        /// Memory for keys and values on each device, MiB; 0 takes half of what is free in main memory, and 4096 on other devices.
        pub cache_mib: usize = 0;
        /// Trees searched at the same time.
        pub in_flight: usize = 64, at_least(1);
    }
}

settings! {
    /// How outputs are cut into files.
    #[derive(Eq)]
    pub struct StorageConfig {
        /// Trees in one Parquet shard.
        pub shard_trees: usize = 64, at_least(1);
    }
}

/// A device, or all of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The processor.
    Cpu,
    /// A CUDA device by its index.
    Cuda(usize),
    /// All CUDA devices.
    AllCuda,
}

impl Place {
    fn named(name: &str) -> Option<Place> {
        match name {
            "cpu" => Some(Place::Cpu),
            "cuda" => Some(Place::Cuda(0)),
            "cuda:all" => Some(Place::AllCuda),
            name => Some(Place::Cuda(name.strip_prefix("cuda:")?.parse().ok()?)),
        }
    }
}

impl RuntimeConfig {
    /// Where models run.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.device.split(',').filter_map(Place::named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names() {
        let on = |device: &str| RuntimeConfig { device: device.into(), ..RuntimeConfig::default() };
        let places = |device: &str| on(device).places().collect::<Vec<_>>();
        assert_eq!(places("cpu,cpu"), [Place::Cpu, Place::Cpu]);
        assert_eq!(places("cuda,cuda:3,cuda:all"), [Place::Cuda(0), Place::Cuda(3), Place::AllCuda]);
        assert!(on("cuda:3,cpu").check().is_ok());
        let wanted = "but must be cpu, cuda, cuda:N, cuda:all, or several of them with commas between";
        for device in ["tpu", "", "cpu,", "cuda:x"] {
            assert_eq!(on(device).check().unwrap_err().to_string(), format!("device is {device:?}, {wanted}"));
        }
    }
}
