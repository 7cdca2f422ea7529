"""Blurry images from sharp ones: frames averaged, frames interpolated, photographs shaken."""
