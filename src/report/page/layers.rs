//! What the layers of a net cost: times and memory, from what `rcaffe time`, Caffe's `caffe time` or a training run printed.

use super::{html::escaped, numbers::short};

/// What a layer costs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Milliseconds of a forward pass.
    pub forward: Option<f64>,
    /// Milliseconds of a backward pass.
    pub backward: Option<f64>,
    /// Bytes of its tops, as Caffe counts them.
    pub memory: Option<u64>,
    /// The shape of its first top, `100 32 32 32`.
    pub shape: Option<String>,
}

/// The layers that a log speaks of, in order: memory and shapes where nets are set up (of the first net), times where `rcaffe time` or
/// `caffe time` prints them. Empty when there are none.
///
/// ```
/// let log = "] Setting up conv1\n] Top shape: 8 4 2 2 (128)\n] Memory required for data: 512\n\
///            ] conv1\tforward: 1.5 ms.\n] conv1\tbackward: 2.5 ms.\n";
/// let layers = rcaffe::report::page::read_layers(log);
/// assert_eq!((layers[0].forward, layers[0].memory), (Some(1.5), Some(512)));
/// ```
pub fn read(text: &str) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut total = 0;
    let mut in_first_net = true;
    for line in text.lines() {
        let line = line.split_once("] ").map_or(line, |(_, message)| message).trim();
        if let Some(name) = line.strip_prefix("Setting up ") {
            in_first_net &= !layers.iter().any(|layer| layer.name == name);
            if in_first_net {
                layers.push(Layer { name: name.into(), ..Layer::default() });
            }
        } else if let Some(shape) = line.strip_prefix("Top shape: ").filter(|_| in_first_net) {
            let shape = shape.split('(').next().unwrap_or("").trim();
            if let Some(layer) = layers.last_mut().filter(|layer| layer.shape.is_none()) {
                layer.shape = Some(shape.into());
            }
        } else if let Some(bytes) = line.strip_prefix("Memory required for data: ").filter(|_| in_first_net) {
            let bytes: u64 = bytes.trim().parse().unwrap_or(total);
            if let Some(layer) = layers.last_mut() {
                layer.memory = Some(bytes.saturating_sub(total));
            }
            total = bytes;
        } else if let Some((name, milliseconds)) = time(line, "forward:") {
            of(&mut layers, name).forward = Some(milliseconds);
        } else if let Some((name, milliseconds)) = time(line, "backward:") {
            of(&mut layers, name).backward = Some(milliseconds);
        }
    }
    layers
}

/// `conv1  forward: 1.5 ms.`
fn time<'a>(line: &'a str, direction: &str) -> Option<(&'a str, f64)> {
    let (name, rest) = line.split_once(direction)?;
    let milliseconds = rest.trim().strip_suffix("ms.")?.trim().parse().ok()?;
    let name = name.trim();
    (!name.is_empty()).then_some((name, milliseconds))
}

fn of<'a>(layers: &'a mut Vec<Layer>, name: &str) -> &'a mut Layer {
    let index = layers.iter().position(|layer| layer.name == name).unwrap_or_else(|| {
        layers.push(Layer { name: name.into(), ..Layer::default() });
        layers.len() - 1
    });
    &mut layers[index]
}

/// The section with the table; nothing when there are no layers.
pub(super) fn section(layers: &[Layer]) -> String {
    if layers.is_empty() {
        return String::new();
    }
    let timed = layers.iter().any(|layer| layer.forward.is_some());
    let both = |layer: &Layer| layer.forward.unwrap_or(0.0) + layer.backward.unwrap_or(0.0);
    let bytes = |layer: &Layer| layer.memory.unwrap_or(0) as f64;
    let share = |value: f64, all: f64| if all > 0.0 { value / all } else { 0.0 };
    let most = |value: &dyn Fn(&Layer) -> f64| layers.iter().map(value).fold(0.0, f64::max);
    let sum = |value: &dyn Fn(&Layer) -> f64| layers.iter().map(value).sum::<f64>();
    let (slowest, largest) = (most(&both), most(&bytes));
    let bar = |part: f64| {
        format!("<span class=\"barcell\"><span class=\"bar\" style=\"width:{:.0}%\"></span></span>", part * 90.0)
    };
    let milliseconds = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.2}"));
    let row = |layer: &Layer| {
        let times = if timed {
            format!(
                "<td>{}</td><td>{}</td><td>{:.1} %{}</td>",
                milliseconds(layer.forward),
                milliseconds(layer.backward),
                100.0 * share(both(layer), sum(&both)),
                bar(share(both(layer), slowest))
            )
        } else {
            String::new()
        };
        format!(
            "<tr><th>{}</th><td>{}</td>{times}<td>{}{}</td></tr>\n",
            escaped(&layer.name),
            escaped(layer.shape.as_deref().unwrap_or("–")).replace(' ', "×"),
            layer.memory.map_or("–".into(), |memory| format!("{:.2}", memory as f64 / 1e6)),
            bar(share(bytes(layer), largest)),
        )
    };
    let rows: String = layers.iter().map(row).collect();
    let total =
        if timed { format!("{} ms for an iteration forward and backward, ", short(sum(&both))) } else { String::new() };
    let heads = if timed { "<th>forward, ms</th><th>backward, ms</th><th>share of time</th>" } else { "" };
    format!(
        "<section>\n<h2>Layers</h2>\n<p class=\"quiet\">{total}{:.1} MB of outputs</p>\n<div class=\"scroll\"><table id=\"layers\">\n\
         <thead><tr><th>layer</th><th>output</th>{heads}<th>memory, MB</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n\
         </section>\n",
        sum(&bytes) / 1e6
    )
}
