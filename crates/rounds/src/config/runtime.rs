//! Tables `runtime` and `storage`: where a command runs, how wide, and how its outputs are cut into files.

use espalier_settings::range::{at_least, between, such_that};
use espalier_settings::settings;

settings! {
    /// Where and how wide a command runs. Nothing here decides a result, only how fast it comes.
    #[derive(Eq)]
    pub struct RuntimeConfig {
        /// Where models run.
        pub device: String = "cpu".into(), such_that("cpu, cuda or cuda:N", |name: &String| name == "cpu" || cuda_index(name).is_some());
        /// Threads of LibTorch; 0 takes as many as the model is large enough for, one for each 32 MiB of weights, and at most the cores left to this process.
        pub threads: usize = 0, between(0, 1024);
        /// Sequences decoded at the same time; with servers, requests to them.
        pub max_rows: usize = 96, at_least(1);
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

impl RuntimeConfig {
    /// The CUDA device by its index; `None` is the processor.
    pub fn cuda(&self) -> Option<usize> {
        cuda_index(&self.device)
    }
}

fn cuda_index(name: &str) -> Option<usize> {
    if name == "cuda" { Some(0) } else { name.strip_prefix("cuda:")?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names() {
        let on = |device: &str| RuntimeConfig { device: device.into(), ..RuntimeConfig::default() };
        assert_eq!((on("cpu").cuda(), on("cuda").cuda(), on("cuda:3").cuda()), (None, Some(0), Some(3)));
        assert!(on("cuda:3").check().is_ok());
        assert_eq!(on("tpu").check().unwrap_err().to_string(), "device is \"tpu\", but must be cpu, cuda or cuda:N");
    }
}
