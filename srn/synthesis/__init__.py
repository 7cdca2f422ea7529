"""Blur synthesis from sharp images: averaging and interpolation of video frames, synthetic camera shake."""
