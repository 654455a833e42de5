//! Learning rates by iteration (being written).
use crate::{Result, proto::SolverParameter};
pub struct LearningRate {
    m: f32,
    w: f32,
    b: f32,
    p: String,
}
impl LearningRate {
    pub fn new(p: &SolverParameter) -> Result<Self> {
        Ok(LearningRate { m: p.momentum(), w: p.weight_decay(), b: p.base_lr(), p: p.lr_policy().to_string() })
    }
    pub fn rate(&self, _: usize) -> f32 {
        self.b
    }
    pub fn momentum(&self, _: usize) -> f32 {
        self.m
    }
    pub fn weight_decay(&self, _: usize) -> f32 {
        self.w
    }
    pub fn policy_at(&self, _: usize) -> &str {
        &self.p
    }
    pub fn multistep_at(&self, _: usize) -> Option<usize> {
        None
    }
    pub fn stage_beginning_at(&self, _: usize) -> Option<(usize, usize)> {
        None
    }
    pub fn stage_end(&self, _: usize) -> usize {
        0
    }
    pub fn steps_taken(&self, _: usize) -> usize {
        0
    }
}
