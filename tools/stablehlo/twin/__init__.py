"""A stand-in: the training step in PyTorch, for machines where XLA fails with the bundles or is slow."""
