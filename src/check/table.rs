//! What the layers of a net cost: shapes, parameters, memory, operations, receptive field.

use std::collections::HashMap;

use super::Report;
use crate::{net::Net, proto::LayerParameter};

/// Puts the table of the net's layers into the report, with their sums.
pub(super) fn fill(net: &mut Net, report: &mut Report) {
    let layers = net.layer_names().count();
    let memory = net.memory();
    let mut fields: HashMap<String, Field> = HashMap::new();
    let mut listed: Vec<&str> = Vec::new();
    let mut rows = vec![HEADING.map(str::to_owned)];
    let mut sums = [0_u64; 4];
    for index in 0..layers {
        let cost = net.layer_cost(index).unwrap_or_default();
        let parameters: usize = net.layer_parameters(index).iter().map(|blob| blob.count()).sum();
        let bottoms = net.layer_bottoms(index).filter_map(|bottom| fields.get(bottom).copied());
        let field = bottoms.reduce(Field::and).unwrap_or_default().behind(net.layer_message(index));
        let mut bytes = 0;
        let mut shape = String::from("-");
        for (position, top) in net.layer_tops(index).enumerate() {
            fields.insert(top.to_owned(), field);
            let Some(blob) = memory.iter().find(|blob| blob.name == top) else { continue };
            if position == 0 {
                shape = blob.shape.to_string();
            }
            if !listed.contains(&blob.name.as_str()) {
                bytes += blob.data_bytes + blob.diff_bytes;
                listed.push(&blob.name);
            }
        }
        let numbers = [parameters as u64, bytes as u64, cost.forward.operations, cost.backward.operations];
        sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
        // Splits that the net inserted are not in the user's file.
        if net.layer_type(index) != "Split" {
            let name = net.layer_names().nth(index).unwrap_or_default().to_owned();
            rows.push(row(&name, net.layer_type(index), &shape, numbers, &field.to_string()));
        }
    }
    rows.push(row("all layers", "", "", sums, ""));
    let widths: Vec<usize> = (0..HEADING.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column < 3 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    report.table = rows.iter().map(line).collect();
}

const HEADING: [&str; 8] =
    ["layer", "type", "top", "parameters", "memory MiB", "forward MFLOP", "backward MFLOP", "receptive field"];

fn row(name: &str, kind: &str, shape: &str, numbers: [u64; 4], field: &str) -> [String; 8] {
    let [parameters, bytes, forward, backward] = numbers;
    let millions = |operations: u64| format!("{:.3}", operations as f64 / 1e6);
    let mebibytes = format!("{:.3}", bytes as f64 / f64::from(1 << 20));
    let parameters = parameters.to_string();
    [name.into(), kind.into(), shape.into(), parameters, mebibytes, millions(forward), millions(backward), field.into()]
}

/// The part of the input that a value depends on, through convolutions and pooling, along the height.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Field {
    /// So many pixels; neighbouring values are so many pixels apart.
    Window { size: f64, step: f64 },
    /// All of it.
    Whole,
}

impl Default for Field {
    fn default() -> Self {
        Field::Window { size: 1.0, step: 1.0 }
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Field::Window { size, .. } => write!(out, "{}", size.round()),
            Field::Whole => write!(out, "all"),
        }
    }
}

impl Field {
    /// Of a layer that reads both.
    fn and(self, other: Field) -> Field {
        match (self, other) {
            (Field::Window { size: one, step }, Field::Window { size: two, step: other }) => {
                Field::Window { size: one.max(two), step: step.max(other) }
            }
            _ => Field::Whole,
        }
    }

    /// Behind a layer.
    fn behind(self, layer: &LayerParameter) -> Field {
        let Field::Window { size, step } = self else { return self };
        let Some((kernel, stride)) = window(layer) else {
            return if is_global(layer) { Field::Whole } else { self };
        };
        let step = if layer.r#type() == "Deconvolution" { step / stride } else { step };
        let size = size + (kernel - 1.0) * step;
        Field::Window { size, step: if layer.r#type() == "Deconvolution" { step } else { step * stride } }
    }
}

fn is_global(layer: &LayerParameter) -> bool {
    let pooling = layer.pooling_param.as_ref();
    matches!(layer.r#type(), "InnerProduct" | "SPP") || pooling.is_some_and(|pooling| pooling.global_pooling())
}

/// Height of a layer's window and its stride.
fn window(layer: &LayerParameter) -> Option<(f64, f64)> {
    match layer.r#type() {
        "Convolution" | "Deconvolution" | "ConvolutionDepthwise" | "DepthwiseConvolution" => {
            let options = layer.convolution_param.as_ref()?;
            let kernel = options.kernel_h.or(options.kernel_size.first().copied())?;
            let stride = options.stride_h.or(options.stride.first().copied()).unwrap_or(1);
            let dilation = options.dilation.first().copied().unwrap_or(1);
            Some((f64::from(dilation) * (f64::from(kernel) - 1.0) + 1.0, f64::from(stride.max(1))))
        }
        "Pooling" => {
            let options = layer.pooling_param.as_ref()?;
            let kernel = options.kernel_h.or(options.kernel_size)?;
            Some((f64::from(kernel), f64::from(options.stride_h.unwrap_or(options.stride()).max(1))))
        }
        _ => None,
    }
}
