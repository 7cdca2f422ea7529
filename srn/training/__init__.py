"""Training: the configuration of a run, its loop, the step, losses, optimizers, start values."""
