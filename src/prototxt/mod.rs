//! Caffe's text format: text to messages and back, upgrades of old formats.
