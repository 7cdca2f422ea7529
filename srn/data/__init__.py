"""Data: layouts of data sets, pairs, the stream of crops, blur synthesis."""
