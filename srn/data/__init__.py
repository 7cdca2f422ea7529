"""Data: layouts of data sets, pairs, the stream of training crops, prepared caches."""
