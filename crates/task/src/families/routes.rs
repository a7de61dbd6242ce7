//! Walks around closed cells, with no move to spare. Any walk that is short enough is right, see [`Route`]; the answer of a
//! problem is one of the shortest, drawn.
//!
//! Each step of a plan is one move, which any policy soon can make; which one is to be found: a step aside is a step too many.
//! The questions of `routes` tell what is closed. Those of `town` do not: it is always the same town, and who answers must have
//! learnt it. `outskirts` are walks in it to goals that no problem of `town` has.

use super::draw::Draw;
use super::told::Told;
use crate::answer::{AnswerKind, Cell, Heading, Route};
use crate::problem::Worked;

/// Columns and rows of the grid of `routes`.
const SIDE: u32 = 6;
/// Every so manieth cell of the town is a goal of `outskirts`.
const OUTSKIRTS: u32 = 6;

/// Tells a walk whose shortest way has this many moves.
pub(super) fn tell(draw: &mut Draw, steps: u32) -> Option<Told> {
    let mut cell = || Cell { column: draw.number(1..=SIDE), row: draw.number(1..=SIDE) };
    let (start, goal) = (cell(), cell());
    let mut closed: Vec<Cell> = (0..12).map(|_| cell()).collect();
    closed.truncate(draw.number(6..=12) as usize);
    closed.retain(|&closed| closed != start && closed != goal);
    closed.sort_unstable();
    closed.dedup();
    let route = Route { columns: SIDE, rows: SIDE, start, goal, closed, moves: steps };
    // One who does not look at what is closed.
    let open = Route { closed: Vec::new(), ..route.clone() };
    let told = told(&route, draw)?;
    let straight = walked(&open, draw);
    Some(Told { mistaken: (!route.solves(&answer(&straight))).then(|| worked(&straight)), ..told })
}

/// Tells a walk in the town.
pub(super) fn tell_town(draw: &mut Draw, steps: u32) -> Option<Told> {
    let route = in_town(draw, steps).filter(|route| !is_outskirts(route.goal))?;
    let told = told(&route, draw)?;
    // One who knows the town, but not where to go.
    let aimless = strolled(&route, draw);
    Some(Told { mistaken: (!route.solves(&answer(&aimless))).then(|| worked(&aimless)), ..told })
}

/// Tells one to a goal that no walk in the town has.
pub(super) fn tell_outskirts(draw: &mut Draw, steps: u32) -> Option<Told> {
    in_town(draw, steps).filter(|route| is_outskirts(route.goal)).and_then(|route| told(&route, draw))
}

fn is_outskirts(cell: Cell) -> bool {
    // Rows and columns have no common step, so that these cells lie all over the town.
    (cell.column + 5 * cell.row).is_multiple_of(OUTSKIRTS)
}

fn in_town(draw: &mut Draw, steps: u32) -> Option<Route> {
    let Route { columns, rows, closed, .. } =
        Route::in_town(Cell { column: 1, row: 1 }, Cell { column: 1, row: 1 }, steps);
    let mut cell = || Cell { column: draw.number(1..=columns), row: draw.number(1..=rows) };
    let (start, goal) = (cell(), cell());
    (!closed.contains(&start) && !closed.contains(&goal)).then(|| Route::in_town(start, goal, steps))
}

/// A walk that is told if its shortest way has as many moves as it may have.
fn told(route: &Route, draw: &mut Draw) -> Option<Told> {
    if route.distances()[route.place(route.start)] != Some(route.moves) {
        return None;
    }
    let moves = walked(route, draw);
    Some(Told {
        question: route.question(),
        answer: answer(&moves),
        kind: AnswerKind::Route,
        worked: worked(&moves),
        mistaken: None,
    })
}

/// One of the shortest walks, each move drawn among those that come nearer.
fn walked(route: &Route, draw: &mut Draw) -> Vec<(Heading, Cell)> {
    let distances = route.distances();
    let mut cell = route.start;
    let mut moves = Vec::new();
    while cell != route.goal {
        let nearer: Vec<(Heading, Cell)> = Heading::ALL
            .into_iter()
            .filter_map(|heading| Some((heading, route.after(cell, heading)?)))
            .filter(|(_, next)| distances[route.place(*next)] < distances[route.place(cell)])
            .collect();
        let taken = draw.pick(&nearer);
        moves.push(taken);
        cell = taken.1;
    }
    moves
}

/// A walk of as many moves as there may be, each drawn among those that do not lead back.
fn strolled(route: &Route, draw: &mut Draw) -> Vec<(Heading, Cell)> {
    let mut moves: Vec<(Heading, Cell)> = Vec::new();
    let (mut cell, mut last) = (route.start, route.start);
    for _ in 0..route.moves {
        let onward: Vec<(Heading, Cell)> =
            Heading::ALL.into_iter().filter_map(|heading| Some((heading, route.after(cell, heading)?))).collect();
        let ahead: Vec<(Heading, Cell)> = onward.iter().copied().filter(|(_, next)| *next != last).collect();
        let taken = draw.pick(if ahead.is_empty() { &onward } else { &ahead });
        moves.push(taken);
        (last, cell) = (cell, taken.1);
    }
    moves
}

fn answer(moves: &[(Heading, Cell)]) -> String {
    let names: Vec<&str> = moves.iter().map(|(heading, _)| heading.name()).collect();
    names.join(", ")
}

fn worked(moves: &[(Heading, Cell)]) -> Worked {
    let lines = moves.iter().zip(1..);
    let plan = lines.map(|((heading, cell), number)| format!("Plan {number}: {} to {cell}", heading.name())).collect();
    Worked { plan, solution: format!("The final answer is \\boxed{{{}}}.", answer(moves)) }
}
