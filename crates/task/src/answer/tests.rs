//! Which answers are the same.

use super::*;
use proptest::prelude::*;

#[test]
fn boxes_nest_and_the_last_one_that_holds_something_counts() {
    for (text, content) in [
        (r"\boxed{5}", "5"),
        (r"\boxed{\sqrt{\frac{1}{2}}} is it", r"\sqrt{\frac{1}{2}}"),
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        // Empty, or cut by a limit.
        (r"\boxed{1}, in the form \boxed{}.", "1"),
        (r"\boxed{1} then \boxed{2", "1"),
        // LaTeX's other forms.
        (r"\boxed {5}", "5"),
        (r"\boxed 5", "5"),
        (r"$\boxed 12$, that is", "12"),
        (r"\boxed 1,250.", "1,250"),
        (r"\boxed\frac{1}{2}.", r"\frac{1}{2}"),
        (r"\boxed\frac12 of it", r"\frac12"),
        (r"\boxed\pi", r"\pi"),
        (r"\fbox{\frac{2}{7}}", r"\frac{2}{7}"),
        // One list in several boxes.
        (r"$\boxed{2}$ and $\boxed{3}$", "2, 3"),
        (r"\boxed{1}, \boxed{2}, or \boxed{3}", "1, 2, 3"),
        (r"\boxed{1} \boxed{2}", "2"),
    ] {
        assert_eq!(boxed(text).as_deref(), Some(content), "{text}");
    }
    for text in [r"\boxed{}", r"\boxed{ }", r"\boxed{\}", r"\boxed", r"\boxedup{5}", "5", ""] {
        assert_eq!(boxed(text), None, "{text}");
    }
}

#[test]
fn answers_as_people_write_them() {
    for (reference, answer) in [
        ("60", r"\theta = 60^\circ"),
        ("5", "PQ = 5"),
        ("7", r"\angle ABC = 7"),
        ("12", "T_{4} = 12"),
        ("(3,4)", "(u,v) = (3,4)"),
        ("3n-1", "b_n = 3n - 1"),
        ("8", "y = 3+5 = 8"),
        (r"\frac{3}{4}", r"\frac{3}{4} = 0.75"),
        (r"\frac{1}{3}", r"\frac{1}{3} \approx 0.333"),
        ("2.71", "≈ 2.71"),
        ("20", r"\$20 per week"),
        ("9", "$9 each"),
        ("300", "Rs. 300"),
        ("300", "₹300"),
        ("45", "¥45"),
        ("2000000", "2e6"),
        ("0.00012", "1.2e-4"),
        ("25000", "25 000"),
        (r"\frac{2}{3}", r"0.\overline{6}"),
        (r"\frac{1}{6}", r"0.1\overline{6}"),
        ("12", "１２"),
        ("(3,4)", "（3，4）"),
        (r"\sqrt{17}", "sqrt(17)"),
        (r"\sqrt{17}", "√17"),
        (r"\sqrt{x+1}", "√(x+1)"),
        (r"\frac{\pi}{3}", "pi/3"),
        (r"[1,\infty)", "[1, inf)"),
        (r"\frac{2}{3}", "⅔"),
        ("y^5", "y⁵"),
        ("x^{12}", "x¹²"),
        (r"(-\infty,\infty)", r"\mathbb{R}"),
        ("(2,9)", r"x>2 \text{ and } x<9"),
        ("ab+cd", "cd + ab"),
        ("3 men", "3"),
        ("Yes", "yes"),
        ("Evelyn", "evelyn"),
    ] {
        assert!(equivalent(reference, answer), "{reference} and {answer}");
    }
    for (reference, answer) in [
        ("4", "4 dozens"),
        ("6", "6 millions"),
        ("6", "6 bn"),
        ("4", "4 tenths"),
        ("3", "3 lakh"),
        ("1", "1 sixth"),
        ("7", "7 above zero"),
        ("7", "7 is incorrect"),
        ("4", "4 ab"),
        ("4", r"4\,ab"),
        ("x^2", "x^2 yz"),
        (r"3\text{ MW}", r"3\text{ mW}"),
        ("3 Mg", "3 mg"),
        (r"\frac{u}{t}", r"\frac{du}{dt}"),
        ("NO", "No2"),
        ("CO", "Co"),
        ("AB", "ab"),
        ("A", "(A) or (B)"),
        ("A", "A, C"),
        ("B", "B) is wrong"),
        ("5", "AB = 6"),
        ("5", "x + 1 = 5"),
        ("5", "5 = 5"),
        ("0.5", r"\frac{1}{2} = 0.6"),
        ("0.333", r"\frac{1}{3} \approx 0.333"),
        ("(2,9)", r"x>2 \text{ or } x<9"),
        ("15", "1e5"),
    ] {
        assert!(!equivalent(reference, answer), "{reference} and {answer}");
    }
}

#[test]
fn same() {
    for (reference, answer) in [
        ("18", "18"),
        ("18", " 18. "),
        ("18", "$18$"),
        ("18", r"\$18"),
        ("18", "$18.00"),
        ("18", "18 dollars"),
        ("$18", "18 dollars"),
        ("18", r"\text{18}"),
        ("-3", "\u{2212}3"),
        ("70,000", "70000"),
        ("70000", r"70{,}000"),
        (r"112,\!875", "112875"),
        ("26", "26.0"),
        ("0.5", r"\frac{1}{2}"),
        (r"\frac12", r"\dfrac{2}{4}"),
        ("1/2", ".5"),
        (r"-\frac{7}{2}", r"\frac{-7}{2}"),
        ("2.5", r"2\frac{1}{2}"),
        (r"98\%", "98%"),
        (r"98\%", "98"),
        (r"98\%", "0.98"),
        ("98", "98 percent"),
        ("0.98", r"98\%"),
        (r"60^\circ", "60 degrees"),
        (r"16\text{ daps}", "16"),
        (r"25\text{ cm}^2", "25"),
        (r"25\text{ cm}^2", "25 cm^{2}"),
        (r"\text{C}", "(C)"),
        (r"\text{odd}", "Odd"),
        ("x = 5", "5"),
        (r"\frac{3}{2}", r"x=\frac 32"),
        (r"2 \sqrt{3}", r"2\sqrt3"),
        (r"\left( 4, \frac{\pi}{12} \right)", r"(4,\frac{\pi}{12})"),
        ("(1, 0.5)", r"\left(1,\tfrac12\right)"),
        ("-1,1", "1, -1"),
        (r"\{1, 2\}", r"\{2,1\}"),
        (r"[0, \infty)", r"[0,\infty)"),
        ("123456789012345678901234567890123456789012345", "123456789012345678901234567890123456789012345."),
    ] {
        assert!(equivalent(reference, answer), "{reference} and {answer}");
    }
}

#[test]
fn different() {
    for (reference, answer) in [
        ("", ""),
        ("", " "),
        ("18", ""),
        ("18", "81"),
        ("18", "-18"),
        ("18", "1.8"),
        ("18", "18x"),
        ("18", "18 x"),
        ("18", "18 or 19"),
        ("18", "18, 19"),
        ("18", "18 million"),
        ("18", r"18\pi"),
        ("18", r"18\sqrt{2}"),
        ("18", "18^2"),
        ("18", "x > 18"),
        ("18", "18!"),
        ("18", "18/0"),
        ("18", "about 18"),
        ("18", "180%"),
        ("0.5", "0.5%"),
        ("1", "1%"),
        (r"\frac13", "0.33"),
        (r"\frac13", "0.3333333333333333"),
        ("1 1/2", "11/2"),
        (r"1\frac12", r"\frac{11}{2}"),
        ("5 cm", "5 kg"),
        ("$5", "5 euros"),
        ("x = 5", "y = 5"),
        ("x = 5", "x = 6"),
        ("(1, 2)", "(2, 1)"),
        ("(1, 2)", "[1, 2]"),
        ("(1, 2)", "(1, 2]"),
        ("(1, 2)", "1, 2"),
        ("(1, 2)", "12"),
        ("1, 2, 2", "1, 1, 2"),
        (r"\{1, 2\}", r"\{1, 2, 2\}"),
        ("C", "c"),
        (r"\text{A}", r"\text{B}"),
        ("odd", "even"),
        ("2215_6", "2215"),
        ("3:30", "3.30"),
        (r"\sqrt{2}", r"\sqrt{3}"),
        ("x^2", "x2"),
        ("2^{10}", "210"),
        ("1234", "1,2,3,4"),
        ("123456789012345678901234567890123456789012345", "123456789012345678901234567890123456789012346"),
    ] {
        assert!(!equivalent(reference, answer), "{reference} and {answer}");
        assert!(
            !equivalent(answer, reference) || reference.contains('%') || answer.contains('%'),
            "{answer} and {reference}"
        );
    }
}

/// Ways to write the fraction `numerator / denominator`.
fn spellings(numerator: i64, denominator: i64) -> Vec<String> {
    let sign = if numerator < 0 { "-" } else { "" };
    let positive = numerator.abs();
    let mut spellings = vec![
        format!("{numerator}/{denominator}"),
        format!(r"{sign}\frac{{{positive}}}{{{denominator}}}"),
        format!(r"$\dfrac{{{}}}{{{}}}$", 3 * numerator, 3 * denominator),
        format!("{numerator}/{denominator} miles"),
    ];
    if numerator % denominator == 0 {
        let whole = positive / denominator;
        spellings.push(format!("{sign}{whole}.00"));
        spellings.push(format!(r"{sign}\${whole}"));
        if whole >= 1000 {
            spellings.push(format!("{sign}{},{:03}", whole / 1000, whole % 1000));
        }
    }
    if 100 % denominator == 0 {
        let hundredths = positive * 100 / denominator;
        spellings.push(format!("{sign}{}.{:02}", hundredths / 100, hundredths % 100));
        spellings.push(format!(r"{sign}{hundredths}\%"));
    }
    spellings
}

proptest! {
    #[test]
    fn numbers_are_the_same_exactly_if_their_values_are(
        a in -3000_i64..3000, b in 1_i64..26, c in -3000_i64..3000, d in 1_i64..26, near in any::<bool>(),
    ) {
        // Half of the time the second number is close to the first or equals it.
        let (c, d) = if near { (a + c.signum(), b) } else { (c, d) };
        for one in spellings(a, b) {
            for other in spellings(c, d) {
                // A percent sign may be left out, so `50%` is the same as `50` and as `0.5`: not a matter of value alone.
                let percentages = [&one, &other].iter().filter(|text| text.contains('%')).count();
                if percentages == 1 && a * d != b * c {
                    continue;
                }
                // Miles are neither dollars nor a share, whatever their number.
                let has = |unit| one.contains(unit) || other.contains(unit);
                if has("miles") && (has(r"\$") || has("%")) {
                    prop_assert!(!equivalent(&one, &other), "{} and {}", one, other);
                    continue;
                }
                prop_assert_eq!(equivalent(&one, &other), a * d == b * c, "{} and {}", one, other);
            }
        }
    }

    #[test]
    fn any_text_is_the_same_as_itself_and_nothing_fails(one in ".{0,40}", other in ".{0,40}") {
        prop_assert_eq!(equivalent(&one, &one), !one.trim().is_empty());
        equivalent(&one, &other);
        boxed(&one);
    }

    #[test]
    fn scraps_of_latex_do_no_harm(parts in prop::collection::vec(prop_oneof![
        Just("\\frac"), Just("\\sqrt"), Just("\\text{"), Just("{"), Just("}"), Just("("), Just(")"), Just("["), Just("]"),
        Just("\\{"), Just("\\}"), Just(","), Just(".") , Just("-"), Just("$"), Just("\\$"), Just("%"), Just("\\left"), Just("\\,"),
        Just(" "), Just("1"), Just("234"), Just("x"), Just("="), Just("/"), Just("^\\circ"), Just("\\boxed{"), Just("é"), Just("cm"),
    ], 0..24), other in prop::collection::vec(prop_oneof![Just("1"), Just(","), Just("("), Just(")"), Just("x")], 0..24)) {
        let (text, other) = (parts.concat(), other.concat());
        prop_assert_eq!(equivalent(&text, &text), !text.trim().is_empty());
        equivalent(&text, &other);
        equivalent(&other, &text);
        boxed(&text);
    }
}

#[test]
fn long_texts_are_compared_at_once() {
    let nested = "(".repeat(200_000) + &")".repeat(200_000);
    let list = vec!["(1,(2,3))"; 50_000].join(",");
    let started = std::time::Instant::now();
    assert!(!equivalent(&nested, &list) && !equivalent(&list, &nested) && equivalent(&list, &list));
    let deep = "(1,".repeat(120) + "1" + &")".repeat(120);
    let wide = vec!["1"; 160].join(",");
    assert!(!equivalent(&deep, &wide) && equivalent(&wide, &wide.replace(',', " ,")));
    assert!(started.elapsed().as_secs() < 5);
}

proptest! {
    /// Formulas, relations, matrices, nested deeper than any parser's stack should go.
    #[test]
    fn scraps_of_formulas_do_no_harm_and_take_no_time(parts in prop::collection::vec(prop_oneof![
        Just("\\frac{"), Just("\\sqrt["), Just("\\sqrt{"), Just("x^"), Just("^{"), Just("}"), Just("("), Just(")"), Just("|"),
        Just("\\sin"), Just("\\log_"), Just("-"), Just("+"), Just("/"), Just("!"), Just("="), Just("<"), Just("\\le "),
        Just("\\pm"), Just("\\cup"), Just("\\begin{pmatrix}"), Just("\\end{pmatrix}"), Just("&"), Just("\\\\"), Just("°"),
        Just("9"), Just("99999999999"), Just("1.5"), Just("x"), Just("e"), Just("i"), Just("\\pi"), Just("\\binom{9}{3}"),
        Just(" or "), Just(","), Just("\\lfloor"), Just("\\rfloor"), Just("_{"), Just("\\infty"), Just("½"),
    ], 0..60), other in prop::collection::vec(prop_oneof![
        Just("x"), Just("+1"), Just("^2"), Just("="), Just("<"), Just("\\sqrt2"), Just(","), Just("2"), Just("\\pi"),
    ], 0..12), repeated in 1..40_usize) {
        let began = std::time::Instant::now();
        for text in [parts.concat(), parts.iter().take(3).copied().collect::<String>().repeat(repeated)] {
            prop_assert_eq!(equivalent(&text, &text), !text.trim().is_empty());
            let other = other.concat();
            prop_assert_eq!(equivalent(&text, &other), equivalent(&text, &format!(" {other} ")));
            equivalent(&other, &text);
            extract(&text, AnswerKind::Math);
        }
        prop_assert!(began.elapsed().as_millis() < 1000, "{:?}", began.elapsed());
    }
}

#[test]
fn hard_texts_are_compared_in_bounded_time() {
    let near_limit = |part: &str| part.repeat(490 / part.len());
    let texts = [
        near_limit("\\sqrt{") + &"}".repeat(8),
        near_limit("("),
        near_limit("x^"),
        near_limit("-"),
        near_limit("|"),
        near_limit("|x"),
        near_limit("\\sin "),
        near_limit("99!"),
        near_limit("x+"),
        near_limit("9^9^"),
        near_limit("9^{9"),
        near_limit("x,") + "x",
        near_limit("(x,") + "x",
        near_limit("1\\pm 1,") + "1",
        near_limit("x+\\sqrt2,") + "x",
        near_limit("x<"),
        near_limit("x=") + "x",
        near_limit("x\\cup ") + "x",
        near_limit("\\frac12") + "=x",
        near_limit("x+") + "\\sqrt{2}=y",
        "\\begin{pmatrix}".to_owned() + &"1&".repeat(200) + "1\\end{pmatrix}",
        "\\begin{pmatrix}".to_owned() + &"x+1\\\\".repeat(70) + "1\\end{pmatrix}",
    ];
    let mut slowest = (std::time::Duration::ZERO, "", "");
    for one in &texts {
        for other in &texts {
            let began = std::time::Instant::now();
            // Equal but for spaces, so that the whole comparison has to be done.
            equivalent(one, &format!("{other}  "));
            equivalent(one, &other.replace(',', " ,").replace('+', "+ "));
            slowest = slowest.max((began.elapsed(), one, other));
        }
    }
    println!("slowest: {slowest:?}");
    assert!(slowest.0.as_millis() < 500, "{slowest:?}");
}
