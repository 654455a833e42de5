//! What a run tells: log lines in Caffe's words, metrics, tables.
