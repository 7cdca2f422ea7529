"""Training on a machine with JAX but without TensorFlow; see README.md."""

# What that machine needs of the repository, none of which imports TensorFlow; see README.md.
TRANSFERRED = (
    "tools/stablehlo",
    "srn/__init__.py",
    "srn/errors.py",
    "srn/files.py",
    "srn/synthesis/__init__.py",
    "srn/synthesis/settings.py",
)
