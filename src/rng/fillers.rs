//! Fillers: the initial values of parameters, and the values of DummyData.
//!
//! | `type` | values | options (default) |
//! |---|---|---|
//! | `constant` | `value` | `value` (0) |
//! | `uniform` | U(`min`, `max`) | `min` (0), `max` (1) |
//! | `gaussian` | N(`mean`, `std`²); with `sparse` about that many weights per output, the others 0 | `mean` (0), `std` (1), `sparse` (-1: all) |
//! | `positive_unitball` | U(0, 1), divided by the sum over each output's weights | |
//! | `xavier` | U(-√(3/n), √(3/n)), Glorot and Bengio 2010 | `variance_norm` (FAN_IN) |
//! | `msra` | N(0, 2/n), He et al. 2015 | `variance_norm` (FAN_IN) |
//! | `bilinear` | a square kernel that interpolates, for Deconvolution | |
//!
//! n is the number of values per output (FAN_IN: the count without the first axis), per input (FAN_OUT: the count without
//! the second axis), or their mean (AVERAGE).

use super::Random;
use crate::{
    error::{Error, Result},
    proto::{FillerParameter, filler_parameter::VarianceNorm},
    prototxt::suggest,
    tensor::Shape,
};

/// Fills one blob, whose shape has an axis and values.
type Fill = fn(&FillerParameter, &Shape, &mut [f32], &mut Random) -> Result<(), Refusal>;

/// An option, and why the filler cannot work with it.
type Refusal = (&'static str, String);

const FILLERS: &[(&str, Fill)] = &[
    ("constant", constant),
    ("uniform", uniform),
    ("gaussian", gaussian),
    ("positive_unitball", positive_unitball),
    ("xavier", xavier),
    ("msra", msra),
    ("bilinear", bilinear),
];

/// Fills a parameter of this shape with its initial values.
///
/// # Errors
/// When the filler does not exist or cannot fill this shape; `field` names it in the message.
pub fn fill(
    filler: &FillerParameter,
    shape: &Shape,
    values: &mut [f32],
    random: &mut Random,
    field: &str,
) -> Result<()> {
    let name = filler.r#type();
    let fail = |option: &str, message: String| Err(Error::config(format!("{field}.{option}"), message));
    let Some((_, fill)) = FILLERS.iter().find(|(known, _)| *known == name) else {
        let known = || FILLERS.iter().map(|(name, _)| name.to_string());
        let hint = match suggest::nearest(name, known()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
        };
        return fail("type", format!("unknown filler \"{name}\"; {hint}"));
    };
    if values.is_empty() {
        return fail("type", format!("there is nothing to fill in a blob of shape {shape}"));
    }
    if filler.sparse() != -1 && name != "gaussian" {
        return fail("sparse", format!("only the gaussian filler can be sparse, this is {name:?}"));
    }
    fill(filler, shape, values, random).or_else(|(option, message)| fail(option, message))
}

fn constant(filler: &FillerParameter, _: &Shape, values: &mut [f32], _: &mut Random) -> Result<(), Refusal> {
    values.fill(filler.value());
    Ok(())
}

fn uniform(filler: &FillerParameter, _: &Shape, values: &mut [f32], random: &mut Random) -> Result<(), Refusal> {
    let (min, max) = (filler.min(), filler.max());
    if !(min.is_finite() && max.is_finite()) {
        return Err(("min", format!("the bounds {min} and {max} must be finite")));
    }
    if min > max {
        return Err(("min", format!("{min} is above max, {max}")));
    }
    random.fill_uniform(values, min, max);
    Ok(())
}

fn gaussian(filler: &FillerParameter, shape: &Shape, values: &mut [f32], random: &mut Random) -> Result<(), Refusal> {
    let (std, sparse) = (filler.std(), filler.sparse());
    if std.is_nan() || std <= 0.0 {
        return Err(("std", format!("must be above 0, not {std}; for equal values take type: \"constant\"")));
    }
    if sparse < -1 {
        return Err(("sparse", format!("must be a number of weights per output or -1 for all, not {sparse}")));
    }
    random.fill_gaussian(values, filler.mean(), std);
    if sparse >= 0 {
        let outputs = first_axis(shape)?;
        let kept = sparse as f32 / outputs as f32;
        if kept > 1.0 {
            return Err(("sparse", format!("{sparse} exceeds the {outputs} outputs of a blob of shape {shape}")));
        }
        values.iter_mut().for_each(|value| *value *= if random.bernoulli(kept) { 1.0 } else { 0.0 });
    }
    Ok(())
}

fn positive_unitball(
    _: &FillerParameter,
    shape: &Shape,
    values: &mut [f32],
    random: &mut Random,
) -> Result<(), Refusal> {
    let row = values.len() / first_axis(shape)?;
    random.fill_uniform(values, 0.0, 1.0);
    for weights in values.chunks_exact_mut(row) {
        let sum = weights.iter().fold(0.0, |sum, weight| sum + weight);
        weights.iter_mut().for_each(|weight| *weight /= sum);
    }
    Ok(())
}

fn xavier(filler: &FillerParameter, shape: &Shape, values: &mut [f32], random: &mut Random) -> Result<(), Refusal> {
    let bound = (3.0 / fan(filler, shape)?).sqrt();
    random.fill_uniform(values, -bound, bound);
    Ok(())
}

fn msra(filler: &FillerParameter, shape: &Shape, values: &mut [f32], random: &mut Random) -> Result<(), Refusal> {
    let std = (2.0 / fan(filler, shape)?).sqrt();
    random.fill_gaussian(values, 0.0, std);
    Ok(())
}

fn bilinear(_: &FillerParameter, shape: &Shape, values: &mut [f32], _: &mut Random) -> Result<(), Refusal> {
    let &[_, _, height, width] = shape.dims() else {
        return Err(("type", format!("\"bilinear\" fills blobs with four axes, this one has shape {shape}")));
    };
    if height != width {
        return Err(("type", format!("\"bilinear\" fills square kernels, this one has shape {shape}")));
    }
    let factor = width.div_ceil(2) as f32;
    let center = ((width - 1) as f64 / (2.0 * f64::from(factor))) as f32;
    let weight = |position: usize| 1.0 - (position as f32 / factor - center).abs();
    for (index, value) in values.iter_mut().enumerate() {
        *value = weight(index % width) * weight(index / width % height);
    }
    Ok(())
}

/// n of `xavier` and `msra`, as Caffe's `int` and `float` have it.
fn fan(filler: &FillerParameter, shape: &Shape) -> Result<f32, Refusal> {
    let fan_in = shape.count() / first_axis(shape)?;
    let fan_out = if shape.axes() > 1 { shape.count() / shape.dims()[1] } else { shape.count() };
    Ok(match filler.variance_norm() {
        VarianceNorm::FanIn => fan_in as f32,
        VarianceNorm::FanOut => fan_out as f32,
        VarianceNorm::Average => (fan_in + fan_out) as f32 / 2.0,
    })
}

/// The number of outputs: the extent of the first axis.
fn first_axis(shape: &Shape) -> Result<usize, Refusal> {
    let refusal = || ("type", "this filler needs a blob with axes, and this one is a single value".to_owned());
    shape.dims().first().copied().ok_or_else(refusal)
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::proto::{BlobProto, NetParameter};

    fn filler(name: &str) -> FillerParameter {
        FillerParameter { r#type: Some(name.into()), ..FillerParameter::default() }
    }

    /// The weight fillers of `tests/golden/fillers/net.prototxt`: each is used once by a convolution, once by an inner product.
    fn weight_fillers() -> Vec<FillerParameter> {
        let with_norm = |name, norm: VarianceNorm| FillerParameter { variance_norm: Some(norm.into()), ..filler(name) };
        vec![
            FillerParameter { value: Some(0.7), ..filler("constant") },
            FillerParameter { min: Some(-0.3), max: Some(0.9), ..filler("uniform") },
            FillerParameter { mean: Some(0.5), std: Some(0.2), ..filler("gaussian") },
            FillerParameter { std: Some(0.1), sparse: Some(5), ..filler("gaussian") },
            filler("positive_unitball"),
            filler("xavier"),
            with_norm("xavier", VarianceNorm::FanOut),
            filler("msra"),
            with_norm("msra", VarianceNorm::Average),
        ]
    }

    fn check(expected: &BlobProto, filler: &FillerParameter, shape: &Shape, random: &mut Random) {
        let mut values = vec![0.0; shape.count()];
        fill(filler, shape, &mut values, random, "weight_filler").unwrap();
        assert_eq!(values.len(), expected.data.len());
        let same = |(one, other): (&f32, &f32)| one.to_bits() == other.to_bits();
        let different = values.iter().zip(&expected.data).position(|pair| !same(pair));
        let first = different.map(|index| (index, values[index], expected.data[index]));
        assert_eq!(first, None, "{filler:?} {shape}: (index, here, Caffe)");
    }

    /// Every filler, bit for bit, in the order in which Caffe set up this net.
    #[test]
    fn golden_initial_weights() {
        for (seed, file) in [
            (1, include_bytes!("../../tests/golden/fillers/seed_1.caffemodel").as_slice()),
            (20_261_121, include_bytes!("../../tests/golden/fillers/seed_20261121.caffemodel")),
        ] {
            let net = NetParameter::decode(file).unwrap();
            let mut learned = net.layer.iter().filter(|layer| !layer.blobs.is_empty());
            let mut random = Random::new(seed);
            let biases = [
                FillerParameter { min: Some(-1.0), max: Some(1.0), ..filler("uniform") },
                FillerParameter { std: Some(2.0), ..filler("gaussian") },
            ];
            for weights in weight_fillers() {
                let shapes =
                    [[Shape::from([12, 2, 3, 3]), Shape::from([12])], [Shape::from([7, 486]), Shape::from([7])]];
                for (bias, [weight_shape, bias_shape]) in biases.iter().zip(&shapes) {
                    let layer = learned.next().unwrap();
                    check(&layer.blobs[0], &weights, weight_shape, &mut random);
                    check(&layer.blobs[1], bias, bias_shape, &mut random);
                }
            }
            check(&learned.next().unwrap().blobs[0], &filler("bilinear"), &Shape::from([6, 1, 5, 5]), &mut random);
        }
    }

    #[test]
    fn what_cannot_be_filled_is_said() {
        let message = |filler: FillerParameter, dims: &[usize]| {
            let shape = Shape::from(dims);
            let mut values = vec![0.0; shape.count()];
            fill(&filler, &shape, &mut values, &mut Random::new(1), "weight_filler").unwrap_err().to_string()
        };
        let cases = [
            (message(filler("xaver"), &[2]), "weight_filler.type: unknown filler \"xaver\"; did you mean \"xavier\"?"),
            (message(filler("normal"), &[2]), "unknown filler \"normal\"; there are constant, uniform"),
            (
                message(FillerParameter { std: Some(0.0), ..filler("gaussian") }, &[2]),
                "weight_filler.std: must be above 0",
            ),
            (message(FillerParameter { sparse: Some(3), ..filler("gaussian") }, &[2]), "3 exceeds the 2 outputs"),
            (message(FillerParameter { sparse: Some(3), ..filler("xavier") }, &[2]), "only the gaussian filler"),
            (message(FillerParameter { min: Some(2.0), ..filler("uniform") }, &[2]), "2 is above max, 1"),
            (message(FillerParameter { max: Some(f32::NAN), ..filler("uniform") }, &[2]), "must be finite"),
            (message(filler("bilinear"), &[1, 1, 2, 3]), "square kernels, this one has shape 1×1×2×3"),
            (message(filler("bilinear"), &[4, 4]), "four axes"),
            (message(filler("msra"), &[]), "a single value"),
            (message(filler("constant"), &[0]), "nothing to fill"),
        ];
        for (message, expected) in cases {
            assert!(message.contains(expected), "{message}\n{expected}");
        }
    }
}
