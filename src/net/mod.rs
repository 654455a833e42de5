//! Nets: the graph that a net file describes, and its runs forward and backward.
