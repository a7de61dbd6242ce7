//! The beginning and the end of a stage's work.

use super::place::remove;
use super::{Done, Identity, Place, Process, Record, now};
use crate::context::Context;
use anyhow::{Result, bail};
use espalier_files::{FilesError, Lock, ensure_creatable, publish_json, read_json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::time::{Duration, Instant};

/// The time between two notes of how long a process has worked.
const NOTE_EVERY: Duration = Duration::from_secs(30);

/// What a stage finds at the place of its output.
#[derive(Debug)]
pub enum Begun<M> {
    /// The stage was done by an earlier process, with this manifest.
    Done(M),
    /// There is work to do, or to go on with.
    Work(Work),
}

/// The right to work on an output, until it is finished or dropped.
#[derive(Debug)]
pub struct Work {
    place: Place,
    record: Record,
    /// Whether this process wrote the record first.
    is_fresh: bool,
    is_finished: bool,
    began: Instant,
    noted: Instant,
    _lock: Lock,
}

impl Drop for Work {
    /// What failed before it made anything, on a bad input say, leaves nothing: another try need not be the same.
    fn drop(&mut self) {
        if self.is_fresh && !self.is_finished {
            let _ = self.place.forget();
        }
    }
}

/// Looks at the place of an output, refuses a foreign one, and writes the record of a fresh one.
///
/// # Errors
/// An output that another process works on; one of another identity, with the key that differs; anything that no stage
/// made; a place that cannot be written.
pub fn begin<M: DeserializeOwned>(place: Place, identity: Identity, context: &Context) -> Result<Begun<M>> {
    ensure_creatable(&place.out)?;
    ensure_creatable(&place.record)?;
    let lock = Lock::acquire(&place.out)?;
    place.sweep()?;
    let found = found(&place, &identity, context)?;
    let is_fresh = found.is_none();
    let mut record = found.unwrap_or_else(|| Record {
        identity: identity.clone(),
        settings: serde_json::to_value(context.config).unwrap_or_default(),
        processes: Vec::new(),
        done: None,
    });
    if !is_fresh && place.is_complete() {
        for path in &place.scratch {
            remove(path)?;
        }
        if let Some(done) = &record.done {
            context.observer.noticed(&format!(
                "{} is done already, since {}: {} (--overwrite begins anew)",
                place.out.display(),
                done.at,
                done.result
            ));
        }
        return Ok(Begun::Done(read_json(&place.manifest)?));
    }
    place.check_published(|path| is_of(path, &identity, context.overwrite))?;
    record.processes.push(Process {
        program: context.program.clone(),
        device: context.config.runtime.device.clone(),
        began_at: now(),
        wall_s: 0.0,
    });
    let now = Instant::now();
    let mut work = Work { place, record, is_fresh, is_finished: false, began: now, noted: now, _lock: lock };
    work.write()?;
    Ok(Begun::Work(work))
}

/// The record at a place, if it is of this identity; none where nothing is.
fn found(place: &Place, identity: &Identity, context: &Context) -> Result<Option<Record>> {
    let shown = place.out.display();
    if !place.record.exists() {
        if let Some(stranger) = place.stranger()? {
            bail!(
                "{} is there, but no {} that says what made it (another program, or an earlier version); choose another \
                 --out or remove {shown}",
                stranger.display(),
                place.record.display()
            );
        }
        return Ok(None);
    }
    let record: Record = read_json(&place.record)?;
    let difference = record.identity.difference(identity);
    if context.overwrite && record.identity.stage == identity.stage {
        place.clear()?;
        return Ok(None);
    }
    match difference {
        None => Ok(Some(record)),
        Some(difference) => bail!(
            "{shown} holds {} of another {}: {difference}; choose another --out, or begin anew with --overwrite",
            if place.is_complete() { "the result" } else { "half" },
            record.identity.stage
        ),
    }
}

/// Whether a published folder's record is of this identity; with `overwrite`, of this stage.
fn is_of(path: &Path, identity: &Identity, overwrite: bool) -> Result<bool> {
    if !path.exists() {
        return Ok(false);
    }
    let record: Record = read_json(path)?;
    Ok(record.identity == *identity || overwrite && record.identity.stage == identity.stage)
}

impl Work {
    /// The record, as it is now.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Seconds of all processes that worked on the output.
    pub fn wall_s(&self) -> f64 {
        let mine = self.record.processes.last().map_or(0.0, |process| process.wall_s);
        self.record.wall_s() - mine + self.began.elapsed().as_secs_f64()
    }

    /// Notes now and then how long this process has worked, so that times add up after a kill.
    pub fn note(&mut self) -> Result<(), FilesError> {
        if self.noted.elapsed() >= NOTE_EVERY {
            self.write()?;
        }
        Ok(())
    }

    /// Publishes the manifest, which makes the output complete, and removes what served to go on after a kill.
    pub fn finish(mut self, manifest: &impl Serialize, result: &str) -> Result<()> {
        self.record.done = Some(Done { at: now(), result: result.to_owned() });
        self.write()?;
        publish_json(&self.place.manifest, manifest)?;
        self.is_finished = true;
        for path in &self.place.scratch {
            remove(path)?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), FilesError> {
        let elapsed = self.began.elapsed().as_secs_f64();
        if let Some(process) = self.record.processes.last_mut() {
            process.wall_s = elapsed;
        }
        self.noted = Instant::now();
        publish_json(&self.place.record, &self.record)
    }
}
