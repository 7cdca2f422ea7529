"""Training on a machine that has JAX and no TensorFlow; README.md tells how."""
