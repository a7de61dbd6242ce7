//! temporary
use espalier_task::*;
fn main() {
    let n: usize = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(32);
    let seed = std::env::args().nth(2).and_then(|a| a.parse().ok()).unwrap_or(1);
    let families = families::in_domain().into_iter().chain(families::out_of_domain()).map(String::from).collect();
    let c = families::GenerateConfig { seed, families, split: families::Split::Train, count: n, min_steps: 2, max_steps: 5 };
    for p in families::generate(&c).unwrap() {
        print!("{} ", Format::Xml.prompt(Granularity::Plan, &p.question));
        println!("{}\n", Format::Xml.segments(Granularity::Plan, p.solution.as_ref().unwrap()).concat());
    }
}
