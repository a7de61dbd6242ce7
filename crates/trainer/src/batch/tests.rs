use super::*;

const PROMPT: [u32; 4] = [1, 2, 3, 4];
const STEPS: [&[u32]; 3] = [&[5, 6, 7], &[8], &[9, 10]];

fn examples() -> [PromptSteps<'static>; 2] {
    [
        PromptSteps { prompt: &PROMPT, steps: STEPS.to_vec() },
        PromptSteps { prompt: &[11], steps: vec![STEPS[2], STEPS[0]] },
    ]
}

fn batch(layout: Layout, window: Option<usize>) -> Batch {
    Batch::new(&examples(), layout, &mut Masks::new(window, Device::Cpu))
}

fn integers(tensor: &Tensor) -> Vec<i64> {
    Vec::try_from(tensor.reshape([-1])).unwrap()
}

#[test]
fn a_packed_example_is_one_row_that_leaves_out_what_predicts_nothing() {
    let batch = batch(Layout::Packed, None);
    // Steps of 3, 1 and 2 tokens feed 2, 0 and 1.
    assert_eq!(integers(&batch.ids.get(0)), [1, 2, 3, 4, 5, 6, 9]);
    assert_eq!(integers(&batch.positions.get(0)), [0, 1, 2, 3, 4, 5, 4]);
    assert_eq!(integers(&batch.ids.get(1)), [11, 9, 5, 6, 0, 0, 0]);
    // The prompt's last token predicts the first token of every step.
    assert_eq!(integers(&batch.predictors), [3, 4, 5, 3, 3, 6, 7, 8, 7, 9, 10]);
    assert_eq!(integers(&batch.targets), [5, 6, 7, 8, 9, 10, 9, 10, 5, 6, 7]);
    assert_eq!(integers(&batch.step_of), [0, 0, 0, 1, 2, 2, 3, 3, 4, 4, 4]);
    assert_eq!(batch.tokens, 7 + 4);
}

#[test]
fn pairs_of_a_tree_are_one_row_and_each_distinct_token_is_fed_and_predicted_once() {
    let deeper = [&PROMPT[..], STEPS[0]].concat();
    let examples = [
        PromptSteps { prompt: &deeper, steps: vec![STEPS[1], STEPS[2]] },
        PromptSteps { prompt: &PROMPT, steps: vec![STEPS[0], STEPS[2]] },
        PromptSteps { prompt: &PROMPT, steps: vec![STEPS[0], STEPS[1]] },
    ];
    let batch = Batch::new(&examples, Layout::Packed, &mut Masks::new(None, Device::Cpu));
    // PROMPT; 5 6 (chosen of two pairs); 9; the deeper state's 7, and its 9.
    assert_eq!(integers(&batch.ids), [1, 2, 3, 4, 5, 6, 9, 7, 9]);
    assert_eq!(batch.tokens, 9);
    // 5 6 7, 9 10 and 8 below the root; 8, 9 10 below the deeper state.
    assert_eq!(batch.targets.size(), [9]);
    let mut tokens = vec![0; 6];
    integers(&batch.step_of).into_iter().for_each(|step| tokens[step as usize] += 1);
    assert_eq!(tokens, [1, 2, 3, 2, 3, 1], "steps are numbered in the order of the examples");
    let predicted = |step: i64| -> Vec<i64> {
        let targets = integers(&batch.targets);
        let all = integers(&batch.step_of).into_iter().zip(integers(&batch.edge_of));
        all.filter(|&(of, _)| of == step).map(|(_, edge)| targets[edge as usize]).collect()
    };
    assert_eq!(predicted(1), [9, 10]);
    assert_eq!(predicted(4), [5, 6, 7]);
}

#[test]
fn a_padded_example_is_a_row_a_step() {
    let batch = batch(Layout::Padded, None);
    assert_eq!(batch.ids.size(), [5, 6]);
    assert_eq!(batch.mask.size(), [1, 1, 6, 6]);
    assert_eq!(integers(&batch.ids.get(1)), [1, 2, 3, 4, 0, 0]);
    assert_eq!(integers(&batch.step_of), [0, 0, 0, 1, 2, 2, 3, 3, 4, 4, 4]);
    assert_eq!(batch.tokens, 6 + 4 + 5 + 2 + 3);
}

#[test]
fn a_token_sees_the_prompt_and_its_own_step_within_the_window() {
    // Segments of the two rows; padding has none.
    let segments = [vec![0, 0, 0, 0, 1, 1, 3], vec![0, 1, 2, 2]];
    for window in [None, Some(1), Some(2), Some(3), Some(100)] {
        let batch = batch(Layout::Packed, window);
        for (b, segments) in segments.iter().enumerate() {
            let positions = integers(&batch.positions.get(b as i64));
            for i in 0..7 {
                for j in 0..7 {
                    let fed = i < segments.len() && j < segments.len();
                    let related = fed && (segments[j] == 0 || segments[j] == segments[i]);
                    let distance = positions[i] - positions[j];
                    let near = distance >= 0 && window.is_none_or(|window| distance < window as i64);
                    let visible = if i < segments.len() { related && near } else { i == j };
                    let value = batch.mask.double_value(&[b as i64, 0, i as i64, j as i64]);
                    let expected = if visible { 0.0 } else { f64::NEG_INFINITY };
                    assert!(value == expected, "row {b}, window {window:?}: {i} sees {j} as {value}");
                }
            }
        }
    }
}

#[test]
fn the_causal_mask_keeps_to_the_window() {
    let mut masks = Masks::new(Some(2), Device::Cpu);
    let mut visible = |tokens| integers(&masks.causal(tokens).isfinite().to_kind(Kind::Int64));
    assert_eq!(visible(2), [1, 0, 1, 1]);
    assert_eq!(visible(4), [1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1]);
    assert_eq!(visible(3), [1, 0, 0, 1, 1, 0, 0, 1, 1]);
}

#[test]
fn micro_batches_hold_whole_rows_up_to_the_limit() {
    let examples = examples();
    assert_eq!(micro_batches(&examples, &[0, 1], Layout::Packed, 14), [vec![0, 1]]);
    assert_eq!(micro_batches(&examples, &[1, 0], Layout::Packed, 13), [vec![0], vec![1]]);
}

/// Loss and gradients of all parameters of a small fresh model, by DPO's loss over the pairs of a three-level tree.
fn loss_and_gradients(examples: &[PromptSteps], layout: Layout, checkpointing: bool) -> (f64, Vec<Tensor>) {
    tch::set_num_threads(1);
    let config = espalier_model::ModelConfig::llama(32, 32, 64, 2, 2, 1, 64).unwrap();
    let mut model = Transformer::init(&config, 3, Device::Cpu).unwrap();
    model.set_trainable(true);
    let batch = Batch::new(examples, layout, &mut Masks::new(None, Device::Cpu));
    let (states, checkpointed) = batch.states(&model, checkpointing);
    let lp = batch.step_logprobs(&model, &states).view([-1, 2]);
    let loss = -((lp.select(1, 0) - lp.select(1, 1)) * 0.1).log_sigmoid().sum(Kind::Double);
    loss.backward();
    if let Some(checkpointed) = checkpointed {
        model.backward(checkpointed);
    }
    (loss.double_value(&[]), model.parameters().map(|(_, tensor)| tensor.grad()).collect())
}

#[test]
fn a_steps_state_is_the_sum_of_those_that_predict_its_tokens() {
    for layout in [Layout::Packed, Layout::Padded] {
        let batch = batch(layout, None);
        // The i-th predicting token's state is (i, 1), so a step's is (the sum of its indices, the number of its tokens).
        let edges = batch.predictors.size()[0];
        let states = Tensor::stack(
            &[Tensor::arange(edges, (Kind::Float, Device::Cpu)), Tensor::ones([edges], (Kind::Float, Device::Cpu))],
            1,
        );
        let sums = integers(&batch.step_states(&states).to_kind(Kind::Int64));
        assert_eq!(sums, [1 + 2, 3, 3, 1, 4 + 5, 2, 6 + 7, 2, 8 + 9 + 10, 3]);
    }
}

/// All sibling pairs of a tree of three levels: several pairs share each step, and steps are parts of deeper prompts.
fn tree_pairs(prompts: &mut Vec<Vec<u32>>) -> Vec<(usize, [Vec<u32>; 2])> {
    let steps: [Vec<u32>; 4] = [vec![5, 6, 7], vec![5, 6, 8, 9], vec![20], vec![21, 22, 23, 24, 25]];
    let mut pairs = Vec::new();
    prompts.push(vec![1, 2, 3, 4, 30, 31]);
    for depth in 0..3 {
        for (i, w) in steps.iter().enumerate() {
            for l in &steps[i + 1..] {
                pairs.push((depth, [w.clone(), l.clone()]));
            }
        }
        let deeper = [&prompts[depth][..], &steps[depth]].concat();
        prompts.push(deeper);
    }
    pairs
}

#[test]
fn a_packed_tree_has_the_loss_and_the_gradients_of_padded_pairs() {
    let mut prompts = Vec::new();
    let pairs = tree_pairs(&mut prompts);
    let examples: Vec<PromptSteps> = pairs
        .iter()
        .map(|(state, steps)| PromptSteps {
            prompt: &prompts[*state],
            steps: steps.iter().map(Vec::as_slice).collect(),
        })
        .collect();
    let count = |layout| Batch::new(&examples, layout, &mut Masks::new(None, Device::Cpu)).tokens;
    // 18 pairs: 6 tokens of the question; below each state 5 6 7?, 8 and 21 22 23 24 in common.
    assert!(count(Layout::Padded) > 12 * count(Layout::Packed), "{} {}", count(Layout::Padded), count(Layout::Packed));
    let padded = loss_and_gradients(&examples, Layout::Padded, false);
    for checkpointing in [false, true] {
        let packed = loss_and_gradients(&examples, Layout::Packed, checkpointing);
        assert!((packed.0 - padded.0).abs() < 1e-5, "{} {}", packed.0, padded.0);
        for (a, b) in packed.1.iter().zip(&padded.1) {
            let difference = (a - b).abs().max().double_value(&[]);
            assert!(difference < 1e-5, "gradients differ by {difference}");
            assert!(b.abs().max().double_value(&[]) > 0.0, "every parameter has a gradient");
        }
    }
}
