//! The same numbers as slow loops in float64, and the same bits however the work is cut.

use espalier_kernels::{
    BLOCK, Element, Heads, Into, Isa, Matrix, Output, Piece, Rows, Seen, attend, even, narrowed, norm_heads, rms_norm,
    swiglu, turn, widened,
};

/// Numbers in [-1, 1) that follow from their place.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

fn assert_close(found: &[f32], wanted: &[f64], tolerance: f64, name: &str) {
    assert_eq!(found.len(), wanted.len(), "{name}");
    for (place, (&found, &wanted)) in found.iter().zip(wanted).enumerate() {
        let bound = tolerance * (1.0 + wanted.abs());
        assert!((f64::from(found) - wanted).abs() <= bound, "{name}, {place}: {found}, but {wanted}");
    }
}

/// A product in either precision; the second is that of the rounded numbers.
fn product(isa: Isa, rows: usize, inputs: usize, outputs: usize, half: bool) -> (Vec<f32>, Vec<f64>) {
    let (mut x, mut w, bias) = (numbers(rows * inputs, 1), numbers(outputs * inputs, 2), numbers(outputs, 3));
    if half {
        x.iter_mut().chain(&mut w).for_each(|number| *number = widened(narrowed(*number)));
    }
    let wanted = (0..rows * outputs).map(|at| {
        let (row, output) = (at / outputs, at % outputs);
        let terms = x[row * inputs..][..inputs].iter().zip(&w[output * inputs..][..inputs]);
        f64::from(bias[output]) + terms.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>()
    });
    let wanted = wanted.collect();
    let mut y = vec![f32::NAN; rows * outputs];
    // Two parts, to be put together.
    let cut = outputs / 3 * inputs;
    if half {
        let stored: Vec<u16> = w.iter().map(|&number| narrowed(number)).collect();
        let mut lines = vec![0; rows * even(inputs)];
        espalier_kernels::copy(&x, inputs, Output::Bfloat16(&mut lines));
        let matrix = Matrix::bfloat16(inputs, [&stored[..cut], &stored[cut..]], Some(bias));
        matrix.multiply(isa, Rows::Bfloat16(&lines), rows, &mut y, Into::Set);
    } else {
        let matrix = Matrix::float32(inputs, [&w[..cut], &w[cut..]], Some(bias));
        matrix.multiply(isa, Rows::Float32(&x), rows, &mut y, Into::Set);
    }
    (y, wanted)
}

#[test]
fn products_are_those_of_float64() {
    for isa in Isa::available() {
        for (rows, inputs, outputs) in [(1, 1, 1), (2, 3, 31), (5, 64, 33), (12, 66, 96), (13, 128, 70), (29, 175, 64)]
        {
            for half in [false, true] {
                let (y, wanted) = product(isa, rows, inputs, outputs, half);
                assert_close(&y, &wanted, 1e-5, &format!("{isa:?}, {rows} x {inputs} x {outputs}, half: {half}"));
            }
        }
    }
}

#[test]
fn a_rows_bits_depend_on_no_other_row_thread_or_processor() {
    let (inputs, outputs) = (300, 700);
    let (x, w) = (numbers(40 * inputs, 5), numbers(outputs * inputs, 6));
    let matrix = Matrix::float32(inputs, [&w[..]], None);
    let multiply = |isa, x: &[f32]| {
        let mut y = numbers(x.len() / inputs * outputs, 7);
        matrix.multiply(isa, Rows::Float32(x), x.len() / inputs, &mut y, Into::Set);
        bits(&y)
    };
    let alone: Vec<u32> = x.chunks(inputs).flat_map(|row| multiply(Isa::Portable, row)).collect();
    for isa in Isa::available() {
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(|| multiply(isa, &x)) == alone, "{isa:?}, {threads} threads");
        }
    }
}

#[test]
fn a_product_is_added_where_that_is_asked() {
    let matrix = Matrix::float32(2, [&[1.0, 10.0, 100.0, 1000.0][..]], Some(vec![0.5, 0.25]));
    let mut y = [1.0, 2.0];
    matrix.multiply(Isa::best(), Rows::Float32(&[1.0, 2.0]), 1, &mut y, Into::Add);
    assert_eq!(y, [1.0 + 21.0 + 0.5, 2.0 + 2100.0 + 0.25]);
}

/// Keys or values [tokens, G d] in blocks whose pieces have these lengths, the first of each block free as `gap` says.
struct Text<E> {
    blocks: Vec<Vec<E>>,
    pieces: Vec<(usize, usize)>,
}

impl<E: Element> Text<E> {
    fn new(heads: &Heads, keys: &[f32], values: &[f32], lengths: &[usize], gap: usize) -> Text<E> {
        let width = heads.key_heads * heads.width;
        let mut at = 0;
        let (mut blocks, mut pieces) = (Vec::new(), Vec::new());
        for &length in lengths {
            let start = gap.min(BLOCK - length);
            let mut block = vec![E::ZERO; heads.block_numbers()];
            for token in 0..length {
                let place = (at + token) * width..(at + token + 1) * width;
                heads.write(&mut block, 1, start + token, &keys[place.clone()], &values[place]);
            }
            at += length;
            blocks.push(block);
            pieces.push((start, length));
        }
        Text { blocks, pieces }
    }

    fn pieces(&self) -> Vec<Piece<'_, E>> {
        self.blocks.iter().zip(&self.pieces).map(|(block, &(start, len))| Piece { block, start, len }).collect()
    }
}

/// Attention of 3 rows of 2 new tokens each after a prefix of 37 and 3 own tokens before them, in these pieces.
fn attention<E: Element>(isa: Isa, heads: &Heads, prefix: &[usize], own: &[usize], gap: usize) -> (Vec<f32>, Vec<f64>) {
    let (rows, tokens) = (3, 2);
    let key_width = heads.key_heads * heads.width;
    let query_width = key_width * heads.queries_per_key;
    let (prefix_len, own_len) = (prefix.iter().sum::<usize>(), own.iter().sum::<usize>());
    let rounded = |count, seed| -> Vec<f32> {
        let stored = |number| if size_of::<E>() == 2 { widened(narrowed(number)) } else { number };
        numbers(count, seed).into_iter().map(stored).collect()
    };
    let (keys, values) = (rounded(prefix_len * key_width, 1), rounded(prefix_len * key_width, 2));
    let own_keys: Vec<_> = (0..rows).map(|row| rounded(own_len * key_width, 10 + row as u64)).collect();
    let own_values: Vec<_> = (0..rows).map(|row| rounded(own_len * key_width, 20 + row as u64)).collect();
    let stride = query_width + 5;
    // Other queries before and after them.
    let queries = numbers((rows * tokens + 2) * stride, 4);

    let shared = Text::<E>::new(heads, &keys, &values, prefix, gap);
    let texts: Vec<_> =
        (0..rows).map(|row| Text::<E>::new(heads, &own_keys[row], &own_values[row], own, gap)).collect();
    let seen = Seen { first: 1, prefix: shared.pieces(), own: texts.iter().map(Text::pieces).collect(), tokens };
    let mut attended = vec![0.0; (rows * tokens + 2) * query_width];
    attend(isa, heads, 1, &[seen], &queries, stride, &mut attended);
    assert!(attended[..query_width].iter().chain(&attended[7 * query_width..]).all(|&number| number == 0.0));

    let mut wanted = Vec::new();
    for (row, token) in (0..rows).flat_map(|row| (0..tokens).map(move |token| (row, token))) {
        for head in 0..heads.key_heads * heads.queries_per_key {
            let query = &queries[(1 + row * tokens + token) * stride + head * heads.width..][..heads.width];
            let own = |all: &[f32], at: usize| -> Vec<f64> {
                let from = at * key_width + head / heads.queries_per_key * heads.width;
                all[from..from + heads.width].iter().copied().map(f64::from).collect()
            };
            let end = prefix_len + own_len - tokens + token + 1;
            let from = heads.window.map_or(0, |window| end.saturating_sub(window));
            let at = |prefix: &[f32], row: &[f32], position: usize| {
                if position < prefix_len { own(prefix, position) } else { own(row, position - prefix_len) }
            };
            let scores: Vec<f64> = (from..end)
                .map(|position| {
                    let key = at(&keys, &own_keys[row], position);
                    query.iter().zip(key).map(|(q, k)| f64::from(*q) * k).sum::<f64>().exp()
                })
                .collect();
            let total: f64 = scores.iter().sum();
            wanted.extend((0..heads.width).map(|place| {
                let terms = (from..end).zip(&scores);
                terms
                    .map(|(position, score)| score / total * at(&values, &own_values[row], position)[place])
                    .sum::<f64>()
            }));
        }
    }
    (attended[query_width..7 * query_width].to_vec(), wanted)
}

#[test]
fn attention_is_that_of_float64() {
    for isa in Isa::available() {
        for (key_heads, queries_per_key, width, window) in
            [(2, 3, 16, None), (1, 1, 6, Some(7)), (2, 2, 80, Some(20)), (3, 1, 64, None)]
        {
            let heads = Heads { layers: 2, key_heads, queries_per_key, width, window };
            let name = format!("{isa:?}, {heads:?}");
            let (found, wanted) = attention::<f32>(isa, &heads, &[16, 16, 5], &[5], 0);
            assert_close(&found, &wanted, 2e-6, &name);
            let (found, wanted) = attention::<u16>(isa, &heads, &[16, 16, 5], &[5], 0);
            assert_close(&found, &wanted, 2e-6, &name);
        }
    }
}

#[test]
fn the_bits_of_attention_depend_on_neither_pieces_nor_processor() {
    for window in [None, Some(9), Some(30)] {
        let heads = Heads { layers: 2, key_heads: 2, queries_per_key: 3, width: 24, window };
        let wanted = bits(&attention::<f32>(Isa::Portable, &heads, &[16, 16, 5], &[5], 0).0);
        for isa in Isa::available() {
            for (prefix, gap) in
                [(vec![16, 16, 5], 0), (vec![1; 37], 3), (vec![7, 16, 9, 5], 2), (vec![3, 15, 2, 16, 1], 1)]
            {
                for own in [vec![5], vec![2, 3], vec![1, 1, 1, 1, 1]] {
                    let found = attention::<f32>(isa, &heads, &prefix, &own, gap).0;
                    assert!(bits(&found) == wanted, "{isa:?}, {prefix:?}, {own:?}, {window:?}");
                }
            }
        }
    }
}

#[test]
fn norms_gates_and_turns_are_those_of_float64() {
    for isa in Isa::available() {
        for width in [1, 6, 16, 66, 130] {
            let (x, weight) = (numbers(3 * width, 1), numbers(width, 2));
            let norm: Vec<f64> = x
                .chunks(width)
                .flat_map(|row| {
                    let mean = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / width as f64;
                    let scale = 1.0 / (mean + 1e-5).sqrt();
                    row.iter().zip(&weight).map(move |(x, w)| f64::from(*x) * scale * f64::from(*w)).collect::<Vec<_>>()
                })
                .collect();
            let mut found = vec![0.0; 3 * width];
            rms_norm(isa, &x, &weight, 1e-5, Output::Float32(&mut found));
            assert_close(&found, &norm, 1e-6, &format!("norm of {width}"));
            let mut halves = vec![1; 3 * even(width)];
            rms_norm(isa, &x, &weight, 1e-5, Output::Bfloat16(&mut halves));
            for (row, line) in halves.chunks(even(width)).enumerate() {
                let wanted: Vec<u16> = found[row * width..][..width].iter().map(|&number| narrowed(number)).collect();
                assert_eq!(line[..width], wanted);
                assert!(line[width..].iter().all(|&filling| filling == 0));
            }
            let mut heads = x.clone();
            norm_heads(&mut heads, &weight, 1e-5);
            assert_close(&heads, &norm, 1e-6, "heads");

            let gates: Vec<f32> = numbers(4 * width, 3).into_iter().map(|number| 60.0 * number).collect();
            let mut found = vec![0.0; 2 * width];
            swiglu(isa, &gates, width, Output::Float32(&mut found));
            let wanted: Vec<f64> = (0..2 * width)
                .map(|at| {
                    let line = &gates[at / width * 2 * width..][..2 * width];
                    let gate = f64::from(line[at % width]);
                    gate / (1.0 + (-gate).exp()) * f64::from(line[width + at % width])
                })
                .collect();
            assert_close(&found, &wanted, 3e-7, &format!("gates of {width}"));
        }
    }
    // A quarter turn of the first pair, none of the second, twice as long.
    let mut x = [1.0, 2.0, 3.0, 4.0];
    turn(&mut x, &[0.0, 1.0], &[1.0, 0.0], 2.0);
    assert_eq!(x, [-6.0, 4.0, 2.0, 8.0]);
}

#[test]
fn halves_are_the_nearest() {
    for (value, wanted) in [(1.0, 1.0), (1.003_906_2, 1.0), (1.011_718_8, 1.015_625), (-2.5e-40, -2.479_4e-40)] {
        let found = widened(narrowed(value));
        assert!((found - wanted).abs() <= f32::MIN_POSITIVE.max(1e-7 * wanted.abs()), "{value}: {found}, not {wanted}");
    }
    assert!(widened(narrowed(f32::NAN)).is_nan() && widened(narrowed(f32::INFINITY)).is_infinite());
    assert!(widened(narrowed(f32::MAX)).is_infinite());
}
