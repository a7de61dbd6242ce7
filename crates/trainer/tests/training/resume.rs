//! A training stage that was stopped continues with the same bits.

use crate::toy::{self, StopAfter};
use crate::verifier::{RULES, siblings};
use espalier_files::{publish_bytes, remove_folder};
use espalier_model::Transformer;
use espalier_trainer::{
    JointExample, Objective, Observer, TrainConfig, TrainSummary, TrainerError, Trunk, VerifierObjective,
    VerifierRules, state_folder,
};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

type Stage = fn(&mut Transformer, &TrainConfig, &Path, &mut dyn Observer) -> Result<TrainSummary, TrainerError>;

fn sft(
    model: &mut Transformer,
    config: &TrainConfig,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<TrainSummary, TrainerError> {
    toy::trainer(model, config, folder, observer).sft(&toy::sequences(14))
}

fn preference(
    model: &mut Transformer,
    config: &TrainConfig,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<TrainSummary, TrainerError> {
    let objective = Objective::new("step_apo", &std::collections::BTreeMap::new())?;
    toy::trainer(model, config, folder, observer).prefer_pairs(&toy::pairs(14), &[], &objective)
}

fn value(
    model: &mut Transformer,
    config: &TrainConfig,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<TrainSummary, TrainerError> {
    toy::trainer(model, config, folder, observer).value(&toy::valued(14))
}

fn joint(
    model: &mut Transformer,
    config: &TrainConfig,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<TrainSummary, TrainerError> {
    let paths = toy::sequences(7).into_iter().map(JointExample::Path);
    let data: Vec<JointExample> = paths.chain(toy::valued(7).into_iter().map(JointExample::States)).collect();
    toy::trainer(model, config, folder, observer).joint(&data, 0.3)
}

fn verifier(
    model: &mut Transformer,
    config: &TrainConfig,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<TrainSummary, TrainerError> {
    let rules = VerifierRules { heads: 2, objective: VerifierObjective::Both, ..RULES };
    toy::trainer(model, config, folder, observer).verifier(&siblings(14), rules)
}

fn frozen_verifier(
    model: &mut Transformer,
    config: &TrainConfig,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<TrainSummary, TrainerError> {
    let rules = VerifierRules { trunk: Trunk::Frozen, ..RULES };
    toy::trainer(model, config, folder, observer).verifier(&siblings(14), rules)
}

/// All that training changes, as bits.
fn outcome(model: &Transformer) -> Vec<(String, Vec<u32>)> {
    let mut bits = toy::bits(model);
    if let Some(head) = model.value_head() {
        let values = Vec::<f32>::try_from(head.reshape([-1])).unwrap();
        bits.push(("value_head".into(), values.into_iter().map(f32::to_bits).collect()));
    }
    bits
}

/// Metrics without the one number that measures time.
fn timeless(folder: &Path) -> Vec<serde_json::Value> {
    let mut lines = toy::metrics(folder);
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("tokens_per_s");
    }
    lines
}

#[test]
fn stopped_at_any_step_every_stage_ends_with_the_same_bits() {
    // 4 batches an epoch, 12 steps.
    let config = TrainConfig { epochs: 3, save_every_s: 0.0, ..toy::config() };
    let stages = [
        ("sft", sft as Stage),
        ("preference", preference),
        ("value", value),
        ("joint", joint),
        ("verifier", verifier),
        ("frozen verifier", frozen_verifier),
    ];
    for (name, stage) in stages {
        let whole = tempfile::tempdir().unwrap();
        let mut model = toy::model();
        stage(&mut model, &config, whole.path(), &mut ()).unwrap();
        let expected = outcome(&model);
        for (step, gracefully) in [(1, true), (4, false), (7, true), (11, false)] {
            let folder = tempfile::tempdir().unwrap();
            let mut stopper = StopAfter { step, gracefully };
            stage(&mut toy::model(), &config, folder.path(), &mut stopper).unwrap_err();
            let mut model = toy::model();
            let summary = stage(&mut model, &config, folder.path(), &mut ()).unwrap();
            assert_eq!(summary.resumed_from, Some(step), "{name}");
            assert_eq!(outcome(&model), expected, "{name} stopped at {step}");
            assert_eq!(timeless(folder.path()), timeless(whole.path()), "{name} stopped at {step}");
        }
    }
}

#[test]
fn work_since_the_last_save_is_done_again() {
    let config = TrainConfig { epochs: 3, ..toy::config() }; // saves only when asked
    let whole = tempfile::tempdir().unwrap();
    let mut expected = toy::model();
    sft(&mut expected, &config, whole.path(), &mut ()).unwrap();

    let folder = tempfile::tempdir().unwrap();
    sft(&mut toy::model(), &config, folder.path(), &mut StopAfter { step: 3, gracefully: true }).unwrap_err();
    sft(&mut toy::model(), &config, folder.path(), &mut StopAfter { step: 6, gracefully: false }).unwrap_err();
    assert_eq!(toy::metrics(folder.path()).len(), 6);
    let mut model = toy::model();
    let summary = sft(&mut model, &config, folder.path(), &mut ()).unwrap();
    assert_eq!(summary.resumed_from, Some(3));
    assert_eq!(toy::bits(&model), toy::bits(&expected));
    assert_eq!(timeless(folder.path()), timeless(whole.path()));
}

#[test]
fn a_finished_stage_only_hands_its_result_out_until_its_state_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { epochs: 1, ..toy::config() };
    let mut model = toy::model();
    let first = sft(&mut model, &config, folder.path(), &mut ()).unwrap();
    let lines = toy::metrics(folder.path());
    let mut again = toy::model();
    let second = sft(&mut again, &config, folder.path(), &mut StopAfter { step: 0, gracefully: false }).unwrap();
    assert_eq!(toy::bits(&again), toy::bits(&model));
    assert_eq!((second.final_loss, second.steps, second.tokens), (first.final_loss, first.steps, 0));
    assert_eq!(toy::metrics(folder.path()), lines);
    remove_folder(&state_folder(folder.path())).unwrap();
    remove_folder(&state_folder(folder.path())).unwrap();
    assert_eq!(sft(&mut toy::model(), &config, folder.path(), &mut ()).unwrap().resumed_from, None);
    assert_eq!(timeless(folder.path()).len(), lines.len());
}

/// Counts the batches of the reference's pass, and ends the process at one of them or after a step.
struct Count {
    batches: usize,
    dies_at: usize,
    stopper: StopAfter,
}

impl Observer for Count {
    fn step(&mut self, step: u64, total: u64, loss: f64) -> Result<(), TrainerError> {
        self.stopper.step(step, total, loss)
    }
    fn preparing(&mut self, done: usize, total: usize) -> Result<(), TrainerError> {
        assert!(done <= total);
        self.batches += 1;
        let killed = || TrainerError::Io { path: "killed".into(), source: std::io::Error::other("killed") };
        if self.batches == self.dies_at { Err(killed()) } else { Ok(()) }
    }
}

#[test]
fn no_batch_of_the_reference_is_computed_twice() {
    let config = TrainConfig { micro_batch_tokens: 32, ..toy::config() };
    let run = |folder: &Path, dies_at, step| {
        let mut count = Count { batches: 0, dies_at, stopper: StopAfter { step, gracefully: true } };
        let mut model = toy::model();
        let _ = preference(&mut model, &config, folder, &mut count);
        (count.batches, toy::bits(&model))
    };
    let (whole, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (all, expected) = run(whole.path(), 0, u64::MAX);
    assert!(all >= 5, "{all} batches");
    let counts = [(2, 9), (1, 9), (0, 2), (0, 4)].map(|(dies_at, step)| run(folder.path(), dies_at, step).0);
    assert_eq!(counts, [2, 1, all - 3, 0]);
    assert_eq!(run(folder.path(), 0, u64::MAX), (0, expected.clone()));

    // A damaged record and those behind it are computed again.
    let states = state_folder(folder.path());
    let entries = std::fs::read_dir(&states).unwrap().map(|entry| entry.unwrap().path());
    let journal = entries.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "journal")).unwrap();
    damage(&journal);
    let bytes = std::fs::read(&journal).unwrap();
    remove_folder(&states).unwrap();
    publish_bytes(&journal, &bytes).unwrap();
    let (again, bits) = run(folder.path(), 0, u64::MAX);
    assert!((1..all).contains(&again) && bits == expected, "{again} of {all}");
}

#[test]
fn the_state_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = toy::config();
    let mut stopper = StopAfter { step: 2, gracefully: true };
    sft(&mut toy::model(), &config, folder.path(), &mut stopper).unwrap_err();
    let refused = |what: &str, result: Result<TrainSummary, TrainerError>| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(&format!("another {what}; continue with the same or remove the folder")), "{error}");
    };
    let data = toy::sequences(13);
    refused("set of examples", toy::trainer(&mut toy::model(), &config, folder.path(), &mut ()).sft(&data));
    let other = TrainConfig { learning_rate: 2e-2, ..config.clone() };
    refused("configuration", sft(&mut toy::model(), &other, folder.path(), &mut ()));
    refused("stage", value(&mut toy::model(), &config, folder.path(), &mut ()));
    let trained = tempfile::tempdir().unwrap();
    let mut model = toy::model();
    sft(&mut model, &config, trained.path(), &mut ()).unwrap();
    refused("starting model", sft(&mut model, &config, folder.path(), &mut ()));
    // How often to save is not part of the result.
    let often = TrainConfig { save_every_s: 0.0, ..config };
    assert_eq!(sft(&mut toy::model(), &often, folder.path(), &mut ()).unwrap().resumed_from, Some(2));
}

/// Follows a training up to a step, and takes down what it is told.
struct Told(StopAfter, Vec<String>);

impl Observer for Told {
    fn step(&mut self, step: u64, total: u64, loss: f64) -> Result<(), TrainerError> {
        self.0.step(step, total, loss)
    }
    fn notice(&mut self, notice: &str) {
        self.1.push(notice.to_owned());
    }
}

fn told() -> Told {
    Told(StopAfter { step: u64::MAX, gracefully: false }, Vec::new())
}

/// Changes one byte of a file, in the middle.
fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    publish_bytes(path, &bytes).unwrap();
}

#[test]
fn a_damaged_state_gives_way_to_the_one_before_and_then_to_the_beginning() {
    let config = TrainConfig { epochs: 2, save_every_s: 0.0, ..toy::config() };
    let whole = tempfile::tempdir().unwrap();
    let mut expected = toy::model();
    sft(&mut expected, &config, whole.path(), &mut ()).unwrap();
    let state = |folder: &Path, step: u64, file: &str| folder.join(format!("trainer_state/step-{step:08}/{file}"));
    for file in ["tensors.safetensors", "state.json"] {
        for (damaged, resumed) in [(&[4][..], Some(3)), (&[3, 4], None)] {
            let folder = tempfile::tempdir().unwrap();
            let mut stopper = StopAfter { step: 4, gracefully: true };
            sft(&mut toy::model(), &config, folder.path(), &mut stopper).unwrap_err();
            damaged.iter().for_each(|&step| damage(&state(folder.path(), step, file)));
            let (mut model, mut told) = (toy::model(), told());
            let summary = sft(&mut model, &config, folder.path(), &mut told).unwrap();
            assert_eq!(summary.resumed_from, resumed, "{file}");
            assert_eq!(toy::bits(&model), toy::bits(&expected), "{file}");
            assert_eq!(timeless(folder.path()), timeless(whole.path()), "{file}");
            for (step, notice) in damaged.iter().rev().zip(&told.1) {
                assert!(
                    notice.contains(&format!("step-{step:08} is not a usable")) && notice.contains(file),
                    "{notice}"
                );
            }
            let anew = told.1.iter().any(|notice| notice.contains("begins anew"));
            assert_eq!((anew, told.1.len()), (resumed.is_none(), damaged.len() + usize::from(resumed.is_none())));
        }
    }
}

#[test]
fn a_state_cut_short_or_filled_with_zeros_is_damaged() {
    let spoils: [fn(&mut Vec<u8>); 3] = [|bytes| bytes.truncate(9), |bytes| bytes.fill(0), |bytes| bytes.clear()];
    for spoil in spoils {
        for file in ["tensors.safetensors", "state.json"] {
            let folder = tempfile::tempdir().unwrap();
            let config = TrainConfig { epochs: 1, ..toy::config() };
            let mut stopper = StopAfter { step: 2, gracefully: true };
            sft(&mut toy::model(), &config, folder.path(), &mut stopper).unwrap_err();
            let path = folder.path().join("trainer_state/step-00000002").join(file);
            let mut bytes = std::fs::read(&path).unwrap();
            spoil(&mut bytes);
            publish_bytes(&path, &bytes).unwrap();
            let mut told = told();
            let summary = sft(&mut toy::model(), &config, folder.path(), &mut told).unwrap();
            assert_eq!((summary.resumed_from, told.1.len()), (None, 2), "{:?}", told.1);
        }
    }
}

const CHILD_FOLDER: &str = "TRAINER_TEST_FOLDER";

/// Not a test of its own: what [`killed_processes_end_with_the_same_bits`] starts and kills.
#[test]
#[ignore = "run by another test"]
fn child() {
    if let Some(folder) = std::env::var_os(CHILD_FOLDER) {
        let config = TrainConfig { epochs: 25, save_every_s: 0.0, ..toy::config() };
        preference(&mut toy::model(), &config, Path::new(&folder), &mut ()).unwrap();
    }
}

#[test]
fn killed_processes_end_with_the_same_bits() {
    let config = TrainConfig { epochs: 25, save_every_s: 0.0, ..toy::config() };
    let (whole, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut expected = toy::model();
    preference(&mut expected, &config, whole.path(), &mut ()).unwrap();
    let recorded =
        || std::fs::read_to_string(folder.path().join("metrics.jsonl")).map_or(0, |text| text.lines().count());
    for killed_after in [2, 15, 40, 41] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "resume::child", "--ignored"])
            .env(CHILD_FOLDER, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while recorded() < killed_after && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_micros(300));
        }
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        let steps = recorded();
        assert!(steps >= killed_after && steps < 100, "{steps} steps were recorded");
    }
    let mut model = toy::model();
    let summary = preference(&mut model, &config, folder.path(), &mut ()).unwrap();
    assert!(summary.resumed_from.is_some_and(|step| step >= 40));
    assert_eq!(toy::bits(&model), toy::bits(&expected));
    assert_eq!(timeless(folder.path()), timeless(whole.path()));
}
