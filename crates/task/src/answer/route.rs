//! Routes: a walk over a grid from one cell to another, around closed cells, in at most so many moves. Any such walk is right.

use std::fmt::{self, Display};

/// Columns have one letter each.
const MOST_COLUMNS: u32 = 26;
/// Rows have at most two digits.
const MOST_ROWS: u32 = 99;
/// Longer answers are no walk over a small grid.
const MAX_ANSWER_BYTES: usize = 2000;

/// A town that is the same in all questions, which do not tell it: north above, `#` is closed.
const TOWN: [&str; 9] = [
    "....#.......#.....#.",
    ".##.#.###.#...#.#...",
    ".#....#...##.##...#.",
    "...##...#..#.....#..",
    "##.#..#.##.#.##....#",
    ".....##......#...#..",
    ".###....##.#.#.#...#",
    ".#...##..#.#.....#..",
    "...#....#....##.....",
];
/// The beginning of a question about it.
const IN_TOWN: &str = "In the town, walk from ";

/// A cell of a grid: `c2` is in the third column and the second row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// From 1, by letters, from west to east.
    pub column: u32,
    /// From 1, from south to north.
    pub row: u32,
}

/// A move from a cell to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heading {
    /// A row up.
    North,
    /// A column on.
    East,
    /// A row down.
    South,
    /// A column back.
    West,
}

/// A grid with closed cells, and the walk that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Number of columns, from `a`.
    pub columns: u32,
    /// Number of rows, from 1.
    pub rows: u32,
    /// Where the walk begins.
    pub start: Cell,
    /// Where it is to end.
    pub goal: Cell,
    /// Cells that it must not enter.
    pub closed: Vec<Cell>,
    /// Most moves of it.
    pub moves: u32,
}

impl Cell {
    fn read(text: &str) -> Option<Cell> {
        let letter = text.chars().next().filter(char::is_ascii_lowercase)?;
        let digits = &text[1..];
        let is_row = digits.len() <= 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let row = digits.parse().ok().filter(|&row| is_row && row > 0)?;
        Some(Cell { column: u32::from(letter) - u32::from('a') + 1, row })
    }

    /// The next cell that way. `None` at the first column and the first row.
    fn next(self, heading: Heading) -> Option<Cell> {
        let Cell { column, row } = self;
        let (column, row) = match heading {
            Heading::North => (column, row + 1),
            Heading::East => (column + 1, row),
            Heading::South => (column, row - 1),
            Heading::West => (column - 1, row),
        };
        (column > 0 && row > 0).then_some(Cell { column, row })
    }
}

impl Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = u8::try_from(self.column).map_or('?', |column| char::from(b'a' + column - 1));
        write!(f, "{letter}{}", self.row)
    }
}

impl Heading {
    /// The four of them.
    pub const ALL: [Heading; 4] = [Heading::North, Heading::East, Heading::South, Heading::West];

    /// Its word, as answers have it.
    pub fn name(self) -> &'static str {
        match self {
            Heading::North => "north",
            Heading::East => "east",
            Heading::South => "south",
            Heading::West => "west",
        }
    }

    fn read(word: &str) -> Option<Heading> {
        Heading::ALL.into_iter().find(|heading| {
            word.eq_ignore_ascii_case(heading.name()) || word.eq_ignore_ascii_case(&heading.name()[..1])
        })
    }
}

impl Route {
    /// A walk in the town, whose map no question tells: who answers must have learnt it.
    pub fn in_town(start: Cell, goal: Cell, moves: u32) -> Route {
        let rows = TOWN.iter().rev().zip(1..);
        let cells = rows
            .flat_map(|(cells, row)| cells.bytes().zip(1..).map(move |(cell, column)| (cell, Cell { column, row })));
        let closed = cells.filter(|(cell, _)| *cell == b'#').map(|(_, cell)| cell).collect();
        Route { columns: TOWN[0].len() as u32, rows: TOWN.len() as u32, start, goal, closed, moves }
    }

    /// Whether it is a walk in the town.
    fn is_in_town(&self) -> bool {
        *self == Route::in_town(self.start, self.goal, self.moves)
    }

    /// The question of the walk, which [`read`](Self::read) reads.
    pub fn question(&self) -> String {
        if self.is_in_town() {
            return format!("{IN_TOWN}{} to {} in at most {} moves.", self.start, self.goal, self.moves);
        }
        let closed: Vec<String> = self.closed.iter().map(Cell::to_string).collect();
        let last = Cell { column: self.columns, row: self.rows };
        let closed = if closed.is_empty() { "none".to_owned() } else { closed.join(" ") };
        format!(
            "Cells a1 to {last}. Closed: {closed}. Walk from {} to {} in at most {} moves.",
            self.start, self.goal, self.moves
        )
    }

    /// Reads a question that [`question`](Self::question) wrote. `None` if it is another.
    ///
    /// ```
    /// use espalier_task::Route;
    ///
    /// let route = Route::read("Cells a1 to d4. Closed: b1 b2. Walk from a1 to c1 in at most 6 moves.").unwrap();
    /// assert!(route.solves("north, north, east, east, south, south"));
    /// assert!(!route.solves("east, east") && !route.solves("north, north, east, east, south"));
    /// ```
    pub fn read(question: &str) -> Option<Route> {
        let walk = |text: &str| {
            let (start, rest) = text.split_once(" to ")?;
            let (goal, rest) = rest.split_once(" in at most ")?;
            Some((Cell::read(start)?, Cell::read(goal)?, rest.strip_suffix(" moves.")?.parse().ok()?))
        };
        let route = if let Some(rest) = question.strip_prefix(IN_TOWN) {
            let (start, goal, moves) = walk(rest)?;
            Route::in_town(start, goal, moves)
        } else {
            let (last, rest) = question.strip_prefix("Cells a1 to ")?.split_once(". Closed: ")?;
            let (closed, rest) = rest.split_once(". Walk from ")?;
            let (start, goal, moves) = walk(rest)?;
            let closed = if closed == "none" { Some(Vec::new()) } else { closed.split(' ').map(Cell::read).collect() }?;
            let last = Cell::read(last).filter(|last| last.column <= MOST_COLUMNS && last.row <= MOST_ROWS)?;
            Route { columns: last.column, rows: last.row, start, goal, closed, moves }
        };
        (route.is_open(route.start) && route.is_open(route.goal)).then_some(route)
    }

    /// Whether the moves of an answer, words or their first letters, lead from the start to the goal, never into a closed cell
    /// nor off the grid, and are not too many.
    pub fn solves(&self, answer: &str) -> bool {
        self.walked(answer).is_some_and(|end| end == self.goal)
    }

    /// Whether the moves that some texts tell (`east to c2`) are those of the answer, each to the cell that it leads to. Texts that
    /// tell none agree with any answer.
    pub fn is_told_by<'t>(&self, texts: impl IntoIterator<Item = &'t str>, answer: &str) -> bool {
        let told: Vec<(Heading, Cell)> = texts.into_iter().flat_map(told).collect();
        let Some(headings) = headings(answer) else { return false };
        let mut cell = Some(self.start);
        let walked: Vec<(Heading, Option<Cell>)> = headings
            .into_iter()
            .map(|heading| {
                cell = cell.and_then(|cell| self.after(cell, heading));
                (heading, cell)
            })
            .collect();
        told.is_empty() || told.into_iter().map(|(heading, cell)| (heading, Some(cell))).eq(walked)
    }

    /// The cell that a move leads to, if it may be entered.
    pub fn after(&self, cell: Cell, heading: Heading) -> Option<Cell> {
        cell.next(heading).filter(|&next| self.is_open(next))
    }

    /// How many moves each cell is away from the goal, at least; `None` for those that do not lead there. Rows after rows from
    /// a1, see [`place`](Self::place).
    pub fn distances(&self) -> Vec<Option<u32>> {
        let mut distances = vec![None; (self.columns * self.rows) as usize];
        distances[self.place(self.goal)] = Some(0);
        let mut frontier = vec![self.goal];
        for distance in 1.. {
            let mut next = Vec::new();
            for (&cell, heading) in frontier.iter().flat_map(|cell| Heading::ALL.map(|heading| (cell, heading))) {
                let Some(beside) = self.after(cell, heading) else { continue };
                let known = &mut distances[self.place(beside)];
                if known.is_none() {
                    *known = Some(distance);
                    next.push(beside);
                }
            }
            if next.is_empty() {
                break;
            }
            frontier = next;
        }
        distances
    }

    /// The place of a cell in what is said of all cells.
    pub fn place(&self, cell: Cell) -> usize {
        ((cell.row - 1) * self.columns + cell.column - 1) as usize
    }

    fn is_open(&self, cell: Cell) -> bool {
        cell.column <= self.columns && cell.row <= self.rows && !self.closed.contains(&cell)
    }

    fn walked(&self, answer: &str) -> Option<Cell> {
        let headings = headings(answer)?;
        if headings.len() > self.moves as usize {
            return None;
        }
        headings.into_iter().try_fold(self.start, |cell, heading| self.after(cell, heading))
    }
}

/// The moves of an answer. `None` if it says something else, too.
fn headings(answer: &str) -> Option<Vec<Heading>> {
    if answer.len() > MAX_ANSWER_BYTES {
        return None;
    }
    let words = answer.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    words.map(Heading::read).collect()
}

/// The moves that a text tells with the cells that they lead to.
fn told(text: &str) -> Vec<(Heading, Cell)> {
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let one = |words: &[&str]| match *words {
        [heading, "to", cell] => Some((Heading::ALL.into_iter().find(|one| one.name() == heading)?, Cell::read(cell)?)),
        _ => None,
    };
    words.windows(3).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ```text
    /// 4  .  .  .  .
    /// 3  .  #  #  .
    /// 2  .  G  #  .
    /// 1  S  #  .  .
    ///    a  b  c  d
    /// ```
    fn route() -> Route {
        Route::read("Cells a1 to d4. Closed: b3 c3 c2 b1. Walk from a1 to b2 in at most 4 moves.").unwrap()
    }

    #[test]
    fn a_walk_to_the_goal_is_right() {
        for answer in ["north, east", "n e", "North East", "north,north,south,east", " n,\te "] {
            assert!(route().solves(answer), "{answer}");
        }
    }

    #[test]
    fn any_other_is_wrong() {
        let through = "east, north";
        let past = "north";
        let off = "south, north, north, east";
        let long = "north, south, north, south, north, east";
        let beyond = "west, east, north, east";
        for answer in [through, past, off, long, beyond, "", "up, right", "north; east", "b2", "north east b2"] {
            assert!(!route().solves(answer), "{answer}");
        }
        assert!(!route().solves(&"n ".repeat(5000)));
    }

    #[test]
    fn distances_go_around_what_is_closed() {
        let route = route();
        let distances = route.distances();
        let of = |text: &str| distances[route.place(Cell::read(text).unwrap())];
        assert_eq!([of("b2"), of("a2"), of("a1"), of("a3"), of("b4")], [Some(0), Some(1), Some(2), Some(2), Some(4)]);
        assert_eq!([of("c1"), of("d1"), of("c3")], [Some(10), Some(9), None]);
    }

    #[test]
    fn the_town_is_one_piece_and_its_questions_do_not_tell_it() {
        let cell = |text| Cell::read(text).unwrap();
        let route = Route::in_town(cell("a1"), cell("t9"), 40);
        assert_eq!((route.columns, route.rows, route.closed.len()), (20, 9, 57));
        assert_eq!(route.distances().iter().flatten().count(), 20 * 9 - 57);
        assert_eq!(route.question(), "In the town, walk from a1 to t9 in at most 40 moves.");
        assert_eq!(Route::read(&route.question()), Some(route.clone()));
        // d1 is closed: around it by c2, d2 and e2.
        assert!(Route::in_town(cell("c1"), cell("e1"), 4).solves("north, east, east, south"));
        assert!(!Route::in_town(cell("c1"), cell("e1"), 4).solves("east, east"));
        assert_eq!(Route::read("In the town, walk from d1 to a1 in at most 9 moves."), None);
    }

    #[test]
    fn questions_are_read_back() {
        assert_eq!(Route::read(&route().question()), Some(route()));
        let open = Route { closed: Vec::new(), ..route() };
        assert_eq!(Route::read(&open.question()), Some(open));
        for other in [
            "",
            "What is 2 + 3?",
            "Cells a1 to d4. Closed: a1. Walk from a1 to b2 in at most 4 moves.",
            "Cells a1 to d4. Closed: none. Walk from a1 to e2 in at most 4 moves.",
            "Cells a1 to d4. Closed: none. Walk from a0 to b2 in at most 4 moves.",
            "Cells a1 to d4. Closed: é1. Walk from a1 to b2 in at most 4 moves.",
            "Cells a1 to d444. Closed: none. Walk from a1 to b2 in at most 4 moves.",
            "Cells a1 to d4. Closed: none. Walk from a1 to b2 in at most -4 moves.",
        ] {
            assert_eq!(Route::read(other), None, "{other}");
        }
    }
}
