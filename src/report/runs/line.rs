//! One line of a log: glog's prefix, and the numbers behind Caffe's words.

/// When a line was written. Glog's classic prefix has no year, its newer one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    year: Option<i64>,
    month: i64,
    day: i64,
    /// Microseconds since midnight.
    micros: i64,
}

/// Glog's prefix (`I1121 20:30:51.627060  2572 solver.cpp:34] `, or with `I20261121`) and the message behind it, which keeps its
/// indent. A line without the prefix is all message.
pub fn split(line: &str) -> (Option<Stamp>, &str) {
    match prefixed(line) {
        Some((stamp, message)) => (Some(stamp), message),
        None => (None, line),
    }
}

fn prefixed(line: &str) -> Option<(Stamp, &str)> {
    let (date, rest) = line.strip_prefix(['I', 'W', 'E', 'F'])?.split_once(' ')?;
    let (time, rest) = rest.split_once(' ')?;
    let (thread, rest) = rest.trim_start().split_once(' ')?;
    let (place, message) = rest.split_once("] ").or_else(|| Some((rest.strip_suffix(']')?, "")))?;
    let (_, line_number) = place.rsplit_once(':')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(thread) || !digits(line_number) || place.contains(' ') {
        return None;
    }
    let number = |text: Option<&str>| text.filter(|text| digits(text))?.parse::<i64>().ok();
    let (year, month_and_day) = match date.len() {
        4 => (None, date),
        8 => (Some(number(date.get(..4))?), date.get(4..)?),
        _ => return None,
    };
    let (month, day) = (number(month_and_day.get(..2))?, number(month_and_day.get(2..))?);
    let (clock, fraction) = time.split_once('.')?;
    let mut parts = clock.split(':').map(|part| number(Some(part)));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let sensible = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !sensible || parts.next().is_some() || fraction.len() > 6 {
        return None;
    }
    let micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + number(Some(fraction))?;
    Some((Stamp { year, month, day, micros }, message))
}

/// Reads stamps in order as one clock. Where they have no year, a month before the last one means that a year went by.
#[derive(Debug, Default)]
pub struct Clock {
    years: i64,
    last_month: i64,
}

impl Clock {
    /// Microseconds since some moment that is the same for all lines of a log.
    pub fn micros(&mut self, stamp: Stamp) -> i64 {
        self.years += i64::from(stamp.year.is_none() && stamp.month < self.last_month);
        self.last_month = stamp.month;
        let year = stamp.year.unwrap_or(2014 + self.years);
        days(year, stamp.month, stamp.day) * 86_400_000_000 + stamp.micros
    }
}

/// Days since 1 March of the year 0: years that begin in March have their leap day last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day - 1
}

/// The whole number behind a word.
pub fn count_after(text: &str, word: &str) -> Option<u64> {
    text.match_indices(word).find_map(|(place, _)| leading_count(&text[place + word.len()..]))
}

fn leading_count(text: &str) -> Option<u64> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// The number behind a word, as C++ prints numbers on Linux (`nan`, `-inf`) and on Windows (`1.#QNAN`, `-1.#INF`).
pub fn number_after(text: &str, word: &str) -> Option<f64> {
    text.match_indices(word).find_map(|(place, _)| leading_number(&text[place + word.len()..]))
}

fn leading_number(text: &str) -> Option<f64> {
    let end = text.find(|letter: char| letter.is_whitespace() || ",();/".contains(letter)).unwrap_or(text.len());
    let text = &text[..end];
    match text.split_once('#') {
        Some((sign, kind)) if kind.starts_with("INF") => {
            Some(if sign.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY })
        }
        Some((_, kind)) if ["QNAN", "SNAN", "IND"].iter().any(|name| kind.starts_with(name)) => Some(f64::NAN),
        _ => text.parse().ok(),
    }
}

/// Name and value of a line such as `    Test net output #0: accuracy = 0.2525`, where `words` is `Test net output #`.
pub fn output<'a>(text: &'a str, words: &str) -> Option<(&'a str, f64)> {
    let (_, rest) = text.split_once(words)?;
    let (number, rest) = rest.split_once(": ")?;
    let (name, value) = rest.split_once(" = ")?;
    let is_line = leading_count(number).is_some() && !name.is_empty() && !name.contains(char::is_whitespace);
    Some((name, leading_number(value)?)).filter(|_| is_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_prefixes_and_none() {
        let message = "Iteration 20, lr = 0.025";
        for prefix in ["I1121 20:48:31.435959 12949 sgd_solver.cpp:135] ", "I20261121 20:48:31.435959     9 a.cpp:1] "]
        {
            let line = format!("{prefix}{message}");
            let (stamp, rest) = split(&line);
            assert_eq!((stamp.unwrap().micros, rest), (74_911_435_959, message));
        }
        for line in
            [message, "", "I", "I1321 20:48:31.4 1 a:1] x", "I1121 20:48:31.435959 12949 no place x", "I1121 é é é"]
        {
            assert_eq!(split(line), (None, line));
        }
    }

    #[test]
    fn a_clock_goes_on_over_new_year_and_leap_days() {
        let seconds = |lines: [&str; 2]| {
            let mut clock = Clock::default();
            let [a, b] = lines.map(|line| clock.micros(split(&format!("{line} 1 a.cpp:1] x")).0.unwrap()));
            (b - a) as f64 / 1e6
        };
        assert_eq!(seconds(["I1231 23:59:59.000000", "I0101 00:00:01.500000"]), 2.5);
        assert_eq!(seconds(["I20240228 00:00:00.000000", "I20240301 00:00:00.000000"]), 2.0 * 86400.0);
        assert_eq!(seconds(["I20230228 00:00:00.000000", "I20230301 00:00:00.000000"]), 86400.0);
    }

    #[test]
    fn numbers_end_where_the_next_word_begins() {
        let line = "Iteration 20 (253.165 iter/s, 0.079s/20 iters), loss = 2.13815";
        assert_eq!(count_after(line, "Iteration "), Some(20));
        assert_eq!(number_after(line, "loss = "), Some(2.13815));
        assert_eq!(number_after("Iteration 4000, lr = 1e-05, momentum = 0.867062", "lr = "), Some(1e-5));
        assert_eq!(
            output("  [0]     Train net output #1: loss = 2 (* 1 = 2 loss)", "Train net output #"),
            Some(("loss", 2.0))
        );
        assert_eq!(output("Train net output #1: loss = (none)", "Train net output #"), None);
        assert!(["nan", "-nan", "1.#QNAN", "-1.#IND"].iter().all(|text| leading_number(text).unwrap().is_nan()));
        assert_eq!(["-inf", "-1.#INF"].map(leading_number), [Some(f64::NEG_INFINITY); 2]);
    }
}
