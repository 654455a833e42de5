//! Data: sources of records, the transformation of images, prefetching, converters of public data sets.
