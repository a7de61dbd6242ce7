//! Values of models in this process.

use crate::config::{RunConfig, RuntimeConfig};
use crate::stage::policy_folder::PolicyFolder;
use anyhow::Result;
use espalier_policy::DevicesPolicy;
use espalier_search::{HeadReading, PolicyValuer, RatioValuer, Valuer};

/// The value head of a folder.
pub(super) fn head(folder: &PolicyFolder, config: &RunConfig) -> Result<Box<dyn Valuer + 'static>> {
    let rows = config.runtime.max_rows;
    Ok(Box::new(PolicyValuer::new(opened(folder, config)?, HeadReading, rows)))
}

/// The log-probability ratio of two folders.
pub(super) fn ratio(
    policy: &PolicyFolder,
    reference: &PolicyFolder,
    config: &RunConfig,
) -> Result<Box<dyn Valuer + 'static>> {
    let (policy, reference) = (opened(policy, config)?, opened(reference, config)?);
    Ok(Box::new(RatioValuer::new(policy, reference, config.values.beta, config.runtime.max_rows)))
}

/// A folder's model on the devices of values.
pub(super) fn opened(folder: &PolicyFolder, config: &RunConfig) -> Result<DevicesPolicy> {
    let runtime = &config.runtime;
    let device = config.values.device.clone().unwrap_or_else(|| runtime.device.clone());
    folder.open_policy(&RunConfig { runtime: RuntimeConfig { device, ..runtime.clone() }, ..config.clone() })
}
