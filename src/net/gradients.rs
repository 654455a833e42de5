//! Which layers run backward, and which bottoms need a gradient: only what lies between a loss and a parameter.

use super::graph::Wires;

/// What decides whether a layer takes part in the backward pass.
pub struct LayerFacts<'a> {
    /// The layer's bottoms and tops.
    pub wires: &'a Wires,
    /// Whether a parameter of the layer learns.
    pub learns: bool,
    /// Whether each top carries a loss weight.
    pub losses: Vec<bool>,
    /// The net file's `propagate_down`, empty when it says nothing.
    pub propagate_down: &'a [bool],
}

/// The way of the gradients through a net.
#[derive(Debug, PartialEq, Eq)]
pub struct Flow {
    /// Whether each layer runs backward.
    pub layers: Vec<bool>,
    /// For each layer, whether each bottom needs its gradient.
    pub bottoms: Vec<Vec<bool>>,
}

/// Follows the gradients: first forward, marking what depends on something that learns, then backward, dropping what no loss
/// depends on or what `propagate_down: false` cuts off.
pub fn flow(layers: &[LayerFacts<'_>], blobs: usize) -> Flow {
    let mut flow = mark_forward(layers, blobs);
    let mut under_loss = vec![false; blobs];
    let mut cut_off = vec![false; blobs];
    for (index, layer) in layers.iter().enumerate().rev() {
        let tops = &layer.wires.tops;
        let has_loss = tops.iter().zip(&layer.losses).any(|(&top, &loss)| loss || under_loss[top]);
        if flow.layers[index] && tops.iter().all(|&top| cut_off[top]) {
            flow.layers[index] = false;
            flow.bottoms[index].fill(false);
        }
        flow.layers[index] &= has_loss;
        for (position, &bottom) in layer.wires.bottoms.iter().enumerate() {
            under_loss[bottom] |= has_loss;
            flow.bottoms[index][position] &= has_loss;
            cut_off[bottom] |= !flow.bottoms[index][position];
        }
    }
    flow
}

fn mark_forward(layers: &[LayerFacts<'_>], blobs: usize) -> Flow {
    let mut marked = vec![false; blobs];
    let mut flow = Flow { layers: Vec::new(), bottoms: Vec::new() };
    for layer in layers {
        let bottoms = &layer.wires.bottoms;
        let needs = layer.learns || bottoms.iter().any(|&bottom| marked[bottom]);
        let propagate = |(position, &bottom): (usize, &usize)| {
            layer.propagate_down.get(position).copied().unwrap_or(marked[bottom])
        };
        flow.bottoms.push(bottoms.iter().enumerate().map(propagate).collect());
        flow.layers.push(needs);
        if needs {
            for &top in &layer.wires.tops {
                marked[top] = true;
            }
        }
    }
    flow
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wires(bottoms: &[usize], tops: &[usize]) -> Wires {
        Wires { bottoms: bottoms.to_vec(), tops: tops.to_vec() }
    }

    fn facts<'a>(wires: &'a Wires, learns: bool, loss: bool, propagate_down: &'a [bool]) -> LayerFacts<'a> {
        LayerFacts { wires, learns, losses: vec![loss; wires.tops.len()], propagate_down }
    }

    /// data → ip (learns) → {loss, accuracy through a split}.
    #[test]
    fn data_and_accuracy_need_no_gradient() {
        let all = [wires(&[], &[0]), wires(&[0], &[1]), wires(&[1], &[2, 3]), wires(&[2], &[4]), wires(&[3], &[5])];
        let layers = [
            facts(&all[0], false, false, &[]),
            facts(&all[1], true, false, &[]),
            facts(&all[2], false, false, &[]),
            facts(&all[3], false, false, &[]),
            facts(&all[4], false, true, &[]),
        ];
        let flow = flow(&layers, 6);
        assert_eq!(flow.layers, [false, true, true, false, true]);
        assert_eq!(flow.bottoms, [vec![], vec![false], vec![true], vec![false], vec![true]]);
    }

    #[test]
    fn propagate_down_false_stops_everything_before_it() {
        let all = [wires(&[], &[0]), wires(&[0], &[1]), wires(&[1], &[2]), wires(&[2], &[3])];
        let layers = [
            facts(&all[0], false, false, &[]),
            facts(&all[1], true, false, &[]),
            facts(&all[2], true, false, &[false]),
            facts(&all[3], false, true, &[]),
        ];
        let flow = flow(&layers, 4);
        assert_eq!(flow.layers, [false, false, true, true]);
        assert_eq!(flow.bottoms[2], [false]);
    }
}
