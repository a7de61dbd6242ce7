//! What is read of a text, against verdicts by hand and against a second calculation of random equations.

use super::{Truth, equations};
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// The equations of a text as `text: truth`, doubts as `?`.
fn read(text: &str) -> Vec<(String, char)> {
    let sign = |truth| match truth {
        Truth::Holds => '+',
        Truth::Fails => '-',
        Truth::Unclear(_) => '?',
    };
    equations(text).into_iter().map(|found| (text[found.at].to_owned(), sign(found.truth))).collect()
}

fn truths(text: &str) -> String {
    read(text).into_iter().map(|(_, truth)| truth).collect()
}

#[test]
fn what_holds_is_found() {
    for text in [
        "6 * 8 = 48",
        "6*8=48.",
        "so 6 × 8 = 48 apples",
        "6 x 8 = 48",
        "6x8=48",
        "6 X $8 = $48",
        r"$6 \times 8 = 48$",
        r"\(6 \cdot 8 = 48\)",
        "48 ÷ 6 = 8",
        r"48 \div 6 = 8",
        "(2 + 3) * 4 = 20",
        "2(3 + 4) = 14",
        "[2 + 3] * 4 = 20",
        "3 - -2 = 5",
        "-3 + 5 = 2",
        "5 - 8 = -3",
        "2^3 = 8",
        "2**10 = 1024",
        r"2^{10} = 1024",
        "5² = 25",
        r"\frac{1}{2} + \frac{1}{3} = \frac{5}{6}",
        r"\dfrac{48}{2} = 24",
        r"2\frac{1}{2} + 1 = 3.5",
        "2 1/2 * 2 = 5",
        "½ + ¼ = ¾",
        r"\sqrt{16} + 1 = 5",
        "1,000 + 2,500 = 3,500",
        "1{,}000 + 1 = 1{,}001",
        "1,234,567 - 1 = 1,234,566",
        ".5 + .25 = .75",
        "$1.50 + $2.25 = $3.75",
        "US$5 + US$3 = US$8",
        "€5 * 3 = €15",
        "20% * 50 = 10",
        "20% of 50 = 10",
        "20 percent of 50 = 10",
        "1/2 of 10 = 5",
        "100% - 20% = 80%",
        "3/4 = 75%",
        "3/4 * 100 = 75%",
        r"20\% \times 50 = 10",
        "10 / 3 = 3.33",
        "2 / 3 = 0.67",
        "2 / 3 = 0.66",
        "1 / 3 = 33.3%",
        "10 / 3 ≈ 3",
        r"10 / 3 \approx 3.3",
        "1199 * 2 ≈ 2400",
        "5 apples + 3 apples = 8 apples",
        "40 hours/week * 2 weeks = 80 hours",
        "$12/hour * 3 hours = $36",
        "3 cm^2 + 4 cm^2 = 7 cm^2",
        r"3\text{ cm} + 4\text{ cm} = 7\text{ cm}",
        "5 plus 3 equals 8",
        "6 times 8 = 48",
        "10 divided by 4 = 2.5",
        "6 multiplied by 8 = 48",
        "**6 * 8 = 48**",
        "* 6 * 8 = 48",
        "- 6 * 8 = 48",
        "- 5 + 3 = -2",
        "-5 + 3 = -2",
        "Then:\n- 6 * 8 = 48",
        "1) 6 * 8 = 48",
        "Step 2: 6 * 8 = 48",
        "Total = 6 * 8 = $48",
        "She pays 6 * 8 = 48 dollars (6 each).",
        "x = 6 * 8 = 48",
        "<<6*8=48>>",
        r"\boxed{6 * 8 = 48}",
        "6 * 8\n= 48",
        "6 * 8 =\n48",
        "&= 6 * 8 \\\\\n&= 48",
        "(6 * 8 = 48)",
        "0.1 + 0.2 = 0.3",
        "3 × 10^8 = 300000000",
        "Mia's 6 * 8 = 48",
        "5 x (3 + 2) = 25",
        "4 - 4 = 0",
        "三个苹果，6 × 8 = 48。",
    ] {
        assert_eq!(truths(text), "+", "{text}: {:?}", read(text));
    }
}

#[test]
fn what_fails_is_found() {
    for text in [
        "16 + 16 = 20",
        "So 6 * 8 = 49 apples.",
        r"$\frac{1}{2} + \frac{1}{3} = \frac{2}{5}$",
        "10 / 3 = 3.34",
        "10 / 4 = 2.4",
        "2 / 3 = 0.6667 + 1",
        "10 / 3 ≈ 7",
        "$5 + $3 = $9",
        "20% of 50 = 11",
        "1,000 + 2,500 = 3500.5",
        "5 apples + 3 apples = 9 apples",
        "5 apples + 3 oranges = 9 fruits",
        "Total = 6 * 8 = $49",
        "5 plus 3 equals 9",
        "7 / 2 = 5",
        "2^3 = 6",
        "<<6*8=49>>",
        "A total of 12 + 30 = 52 were sold.",
        "She has 5 pens so 2 + 2 = 5",
        "- 6 * 8 = 49",
        "6 * 8\n= 49",
        "7 - 3 = 4.5",
        "0.5 * 3 = 4",
        "100% - 20% = 70%",
        "8 = 16 + 16",
        "2 + 3 = 5 * 4",
        "3 * 7 = 20 each",
        "Answer: 1 + 1 = 3!",
    ] {
        assert_eq!(truths(text), "-", "{text}: {:?}", read(text));
    }
}

#[test]
fn what_may_be_meant_otherwise_is_unclear() {
    for text in [
        "half of 10 + 6 = 11",
        "1/2 of the 20 + 4 = 14",
        "2 feet + 6 inches = 30 inches",
        "1 hour + 30 minutes = 90 minutes",
        "$1 - $0.25 = 75 cents",
        "17 / 5 = 3 remainder 2",
        "17 / 5 = 3",
        "7 / 2 = 4 full boxes",
        "2 dozen + 3 = 27",
        "$2 million * 3 = $6,000,000",
        "33.33 * 3 = 100",
        "50 + 10% = 55",
        "60 / 3/4 = 80",
        "9 + 5 = 2 pm",
        "12 + 5 = 5 mod 12",
        "Suppose 2 + 2 = 5.",
        "Is 2 + 2 = 5?",
        "It is wrong that 2 + 2 = 5",
        "3 + 4 = 2 more than 5",
        "3 x - 5 x 2 = 4, so x = 3",
        "the average of 10 + 20 = 15",
        "5 and 3 + 4 = 12",
        "5 thousand dollars a day, so 5 * 3 = $15,000",
    ] {
        let found = truths(text);
        assert!(!found.contains('-'), "{text}: {:?}", read(text));
    }
    // A chain that goes on from a result, and the part of it that holds.
    assert_eq!(truths("2 + 3 = 5 * 4 = 20"), "?+");
    assert_eq!(truths("2 + 3 = 5 * 4 = 21"), "?-");
}

#[test]
fn what_is_no_equation_of_numbers_is_passed_over() {
    for text in [
        "",
        "=",
        "x = 5",
        "2x + 3 = 7",
        "2 x + 3 = 7",
        "x + 2 * 3 = 7",
        "3 + 2 x = 10",
        "3 + 2 xy = 10",
        "n - 5 + 3 = 10",
        "y/2 = 10",
        "5 + 3 = x",
        "5 + 3 = 2x",
        "100/5 = 5A/5",
        "5 + 3 = y + 2",
        "2 * n = 10",
        r"2\pi \cdot 3 = 18",
        r"\alpha + 3 = 7",
        "f(2) = 5",
        "f(2) + 1 = 9",
        "log(8) = 3",
        "P(A) = 3",
        "1 hour = 60 minutes",
        "3 dozen = 36",
        "1 box = 3 + 4",
        "Day 3 = 5 + 4",
        "20% = 30 students",
        "100% = 50",
        "A = 5, B = 6",
        "12/25/2020 = Christmas",
        "at 3:30 = 4",
        "0900-0130 = 0730",
        "1010_2 = 10",
        "version 1.2.3 = 4 + 4",
        "10,5 + 3 = 13",
        "5! = 120",
        "3 + ... + 9 = 40",
        "1 + 2 + … + 10 = 56",
        "5 ± 3 = 9",
        "5 == 2 + 2",
        "5 != 2 + 2",
        "2 + 2 => 5",
        "2 + 2 <= 5",
        "2 + 2 ≠ 5",
        r"2 + 2 \neq 5",
        "|3 - 8| = 5",
        "(3, 4) = 7",
        "cost - 5 * 3 = 10",
        "Total cost + his 5 * 3 = 10",
        "5 * width = 20",
        "1e5 * 2 = 10",
        "<a href='x'>2</a> = 3",
        "2 + 2 = ?",
        "2 + 2 = ___",
        r"\frac{x}{2} = 4",
        r"\frac{1}{2 = 4",
        "$100 + ($100 * 2 = $300",
        "17 // 5 = 3",
        "2nd + 3rd = 4th",
        "A1 = 5",
        "a 5-day week = 7",
    ] {
        assert_eq!(read(text), [], "{text}");
    }
}

#[test]
fn places_and_values_are_those_of_the_text() {
    let text = "Ann sold 48/2 = <<48/2=24>>24 clips.\nThat is 48 + 24 = $<<48+24=72>>73 in all.";
    assert_eq!(
        read(text),
        [
            ("48/2 = <<48/2=24>>24".to_owned(), '+'),
            ("48/2=24".to_owned(), '+'),
            ("48 + 24 = $<<48+24=72>>73".to_owned(), '-'),
            ("48+24=72".to_owned(), '+'),
        ]
    );
    let found = equations("3/4 + 1 = 5/4 = 1.25");
    assert_eq!((&found[0].left[..], &found[0].right[..]), ("7/4", "5/4"));
    assert_eq!((found[0].truth, found[1].truth), (Truth::Fails, Truth::Holds));
}

#[test]
fn any_text_is_read_in_a_moment() {
    let count = 20_000;
    for text in [
        "=".repeat(count),
        "1=".repeat(count),
        "1+1=".repeat(count),
        "1+".repeat(count) + "1=2",
        "(".repeat(count) + "1 = 1",
        "1 = ".to_owned() + &"(".repeat(count),
        "1 + 1 = ".to_owned() + &"-".repeat(count),
        "\\frac{".repeat(count),
        "\\frac{1}{".repeat(count),
        "\\text{".repeat(count),
        "<<".repeat(count),
        "<<1+1=2>>".repeat(count / 4),
        "a ".repeat(count) + "1 + 1 = 2",
        "9".repeat(count) + " + 1 = 2",
        "0.".to_owned() + &"9".repeat(count) + " + 1 = 2",
        "2^9^9^9^9 = 1 ".repeat(count / 8),
        "1,".repeat(count) + "1 + 1 = 2",
        "((((1)))) + ".repeat(count / 8) + "1 = 2",
        "\n".repeat(count) + "= 2",
        "1 / 3 * ".repeat(count / 4) + "1 = 2",
        "\u{0}é𝟙²½".repeat(count / 8),
    ] {
        let began = Instant::now();
        drop(equations(&text));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}..", &text.chars().take(20).collect::<String>());
    }
}

/// A calculation as it is written, and its value as a fraction, calculated apart from the reader.
#[derive(Clone, Debug)]
struct Written {
    text: String,
    over: i128,
    under: i128,
    /// 0 for sums, 1 for products, 2 for what stands alone.
    binds: u8,
}

fn in_brackets(inner: &Written, binds: u8) -> String {
    if inner.binds < binds || inner.text.starts_with('-') { format!("({})", inner.text) } else { inner.text.clone() }
}

fn calculations() -> impl Strategy<Value = Written> {
    let whole = (1_i128..2000, prop::bool::ANY).prop_map(|(number, is_grouped)| {
        let text = if is_grouped && number >= 1000 {
            format!("{},{:03}", number / 1000, number % 1000)
        } else {
            number.to_string()
        };
        Written { text, over: number, under: 1, binds: 2 }
    });
    let decimal = (0_i128..500, 0_i128..100).prop_map(|(whole, part)| Written {
        text: format!("{whole}.{part:02}"),
        over: whole * 100 + part,
        under: 100,
        binds: 2,
    });
    let fraction = (1_i128..20, 2_i128..20).prop_map(|(over, under)| Written {
        text: format!("\\frac{{{over}}}{{{under}}}"),
        over,
        under,
        binds: 2,
    });
    let signs = (0_usize..4, 0_usize..3, prop::bool::ANY);
    prop_oneof![3 => whole, 1 => decimal, 1 => fraction].prop_recursive(3, 6, 2, move |inner| {
        (inner.clone(), inner, signs.clone()).prop_filter_map(
            "a quotient of zero, or of quotients",
            |(left, right, (operation, style, is_spaced))| {
                let sign = match operation {
                    0 => "+",
                    1 => "-",
                    2 => ["*", "×", " x "][style],
                    _ => ["/", "÷", "\\div "][style],
                };
                let sign = if is_spaced { format!(" {} ", sign.trim()) } else { sign.to_owned() };
                let (a, b, c, d) = (left.over, left.under, right.over, right.under);
                let (over, under) = match operation {
                    0 => (a * d + c * b, b * d),
                    1 => (a * d - c * b, b * d),
                    2 => (a * c, b * d),
                    _ => (a * d, b * c),
                };
                let binds = u8::from(operation >= 2);
                // What stands right of a minus or a division is bracketed, and so is a division left of another.
                let left_text = if operation == 3 { in_brackets(&left, 2) } else { in_brackets(&left, binds) };
                let right_text = in_brackets(&right, if operation == 0 { 0 } else { binds + 1 });
                let (over, under) = if under < 0 { (-over, -under) } else { (over, under) };
                (under != 0).then(|| Written { text: format!("{left_text}{sign}{right_text}"), over, under, binds })
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_equations_are_calculated_as_by_hand(one in calculations(), off in 1_i128..50, lead in 0_usize..4) {
        prop_assume!(one.binds < 2);
        let lead = ["", "So we have ", "Total: ", "$"][lead];
        let value = |over: i128, under: i128| {
            if over % under == 0 { (over / under).to_string() } else { format!("({over})/{under}") }
        };
        let right = format!("{lead}{} = {}", one.text, value(one.over, one.under));
        prop_assert_eq!(truths(&right), "+", "{}", right);
        let wrong = format!("{lead}{} = {}", one.text, value(one.over + off * one.under, one.under));
        prop_assert!(!truths(&wrong).contains('+'), "{}", wrong);
        // Integers leave nothing to doubt.
        if !one.text.contains(['.', '/', '÷', '\\']) {
            prop_assert_eq!(truths(&wrong), "-", "{}", wrong);
        }
    }

    #[test]
    fn no_text_is_too_much(text in "[-0-9xa .,()\\\\{}$%=+*/^<>≈½é\n]{0,60}") {
        for found in equations(&text) {
            prop_assert!(text.get(found.at.clone()).is_some(), "{:?}", found);
        }
    }
}
