//! Solvers: the training loop, learning rates, update rules, stages.
