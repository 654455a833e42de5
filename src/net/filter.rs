//! Which layers of a net file take part: the include and exclude rules of phase, level and stage.

use log::info;

use super::place_of;
use crate::{
    error::{Error, Result},
    proto::{LayerParameter, NetParameter, NetState, NetStateRule},
};

/// The net with only the layers that its `state` admits.
///
/// A layer without `include` rules takes part unless an `exclude` rule is met; a layer with `include` rules takes part when
/// one of them is met.
///
/// # Errors
/// When a layer gives both `include` and `exclude` rules.
pub fn filter(net: &NetParameter, file: &str) -> Result<NetParameter> {
    let state = net.state.clone().unwrap_or_default();
    let mut filtered = NetParameter { layer: Vec::with_capacity(net.layer.len()), ..net.clone() };
    filtered.layer.clear();
    for layer in &net.layer {
        if !layer.include.is_empty() && !layer.exclude.is_empty() {
            let message = "give either include rules or exclude rules, not both";
            return Err(Error::config("include", message).at(&place_of(layer, file)));
        }
        if takes_part(layer, &state) {
            filtered.layer.push(layer.clone());
        }
    }
    Ok(filtered)
}

fn takes_part(layer: &LayerParameter, state: &NetState) -> bool {
    let met = |rule: &NetStateRule| match unmet(rule, state) {
        Some(reason) => {
            info!("{reason} specified by a rule in layer {}", layer.name());
            false
        }
        None => true,
    };
    if layer.include.is_empty() { !layer.exclude.iter().any(met) } else { layer.include.iter().any(met) }
}

/// Why the state does not meet the rule, in Caffe's words; nothing when it does.
fn unmet(rule: &NetStateRule, state: &NetState) -> Option<String> {
    if rule.phase.is_some() && rule.phase() != state.phase() {
        let (have, want) = (state.phase() as i32, rule.phase() as i32);
        return Some(format!("The NetState phase ({have}) differed from the phase ({want})"));
    }
    if let Some(least) = rule.min_level.filter(|least| state.level() < *least) {
        return Some(format!("The NetState level ({}) is above the min_level ({least})", state.level()));
    }
    if let Some(most) = rule.max_level.filter(|most| state.level() > *most) {
        return Some(format!("The NetState level ({}) is above the max_level ({most})", state.level()));
    }
    if let Some(stage) = rule.stage.iter().find(|stage| !state.stage.contains(stage)) {
        return Some(format!("The NetState did not contain stage '{stage}'"));
    }
    if let Some(stage) = rule.not_stage.iter().find(|stage| state.stage.contains(stage)) {
        return Some(format!("The NetState contained a not_stage '{stage}'"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Phase;

    fn rule(phase: Option<Phase>, min_level: Option<i32>, stage: &[&str], not_stage: &[&str]) -> NetStateRule {
        NetStateRule {
            phase: phase.map(|phase| phase as i32),
            min_level,
            max_level: None,
            stage: stage.iter().map(|stage| stage.to_string()).collect(),
            not_stage: not_stage.iter().map(|stage| stage.to_string()).collect(),
        }
    }

    fn kept(include: Vec<NetStateRule>, exclude: Vec<NetStateRule>, state: &NetState) -> bool {
        let layer = LayerParameter { include, exclude, ..LayerParameter::default() };
        let net = NetParameter { layer: vec![layer], state: Some(state.clone()), ..NetParameter::default() };
        !filter(&net, "net").unwrap().layer.is_empty()
    }

    #[test]
    fn rules_of_phase_level_and_stage() {
        let state = NetState { phase: Some(Phase::Train as i32), level: Some(2), stage: vec!["a".into(), "b".into()] };
        assert!(kept(vec![], vec![], &state));
        assert!(kept(vec![rule(Some(Phase::Train), None, &[], &[])], vec![], &state));
        assert!(!kept(vec![rule(Some(Phase::Test), None, &[], &[])], vec![], &state));
        assert!(!kept(vec![], vec![rule(Some(Phase::Train), None, &[], &[])], &state));
        assert!(kept(vec![rule(None, Some(2), &["a", "b"], &["c"])], vec![], &state));
        assert!(!kept(vec![rule(None, Some(3), &[], &[])], vec![], &state));
        assert!(!kept(vec![rule(None, None, &["c"], &[])], vec![], &state));
        assert!(!kept(vec![rule(None, None, &[], &["a"])], vec![], &state));
        assert!(kept(vec![rule(None, None, &["c"], &[]), rule(None, None, &["b"], &[])], vec![], &state));
    }

    #[test]
    fn both_kinds_of_rules_are_refused() {
        let rules = vec![NetStateRule::default()];
        let layer = LayerParameter { include: rules.clone(), exclude: rules, ..LayerParameter::default() };
        let net = NetParameter { layer: vec![layer], ..NetParameter::default() };
        assert!(filter(&net, "net").unwrap_err().to_string().contains("not both"));
    }
}
