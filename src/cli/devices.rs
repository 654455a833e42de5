//! `rcaffe devices`: the GPUs of this machine, as Caffe's `device_query` lists them.

use super::output;
use crate::{
    cuda::{Card, Properties, compiler},
    error::Result,
};

/// Lists the NVIDIA GPUs of this machine.
#[derive(clap::Args, Debug)]
#[command(alias = "device-query")]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// When there is no driver, or it finds no GPU.
pub fn run(_args: &Args) -> Result<()> {
    let cards = Card::list()?;
    let mut text = String::new();
    for card in &cards {
        text.push_str(&described(card));
    }
    text.push_str(&match compiler() {
        Ok(version) => format!("NVRTC {version}\n"),
        Err(error) => format!("{error}\n"),
    });
    output::text(&text)
}

fn described(card: &Properties) -> String {
    let Properties { ordinal, name, capability, multiprocessors, memory, driver, facts } = card;
    let version = |number: i32| format!("{}.{}", number / 1000, number % 1000 / 10);
    let mut lines = vec![
        ("Compute capability".to_string(), format!("{}.{}", capability / 10, capability % 10)),
        ("Memory".to_string(), format!("{:.1} GB", *memory as f64 / 1e9)),
        ("Multiprocessors".to_string(), multiprocessors.to_string()),
        ("CUDA of the driver".to_string(), version(*driver)),
    ];
    lines.extend(facts.iter().map(|(name, value)| (name.to_string(), value.to_string())));
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = lines.iter().map(|(name, value)| format!("  {name:width$}  {value}\n"));
    format!("GPU {ordinal}: {name}\n{}", lines.collect::<String>())
}
