//! A policy's folder as a model of LibTorch: loaded, sampled from, published.

use super::policy_folder::{PROMPTING, PolicyFolder};
use crate::config::{Place, RunConfig, RuntimeConfig};
use crate::context::Program;
use crate::contract::{RECORD, Record};
use anyhow::{Context, Result, bail};
use espalier_files::{Existing, publish_bytes, publish_folder, publish_json, read_json};
use espalier_model::Transformer;
use espalier_policy::{DevicesPolicy, ModelPolicy, PolicyConfig, Verifier};
use espalier_search::{Evaluation, Precision, Source};
use espalier_server::Servers;
use espalier_task::Prompting;
use espalier_tokenizer::Tokenizer;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use tch::Device;

/// Memory for keys and values on a device that does not say what it has free.
const DEVICE_CACHE_BYTES: usize = 4 << 30;

impl PolicyFolder {
    /// Loads weights, in float32 and on the first device, and tokenizer.
    pub fn load(&self, config: &RunConfig) -> Result<(Transformer, Tokenizer)> {
        use_threads(self.path(), config);
        Ok((self.load_on(device(&config.runtime)?, Precision::Float32)?, self.tokenizer()?))
    }

    fn load_on(&self, device: Device, precision: Precision) -> Result<Transformer> {
        let model = Transformer::load(self.path(), device, espalier_policy::kind(precision));
        model.with_context(|| format!("cannot load the policy {}", self.path().display()))
    }

    /// Loads the policy for sampling, once for each device.
    pub fn open_policy(&self, config: &RunConfig) -> Result<DevicesPolicy> {
        let threads = use_threads(self.path(), config);
        let tokenizer = Arc::new(self.tokenizer()?);
        let devices = devices(&config.runtime)?;
        let on_processor = devices.iter().filter(|&&device| device == Device::Cpu).count();
        let mut policies = Vec::new();
        for device in devices {
            let model = self.load_on(device, config.sampling.precision)?;
            // Models of one processor share its memory; those that are loaded already have their part.
            let open = on_processor.saturating_sub(policies.len()).max(1);
            let settings = PolicyConfig {
                sampling: config.sampling.clone(),
                max_rows: config.runtime.max_rows,
                cache_bytes: cache_bytes(
                    &config.runtime,
                    device,
                    open * (1 + models_of_values(&config.search.evaluation)),
                ),
                threads: (threads / on_processor.max(1)).max(1),
                ..PolicyConfig::default()
            };
            let policy = ModelPolicy::new(model, Arc::clone(&tokenizer), settings);
            policies.push(policy.context("cannot sample from the policy")?);
        }
        DevicesPolicy::new(policies).context("cannot sample from the policy")
    }

    /// Loads the model as a scorer of states, on the first device.
    ///
    /// # Errors
    /// A folder without a value head, or one that cannot be loaded.
    pub fn open_verifier(&self, config: &RunConfig) -> Result<Verifier> {
        self.check_value_head()?;
        let threads = use_threads(self.path(), config);
        let device = device(&config.runtime)?;
        let settings = PolicyConfig {
            sampling: config.sampling.clone(),
            cache_bytes: cache_bytes(&config.runtime, device, 1),
            threads,
            ..PolicyConfig::default()
        };
        let verifier = Verifier::new(self.load_on(device, config.sampling.precision)?, &settings);
        verifier.with_context(|| format!("cannot value states by {}", self.path().display()))
    }
}

/// Models in this process that make values beside the policy.
fn models_of_values(evaluation: &Evaluation) -> usize {
    let Evaluation::Outside(outside) = evaluation else { return 0 };
    let models = outside.sources.iter().map(|source| match source {
        Source::Folder(_) => 1,
        Source::Implicit(_) => 2,
        Source::Prover(place) => usize::from(!Servers::is_address(place)),
        Source::Server(_) | Source::Own => 0,
    });
    models.sum()
}

/// Memory for the keys and values of one of `open` models on a device.
fn cache_bytes(runtime: &RuntimeConfig, device: Device, open: usize) -> usize {
    match (runtime.cache_mib, device) {
        (0, Device::Cpu) => available_bytes().map_or(DEVICE_CACHE_BYTES, |free| free / 2 / open),
        (0, _) => DEVICE_CACHE_BYTES,
        (mebibytes, _) => mebibytes << 20,
    }
}

/// What a policy's folder holds beside weights, value head and tokenizer.
#[derive(Clone, Debug, Default)]
pub struct Published<'a> {
    /// How its prompts are written.
    pub prompting: Option<Prompting>,
    /// The adapter that is merged into the weights, with the policy it belongs to, as PEFT reads it.
    pub adapter: Option<(&'a Path, &'a Path)>,
    /// How the policy was made; the model card says it in words.
    pub record: Option<&'a Record>,
}

/// Publishes a policy.
pub fn save(
    out: &Path,
    existing: Existing,
    model: &Transformer,
    tokenizer: &Tokenizer,
    published: &Published,
) -> Result<()> {
    publish_folder(out, existing, |folder| {
        model.save(folder).with_context(|| format!("cannot save the model to {}", folder.display()))?;
        tokenizer.save(folder).with_context(|| format!("cannot save the tokenizer to {}", folder.display()))?;
        if let Some((adapter, base)) = published.adapter {
            copy_adapter(adapter, base, &folder.join("adapter"))?;
        }
        if let Some(prompting) = &published.prompting {
            publish_json(&folder.join(PROMPTING), prompting)?;
        }
        if let Some(record) = published.record {
            publish_json(&folder.join(RECORD), record)?;
            publish_bytes(&folder.join("README.md"), card(record).as_bytes())?;
        }
        anyhow::Ok(())
    })
}

/// The model card, with the fields that model hubs read in front.
fn card(record: &Record) -> String {
    let Record { identity, processes, .. } = record;
    let mut card = format!(
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags:\n- espalier\n- {0}\n---\n\n# A policy made by \
         espalier, stage {0}\n\n`stage.json` in this folder holds all settings.\n\n| what | |\n|---|---|\n",
        identity.stage
    );
    // Writing to a String cannot fail.
    for (name, hash) in &identity.inputs {
        let _ = writeln!(card, "| SHA-256 of the {name} | `{hash}` |");
    }
    for (key, value) in &identity.settings {
        let _ = writeln!(card, "| `{key}` | `{value}` |");
    }
    for process in processes {
        let Program { version, revision, command, .. } = &process.program;
        let _ = writeln!(
            card,
            "| {} on {} | espalier {version} ({revision}): `{}` |",
            process.began_at,
            process.device,
            command.join(" ")
        );
    }
    card
}

fn copy_adapter(from: &Path, base: &Path, to: &Path) -> Result<()> {
    let problem = || format!("cannot copy the adapter {} to {}", from.display(), to.display());
    std::fs::create_dir_all(to).with_context(problem)?;
    let (weights, config) = ("adapter_model.safetensors", "adapter_config.json");
    std::fs::copy(from.join(weights), to.join(weights)).with_context(problem)?;
    let mut described: serde_json::Value = read_json(&from.join(config))?;
    described["base_model_name_or_path"] = base.to_string_lossy().into();
    Ok(publish_json(&to.join(config), &described)?)
}

/// The devices that a configuration names.
///
/// # Errors
/// When LibTorch does not see one of them.
pub fn devices(runtime: &RuntimeConfig) -> Result<Vec<Device>> {
    let found = || tch::Cuda::device_count();
    let mut devices = Vec::new();
    for place in runtime.places() {
        match place {
            Place::Cpu => devices.push(Device::Cpu),
            Place::Cuda(index) if (index as i64) < found() => devices.push(Device::Cuda(index)),
            Place::AllCuda if found() > 0 => devices.extend((0..found() as usize).map(Device::Cuda)),
            Place::Cuda(_) | Place::AllCuda => {
                bail!("runtime.device is {:?}, but LibTorch sees {} CUDA devices", runtime.device, found())
            }
        }
    }
    Ok(devices)
}

/// The first device that a configuration names: where models are trained.
///
/// # Errors
/// As [`devices`].
pub fn device(runtime: &RuntimeConfig) -> Result<Device> {
    Ok(devices(runtime)?.first().copied().unwrap_or(Device::Cpu))
}

/// Main memory that this process may still take, where Linux says so: what is free, and what the control group leaves.
fn available_bytes() -> Option<usize> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let info = read("/proc/meminfo")?;
    let line = info.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let free = line.split_whitespace().nth(1)?.parse::<usize>().ok()? << 10;
    let number = |path: &str| read(path)?.trim().parse::<usize>().ok();
    let group = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .map(|(most, taken)| most.saturating_sub(taken));
    Some(group.map_or(free, |left| left.min(free)))
}

/// Bytes of weights for which one more thread pays: with fewer, waking it for each operation costs more than it does. Small
/// models keep to one thread on every machine, so that their results are the same on all of them.
const WEIGHTS_PER_THREAD: u64 = 32 << 20;

/// Sets LibTorch's threads for the model in a folder, and returns them; results are the same for the same number.
fn use_threads(folder: &Path, config: &RunConfig) -> usize {
    // What the scheduler and a container's quota leave to this process.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = match config.runtime.threads {
        0 => threads_for(weight_bytes(folder), cores),
        threads => threads,
    };
    tch::set_num_threads(threads as i32);
    threads
}

fn threads_for(weights: u64, cores: usize) -> usize {
    cores.min(1 + (weights / WEIGHTS_PER_THREAD) as usize)
}

/// Bytes of the weights in a folder; 0 where it cannot be read, which the loading of the model reports.
fn weight_bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let weights = files.filter(|file| file.path().extension().is_some_and(|kind| kind == "safetensors"));
    weights.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_models_keep_to_one_thread_and_large_ones_take_all() {
        // The embedded policy has about 4 MB, SmolLM2-135M 538 MB in float32, a model of 7B 14 GB in bfloat16.
        let threads = |bytes| [1, 2, 64].map(|cores| threads_for(bytes, cores));
        assert_eq!(threads(0), [1, 1, 1]);
        assert_eq!(threads(4_000_000), [1, 1, 1]);
        assert_eq!(threads(538_000_000), [1, 2, 17]);
        assert_eq!(threads(14_000_000_000), [1, 2, 64]);
    }
}
