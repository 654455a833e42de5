//! The checks of all ops that have code for cards: a file for each family, a row for each op.

mod activation;
mod batch_norm;
mod broadcast;
mod conv;
mod cut;
mod elementwise;
mod eltwise;
mod gemm;
mod loss;
mod lrn;
mod movement;
mod mvn;
mod normalize;
mod pool;
mod prelu;
mod rank;
mod recurrent;
mod reduction;
mod resize;
mod softmax;
mod update;

use super::check::OpCheck;

/// Families of ops and their checks.
pub static FAMILIES: &[(&str, &[OpCheck])] = &[
    ("elementwise", elementwise::CHECKS),
    ("gemm", gemm::CHECKS),
    ("update", update::CHECKS),
    ("conv", conv::CHECKS),
    ("cut", cut::CHECKS),
    ("pool", pool::CHECKS),
    ("lrn", lrn::CHECKS),
    ("activation", activation::CHECKS),
    ("eltwise", eltwise::CHECKS),
    ("broadcast", broadcast::CHECKS),
    ("batch_norm", batch_norm::CHECKS),
    ("softmax", softmax::CHECKS),
    ("loss", loss::CHECKS),
    ("rank", rank::CHECKS),
    ("movement", movement::CHECKS),
    ("reduction", reduction::CHECKS),
    ("prelu", prelu::CHECKS),
    ("mvn", mvn::CHECKS),
    ("normalize", normalize::CHECKS),
    ("recurrent", recurrent::CHECKS),
    ("resize", resize::CHECKS),
];
