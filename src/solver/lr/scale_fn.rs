//! `scale_fn`: the height of each cycle's wave as an expression in x.
//!
//! The Keras callback CLR (github.com/bckenstler/CLR) takes it as a Python function; its examples read
//!
//! ```text
//! scale_fn: "1 / (2 ** (x - 1))"                  # scale_mode: CYCLE, the default: triangular2
//! scale_fn: "0.5 * (1 + sin(x * pi / 2))"
//! scale_fn: "0.9998 ** x"  scale_mode: ITERATIONS # the callback's exp_range
//! ```
//!
//! Numbers are f64. There are `+ - * / % **`, comparisons (1 where they hold, else 0), `pi`, `e`, and the functions below. A
//! sign binds closer than `**`. Nothing branches, so an expression that has one value has a value everywhere.

use std::{fmt, sync::Arc};

use rhai::{AST, Dynamic, Engine, EvalAltResult, OptimizationLevel, Position, Scope};

use crate::error::{Error, Result};

type Number = std::result::Result<f64, Box<EvalAltResult>>;
type Unary = fn(f64) -> f64;
type Binary = fn(f64, f64) -> f64;

const UNARY: &[(&str, Unary)] = &[
    ("-", |a| -a),
    ("+", |a| a),
    ("sin", f64::sin),
    ("cos", f64::cos),
    ("tan", f64::tan),
    ("tanh", f64::tanh),
    ("exp", f64::exp),
    ("log", f64::ln),
    ("sqrt", f64::sqrt),
    ("abs", f64::abs),
    ("floor", f64::floor),
    ("ceil", f64::ceil),
];

const BINARY: &[(&str, Binary)] = &[
    ("+", |a, b| a + b),
    ("-", |a, b| a - b),
    ("*", |a, b| a * b),
    ("/", |a, b| a / b),
    ("%", |a, b| a % b),
    ("**", f64::powf),
    ("<", |a, b| f64::from(u8::from(a < b))),
    ("<=", |a, b| f64::from(u8::from(a <= b))),
    (">", |a, b| f64::from(u8::from(a > b))),
    (">=", |a, b| f64::from(u8::from(a >= b))),
    ("==", |a, b| f64::from(u8::from(a == b))),
    ("!=", |a, b| f64::from(u8::from(a != b))),
    ("min", f64::min),
    ("max", f64::max),
];

/// What the language has beyond expressions of numbers, and what would leave a part of an expression untried.
const NOT_HERE: &[&str] = &[
    "if",
    "switch",
    "do",
    "while",
    "loop",
    "for",
    "in",
    "!in",
    "let",
    "const",
    "throw",
    "try",
    "return",
    "&&",
    "||",
    "??",
    "eval",
    "print",
    "debug",
    "type_of",
    "is_def_var",
    "Fn",
    "call",
    "this",
];

/// An expression that was found to give a number.
#[derive(Clone)]
pub(super) struct ScaleFn(Arc<Compiled>);

struct Compiled {
    text: String,
    engine: Engine,
    syntax: AST,
}

impl ScaleFn {
    /// Reads an expression and tries it at x = 1, where every run begins.
    ///
    /// # Errors
    /// When it is none, or does not give a number; the message has the position in the expression.
    pub fn new(text: &str) -> Result<Self> {
        let engine = engine();
        let wrong = |position: Position, message: String| refusal(text, position, &message);
        let syntax =
            engine.compile_expression(text).map_err(|error| wrong(error.position(), error.err_type().to_string()));
        let scale = ScaleFn(Arc::new(Compiled { text: text.into(), syntax: syntax?, engine }));
        match scale.evaluate(1.0) {
            Ok(value) if value.is_finite() => Ok(scale),
            Ok(value) => Err(wrong(Position::NONE, format!("it is {value} at x = 1"))),
            Err(mut error) => {
                let position = error.take_position();
                Err(wrong(position, error.to_string()))
            }
        }
    }

    /// The value at x.
    pub fn at(&self, x: f64) -> f64 {
        // What could fail was tried on load.
        self.evaluate(x).unwrap_or(f64::NAN)
    }

    fn evaluate(&self, x: f64) -> Number {
        let mut scope = Scope::new();
        scope.push_constant("x", x);
        scope.push_constant("pi", std::f64::consts::PI);
        scope.push_constant("e", std::f64::consts::E);
        number(&self.0.engine.eval_ast_with_scope(&mut scope, &self.0.syntax)?)
    }
}

impl fmt::Debug for ScaleFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScaleFn").field(&self.0.text).finish()
    }
}

/// An engine that knows numbers and nothing else.
fn engine() -> Engine {
    let mut engine = Engine::new_raw();
    // So that the operators below take the place of its own: 1 / 2 is a half.
    engine.set_fast_operators(false);
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_max_operations(1000);
    engine.set_max_expr_depths(64);
    for symbol in NOT_HERE {
        engine.disable_symbol(*symbol);
    }
    for &(name, function) in UNARY {
        engine.register_fn(name, move |a: Dynamic| -> Number { Ok(function(number(&a)?)) });
    }
    for &(name, function) in BINARY {
        engine.register_fn(name, move |a: Dynamic, b: Dynamic| -> Number { Ok(function(number(&a)?, number(&b)?)) });
    }
    engine
}

fn number(value: &Dynamic) -> Number {
    let whole = || value.as_int().map(|whole| whole as f64);
    value.as_float().or_else(|_| whole()).map_err(|kind| format!("a {kind} is no number").into())
}

fn refusal(text: &str, position: Position, message: &str) -> Error {
    let place = match (position.line(), position.position()) {
        (Some(1) | None, Some(column)) => format!(", at character {column}"),
        (Some(line), Some(column)) => format!(", at character {column} of line {line}"),
        _ => String::new(),
    };
    let message = message.replace("Script", "the expression");
    let hint = if text.contains('^') { "; a power is written **" } else { "" };
    Error::config("scale_fn", format!("in {text:?}{place}: {message}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, x: f64) -> f64 {
        ScaleFn::new(text).unwrap().at(x)
    }

    #[test]
    fn the_callbacks_examples_have_their_values() {
        assert_eq!([1.0, 2.0, 3.0].map(|x| value("1/(2**(x-1))", x)), [1.0, 0.5, 0.25]);
        assert_eq!([1.0, 2.0, 3.0].map(|x| value("1/(2.**(x-1))", x)), [1.0, 0.5, 0.25]);
        assert_eq!(value("0.5*(1+sin(x*pi/2.))", 1.0), 1.0);
        assert!((value("0.5*(1+sin(x*pi/2.))", 2.0) - 0.5).abs() < 1e-12);
        assert_eq!(value("0.5 ** x", 3.0), 0.125);
        assert_eq!(value("1 / (5 ** (x * 0.0001))", 10_000.0), 0.2);
    }

    #[test]
    fn whole_numbers_divide_as_numbers_do_and_comparisons_count() {
        assert_eq!(value("1/2 * x + 2**-1", 1.0), 1.0);
        assert_eq!([1.0, 5.0].map(|x| value("(x < 3) + (x >= 3) * 1e-1", x)), [1.0, 0.1]);
        assert_eq!(value("max(0, 1 - x) + min(x, 7) % 4 + abs(-1)", 6.0), 3.0);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_position() {
        let cases = [
            ("0.5*(1+", "at character 8: the expression is incomplete"),
            ("", "at character 1: the expression is incomplete"),
            ("x +* 2", "at character 4"),
            ("2*sinn(x)", "at character 3: Function not found: sinn"),
            ("x*y", "at character 3: Variable not found: y"),
            ("x^2", "at character 2: Function not found: ^ (f64, i64); a power is written **"),
            ("x > 1 && x", "at character 7"),
            ("if x > 1 { 2 } else { 3 }", "at character 1"),
            ("\"x\"", "is no number"),
            ("x = 3", "at character 3"),
            ("1/(x-1)", "it is inf at x = 1"),
            ("x;x", "at character 2"),
            ("max(1,2,3)", "at character 1: Function not found: max"),
            ("print(x)", "at character 1"),
        ];
        for (text, expected) in cases {
            let message = ScaleFn::new(text).err().unwrap_or_else(|| panic!("taken: {text}")).to_string();
            assert!(message.contains(expected), "{message}\n{expected}");
            assert!(message.starts_with("scale_fn: in \"") && !message.contains('\n'), "{message}");
        }
    }

    proptest::proptest! {
        /// No text makes it panic, and one that is taken has a value at every x.
        #[test]
        fn any_text_is_taken_or_refused(text in "[-x0-9.+*/() ,<e^a-z{}\"'%&|\\[\\]#!=~:;]{0,24}|\\PC{0,12}", x: f64) {
            if let Ok(scale) = ScaleFn::new(&text) {
                proptest::prop_assert!(scale.evaluate(x).is_ok(), "{}", text);
            }
        }
    }
}
