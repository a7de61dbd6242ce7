//! The boxed answer of a solution.

/// The content of the last `\boxed{...}`, with nested braces; `None` without one, or if its braces do not close.
///
/// ```
/// assert_eq!(espalier_task::boxed(r"So \boxed{1}, no, \boxed{\frac{1}{2}}."), Some(r"\frac{1}{2}"));
/// assert_eq!(espalier_task::boxed(r"So \boxed{\frac{1}{2}"), None);
/// ```
pub fn boxed(text: &str) -> Option<&str> {
    const OPENING: &str = "\\boxed{";
    let body = &text[text.rfind(OPENING)? + OPENING.len()..];
    let mut open = 1_usize;
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => open += 1,
            '}' if open == 1 => return Some(&body[..at]),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}
