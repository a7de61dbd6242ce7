//! Every objective against values and gradients that were computed independently in float64.

use espalier_trainer::Objective;
use espalier_trainer::objectives::{Case, Evaluated, ListInputs, Loss, PairInputs, REGISTRY};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tch::{Kind, Tensor};

fn cases() -> Vec<Value> {
    include_str!("loss_vectors.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn objective(case: &Value) -> Objective {
    let parameters: BTreeMap<String, f64> = serde_json::from_value(case["params"].clone()).unwrap();
    Objective::new(case["loss"].as_str().unwrap(), &parameters).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(all) => all.iter().map(|v| v.as_f64().unwrap()).collect(),
        one => vec![one.as_f64().unwrap()],
    }
}

/// The inputs of pair cases as columns, the log-probabilities asking for gradients.
fn pair_inputs(cases: &[&Value]) -> PairInputs {
    let column = |name: &str| {
        Tensor::from_slice(&cases.iter().map(|case| case["inputs"][name].as_f64().unwrap()).collect::<Vec<_>>())
    };
    PairInputs {
        lp_w: column("lp_w").set_requires_grad(true),
        lp_l: column("lp_l").set_requires_grad(true),
        ref_w: column("ref_w"),
        ref_l: column("ref_l"),
        len_w: column("len_w"),
        len_l: column("len_l"),
        q_w: column("q_w"),
        q_l: column("q_l"),
        n_w: column("n_w"),
        n_l: column("n_l"),
    }
}

fn assert_near(got: f64, expected: f64, what: &str) {
    // Where cancellation leaves nothing but rounding, zero stands for anything below the smallest digit of one.
    let near = (got - expected).abs() <= 1e-9 * expected.abs() || (expected == 0.0 && got.abs() < 1e-16);
    assert!(near, "{what}: {got:e}, expected {expected:e}");
}

#[test]
fn values_and_gradients_of_pairs() {
    for case in cases().iter().filter(|case| case["inputs"]["lp_w"].is_number()) {
        let name = case["loss"].as_str().unwrap();
        let objective = objective(case);
        let Loss::Pair(loss) = objective.loss() else { panic!("{name} takes pairs") };
        let x = pair_inputs(&[case]);
        let output = loss.evaluate(&x);
        assert_near(output.losses.double_value(&[0]), case["value"].as_f64().unwrap(), name);
        output.losses.sum(Kind::Double).backward();
        for (tensor, side) in [(&x.lp_w, "grad_lp_w"), (&x.lp_l, "grad_lp_l")] {
            let gradient = if tensor.grad().defined() { tensor.grad().double_value(&[0]) } else { 0.0 };
            assert_near(gradient, case[side].as_f64().unwrap(), &format!("{name} {side}"));
        }
    }
}

#[test]
fn values_and_gradients_of_lists() {
    for case in cases().iter().filter(|case| case["inputs"]["lp"].is_array()) {
        let name = case["loss"].as_str().unwrap();
        let objective = objective(case);
        let Loss::List(loss) = objective.loss() else { panic!("{name} takes lists") };
        let column = |field: &str| Tensor::from_slice(&numbers(&case["inputs"][field]));
        let lp = column("lp").set_requires_grad(true);
        let (len, n, similarity) = (lp.ones_like(), lp.ones_like(), lp.ones_like());
        let x = ListInputs { len, n, similarity, reference: column("ref"), q: column("q"), lp };
        let output = loss.evaluate(&x);
        assert_near(output.loss.double_value(&[]), case["value"].as_f64().unwrap(), name);
        output.loss.backward();
        let gradient = Vec::<f64>::try_from(x.lp.grad()).unwrap();
        for (got, expected) in gradient.into_iter().zip(numbers(&case["grad_lp"])) {
            assert_near(got, expected, &format!("{name} gradient"));
        }
    }
}

#[test]
fn every_objective_but_three_has_vectors_and_every_vector_an_objective() {
    let tested: BTreeSet<String> = cases().iter().map(|case| case["loss"].as_str().unwrap().to_owned()).collect();
    let known: BTreeSet<String> = REGISTRY.iter().map(|entry| entry.about.name.to_owned()).collect();
    let untested: Vec<&String> = known.difference(&tested).collect();
    assert_eq!(untested, ["gspo", "sppo_soft", "tpo"], "these have numbers derived by hand below");
    assert!(tested.is_subset(&known));
    assert_eq!(known.len(), REGISTRY.len(), "two objectives share a name");
}

#[test]
fn defaults_are_those_of_the_vectors() {
    for case in cases() {
        let entry = REGISTRY.iter().find(|entry| case["loss"] == entry.about.name).unwrap();
        let parameters: BTreeMap<String, f64> = serde_json::from_value(case["params"].clone()).unwrap();
        assert_eq!(entry.parameters(), parameters, "{}", entry.about.name);
    }
}

#[test]
fn a_batch_is_its_pairs() {
    let all = cases();
    for entry in REGISTRY.iter().filter(|entry| !entry.over_lists) {
        let cases: Vec<&Value> = all.iter().filter(|case| case["loss"] == entry.about.name).collect();
        let Ok(objective) = entry.build(&BTreeMap::new()) else { panic!() };
        let Loss::Pair(loss) = objective.loss() else { panic!() };
        let together = loss.evaluate(&pair_inputs(&cases));
        for (i, case) in cases.iter().enumerate() {
            let alone = loss.evaluate(&pair_inputs(&[case]));
            assert_near(together.losses.double_value(&[i as i64]), alone.losses.double_value(&[0]), entry.about.name);
            let rewards = [&together.chosen_rewards, &together.rejected_rewards];
            assert!(rewards.iter().all(|tensor| !tensor.requires_grad() && tensor.size() == [cases.len() as i64]));
        }
    }
}

/// Far beyond what a trained policy reaches, in both directions and in float32 too, nothing overflows.
#[test]
fn extremes_stay_finite() {
    for kind in [Kind::Double, Kind::Float] {
        let column = |values: [f64; 6]| Tensor::from_slice(&values).to_kind(kind);
        for entry in REGISTRY.iter().filter(|entry| !entry.over_lists) {
            let objective = entry.build(&BTreeMap::new()).unwrap();
            let Loss::Pair(loss) = objective.loss() else { panic!() };
            let x = PairInputs {
                lp_w: column([-1.0, -401.0, -201.0, -1.0, 0.0, -1e-9]).set_requires_grad(true),
                lp_l: column([-401.0, -1.0, -1.0, -201.0, 0.0, -1e-9]).set_requires_grad(true),
                ref_w: column([-201.0, -201.0, -1.0, -201.0, 0.0, -300.0]),
                ref_l: column([-201.0, -201.0, -201.0, -1.0, -300.0, 0.0]),
                len_w: column([1.0, 1.0, 2.0, 3.0, 1.0, 1.0]),
                len_l: column([1.0, 2.0, 1.0, 3.0, 1.0, 1.0]),
                q_w: column([1.0; 6]),
                q_l: column([-1.0; 6]),
                n_w: column([0.0, 1.0, 0.0, 5.0, 1.0, 1.0]),
                n_l: column([0.0, 0.0, 3.0, 5.0, 1.0, 1.0]),
            };
            let output = loss.evaluate(&x);
            output.losses.sum(kind).backward();
            let finite = |tensor: &Tensor| tensor.isfinite().all().int64_value(&[]) == 1;
            assert!(finite(&output.losses), "{} {kind:?} {}", entry.about.name, output.losses);
            for lp in [&x.lp_w, &x.lp_l].iter().filter(|lp| lp.grad().defined()) {
                assert!(finite(&lp.grad()), "{} {kind:?} {}", entry.about.name, lp.grad());
            }
        }
    }
}

#[test]
fn soft_sppo_is_hard_when_the_tree_is_certain() {
    let x = |q_w: f64, q_l: f64| {
        let one = |value: f64| Tensor::from_slice(&[value]);
        PairInputs {
            lp_w: one(-3.0),
            lp_l: one(-5.0),
            ref_w: one(-4.0),
            ref_l: one(-4.5),
            len_w: one(3.0),
            len_l: one(4.0),
            q_w: one(q_w),
            q_l: one(q_l),
            n_w: one(1.0),
            n_l: one(1.0),
        }
    };
    let value = |name: &str, x: &PairInputs| {
        let objective = Objective::new(name, &BTreeMap::new()).unwrap();
        let Loss::Pair(loss) = objective.loss() else { panic!() };
        loss.evaluate(x).losses.double_value(&[0])
    };
    assert_near(value("sppo_soft", &x(1.0, -1.0)), value("sppo_hard", &x(1.0, -1.0)), "sppo");
    // P = 1/2 + 0.8/4: targets of +2 and -2 for r_w = 1 and r_l = -0.5.
    assert!((value("sppo_soft", &x(0.5, -0.3)) - (1.0 + 2.25)).abs() < 1e-12);
}

#[test]
fn tpo_is_the_lambda_loss_of_log_ratios_scaled_by_one_plus_the_similarity() {
    let evaluated = |name: &str, inputs: &str| {
        let case: Case = serde_json::from_str(&format!(r#"{{"inputs": {inputs}}}"#)).unwrap();
        let Evaluated::List { value, grad_lp, .. } = case.evaluate(name).unwrap() else { panic!("{name} takes lists") };
        (value, grad_lp)
    };
    // s = 0.5 * 2 * 1 and 0.5 * 1.5 * -1; gains 1 and -1/2, ranks 1 and 2: 1.5 (1/ln 2 - 1/ln 3) softplus(-1.75).
    let (value, gradient) =
        evaluated("tpo", r#"{"lp": [-2, -5], "ref": [-3, -4], "q": [1, -1], "similarity": [1, 0.5]}"#);
    let weight = 1.5 * (2f64.ln().recip() - 3f64.ln().recip());
    assert_near(value, weight * (-1.75f64).exp().ln_1p(), "tpo");
    let slope = -weight / (1.0 + 1.75f64.exp());
    assert_near(gradient[0], slope * 0.5 * 2.0, "tpo, best");
    assert_near(gradient[1], -slope * 0.5 * 1.5, "tpo, other");
    // Steps that resemble nothing are scaled by one.
    let plain = r#"{"lp": [-2, -5, -1], "ref": [-3, -4, -1], "q": [1, -1, 0], "similarity": [0, 0, 0]}"#;
    let scaled = Objective::new("lipo_lambda", &[("beta".to_owned(), 0.5)].into()).unwrap();
    let case: Case = serde_json::from_str(&format!(r#"{{"inputs": {plain}}}"#)).unwrap();
    let Evaluated::List { value, .. } = scaled.evaluate(&case.inputs).unwrap() else { panic!("a list") };
    assert_near(evaluated("tpo", plain).0, value, "tpo without similarity");
}

#[test]
fn gspo_is_the_policy_gradient_of_the_visits() {
    let evaluated = |inputs: &str| {
        let case: Case = serde_json::from_str(&format!(r#"{{"inputs": {inputs}}}"#)).unwrap();
        let Evaluated::List { value, grad_lp, .. } = case.evaluate("gspo").unwrap() else { panic!("a list") };
        (value, grad_lp)
    };
    // Mean 3/4 - 1/4 = 1/2, variance 3/4 (1/2)^2 + 1/4 (3/2)^2 = 3/4: A = (1/2, -3/2) / sqrt(3/4). At ratios of 1 the
    // gradient is -N_i / N A_i / len_i.
    let (value, gradient) = evaluated(r#"{"lp": [-2, -3], "ref": [-2, -3], "q": [1, -1], "n": [3, 1], "len": [2, 4]}"#);
    let deviation = 0.75f64.sqrt();
    assert_near(value, 0.0, "gspo");
    assert_near(gradient[0], -0.75 * 0.5 / deviation / 2.0, "gspo, better");
    assert_near(gradient[1], 0.25 * 1.5 / deviation / 4.0, "gspo, worse");
    // Ratios of e^(1/2) and e^(-1/2): both have gone as far as they may, and each counts as 1.2 and 0.8 of its advantage.
    let (value, gradient) = evaluated(r#"{"lp": [-1, -5], "ref": [-2, -3], "q": [1, -1], "n": [3, 1], "len": [2, 4]}"#);
    assert_near(value, -(0.75 * 1.2 * 0.5 - 0.25 * 0.8 * 1.5) / deviation, "gspo, clipped");
    assert_eq!(gradient, [0.0, 0.0]);
    // One that has gone the wrong way is not cut.
    let (_, gradient) = evaluated(r#"{"lp": [-3, -5], "ref": [-2, -3], "q": [1, -1], "n": [3, 1], "len": [2, 4]}"#);
    assert_near(gradient[0], -0.75 * 0.5 / deviation / 2.0 * (-0.5f64).exp(), "gspo, fallen");
    let (value, gradient) = evaluated(r#"{"lp": [-1, -5], "ref": [-2, -3], "q": [-1, -1]}"#);
    assert_eq!((value, gradient), (0.0, vec![0.0, 0.0]));
}

#[test]
fn wrong_parameters_are_named() {
    let error = |name: &str, parameter: &str, value: f64| {
        Objective::new(name, &[(parameter.to_owned(), value)].into()).unwrap_err().to_string()
    };
    assert!(error("no_such", "beta", 0.1).contains("unknown objective \"no_such\"; known are: step_apo"));
    let unknown = error("step_apo", "gamma", 0.1);
    assert_eq!(unknown, "objective step_apo has no parameter \"gamma\"; it has: alpha, beta, label_smoothing");
    assert_eq!(error("dpo", "beta", 0.0), "parameter beta of objective dpo is 0, but must be a positive number");
    assert!(error("dpo", "beta", f64::NAN).contains("is NaN; give a finite number"));
    assert!(error("robust", "label_smoothing", 0.5).contains("at least 0 and below 1/2"));
}

#[test]
fn the_names_known_without_libtorch_are_those_of_the_registry() {
    assert!(REGISTRY.iter().map(|entry| entry.about.name).eq(espalier_trainer::LOSSES));
}
