"""The Muon optimizer, which orthogonalizes the momentum of each kernel; not in the paper, which uses Adam.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). A kernel is treated as
a matrix [out, in * height * width]; its momentum M = U S V^T is replaced by approximately U V^T, so that all
directions learn at the same rate. Biases, and the first and the last convolution, use Adam.

The Newton-Schulz iteration for U V^T, X <- a X + b (X X^T) X + c (X X^T)^2 X, multiplies X from the left by
polynomials of X X^T, which all commute. It is therefore run on the Gram matrix G = X X^T, [out, out], and the
result is applied to X once: two products with the wide matrix instead of three per iteration.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

# From Jordan et al.: five iterations map singular values from about 0.01 to 1 to 0.7 to 1.2.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonalize(matrix: tf.Tensor, iterations: int = ITERATIONS) -> tf.Tensor:
    """Moves all singular values of a matrix towards 1, keeping its singular vectors.

    Args:
      matrix: float32 [rows, columns], of static shape.
      iterations: number of Newton-Schulz iterations.

    Returns:
      float32 [rows, columns]; zeros for zeros.
    """
    rows, columns = matrix.shape
    if rows > columns:
        return tf.transpose(orthogonalize(tf.transpose(matrix), iterations))
    a, b, c = COEFFICIENTS
    identity = tf.eye(rows)
    matrix /= tf.norm(matrix) + 1e-12
    # Float32 throughout: rounding changes eigenvalues of the Gram matrix by some 1e-7, which five iterations
    # raise to at most 0.03.
    gram = tf.matmul(matrix, matrix, transpose_b=True)
    product = identity
    for iteration in range(iterations):
        factor = a * identity + b * gram + c * tf.matmul(gram, gram)
        product = tf.matmul(factor, product)
        if iteration < iterations - 1:
            gram = tf.matmul(factor, tf.matmul(gram, factor))
    return tf.matmul(product, matrix)


@tf.keras.saving.register_keras_serializable(package="srn")
class Muon(tf.keras.optimizers.Optimizer):
    """Muon for kernels of convolutions, Adam for all other variables.

    Args:
      learning_rate: of Muon, a number or a schedule; a step moves a kernel by about this spectral norm.
      momentum: of Muon, with Nesterov's method.
      adam_ratio: ratio of the learning rates of Adam and Muon; both follow the same schedule.
      beta_1, beta_2, epsilon: of Adam.

    Variables given to `use_adam_for`, and those of rank other than 4, use Adam. Kernels are [height, width,
    in, out], those of transposed convolutions [height, width, out, in] when given to `use_transposed_for`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.95,
        adam_ratio: float = 0.05,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        name: str = "Muon",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.momentum, self.adam_ratio = momentum, adam_ratio
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self._adam_only: set = set()
        self._transposed: set = set()

    def use_adam_for(self, variables: list) -> None:
        """Selects kernels that use Adam; to be called before the first step."""
        self._adam_only.update(variable.ref() for variable in variables)

    def use_transposed_for(self, variables: list) -> None:
        """Selects the kernels of transposed convolutions."""
        self._transposed.update(variable.ref() for variable in variables)

    def build(self, var_list: list) -> None:
        """Creates the slots: one for variables that use Muon, two for Adam."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._slots = [
            [
                self.add_variable_from_reference(variable, name)
                for name in (("momentum",) if self._is_muons(variable) else ("m", "v"))
            ]
            for variable in var_list
        ]
        self._built = True

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """One step of one variable."""
        slots = self._slots[self._index_dict[self._var_key(variable)]]
        rate = tf.cast(self.learning_rate, variable.dtype)
        if self._is_muons(variable):
            self._step_of_muon(gradient, variable, rate, *slots)
        else:
            self._step_of_adam(gradient, variable, rate * self.adam_ratio, *slots)

    def _is_muons(self, variable) -> bool:
        return variable.shape.rank == 4 and variable.ref() not in self._adam_only

    def _step_of_muon(self, gradient, variable, rate, mean):
        mean.assign_add((1 - self.momentum) * (gradient - mean))
        ahead = gradient + self.momentum * (mean - gradient)
        # To [out, in, height, width], and back.
        order = (2, 3, 0, 1) if variable.ref() in self._transposed else (3, 2, 0, 1)
        back = [order.index(axis) for axis in range(4)]
        kernel = tf.transpose(ahead, order)
        outputs, inputs = kernel.shape[0], kernel.shape.num_elements() // kernel.shape[0]
        step = tf.reshape(orthogonalize(tf.reshape(kernel, [outputs, inputs])), kernel.shape)
        variable.assign_sub(rate * max(1.0, outputs / inputs) ** 0.5 * tf.transpose(step, back))

    def _step_of_adam(self, gradient, variable, rate, mean, square):
        number = tf.cast(self.iterations + 1, variable.dtype)
        mean.assign_add((1 - self.beta_1) * (gradient - mean))
        square.assign_add((1 - self.beta_2) * (tf.square(gradient) - square))
        correction = tf.sqrt(1 - self.beta_2**number) / (1 - self.beta_1**number)
        variable.assign_sub(rate * correction * mean / (tf.sqrt(square) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of `__init__`."""
        own = ("momentum", "adam_ratio", "beta_1", "beta_2", "epsilon")
        rate = self._serialize_hyperparameter(self._learning_rate)
        return {**super().get_config(), "learning_rate": rate, **{name: getattr(self, name) for name in own}}


def make_muon(model: tf.keras.Model, learning_rate: Any) -> Muon:
    """Muon for a network of this project; `learning_rate`: a number or a schedule."""
    optimizer = Muon(learning_rate, jit_compile=False)
    for _, convolution in model.convolutions():
        is_transposed = isinstance(convolution, tf.keras.layers.Conv2DTranspose)
        if is_transposed:
            optimizer.use_transposed_for([convolution.kernel])
        inputs, outputs = convolution.kernel.shape[2:][:: -1 if is_transposed else 1]
        channels = model.config.channels
        if inputs in (channels, 2 * channels) or outputs == channels:  # it reads or writes images
            optimizer.use_adam_for([convolution.kernel])
    return optimizer
