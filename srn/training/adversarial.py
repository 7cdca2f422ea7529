"""The adversarial loss that Sec. 3.3 tried, with the critic of Nah et al. (CVPR 2017).

A critic learns to tell restored images from sharp ones, and the network is taught to be taken for sharp. The
critic is that of the authors' releases, which agree: ten convolutions without bias, each with a leaky ReLU,
and one to a single number. Their losses are

  for the network   weight * E[-log D(restored)]
  for the critic    E[-log(1 - D(restored))] + E[-log D(sharp)]

of the finest scale, in units of log 2 (the loss of a critic that guesses) in the Torch release, with weight
1e-4. Both learn from one forward pass, each against the other as it was before the step.
"""

from __future__ import annotations

import tensorflow as tf

FEATURES = 64
KERNEL_SIZE = 5
SLOPE = 0.2  # of the leaky ReLU where it is negative
LOG_2 = 0.6931471805599453
# (features as parts of FEATURES, stride) of each convolution; the last has a 4x4 kernel.
_LAYERS = ((0.5, 1), (0.5, 2), (1, 1), (1, 2), (2, 1), (2, 4), (4, 1), (4, 4), (8, 1), (8, 4))


def build_critic(channels: int = 3, features: int = FEATURES) -> tf.keras.Model:
    """Builds the critic: [B, H, W, channels] -> [B, ceil(H / 256), ceil(W / 256), 1], logits of being sharp.

    Every 256x256 pixels get a number; a smaller crop gets one. Zeros stand around the image ("same" padding).

    Args:
      channels: of the images.
      features: of its third convolution; the others follow. 64 as the authors', less for tests.
    """
    critic = tf.keras.Sequential([tf.keras.Input([None, None, channels])], name="critic")
    for number, (part, stride) in enumerate(_LAYERS, 1):
        critic.add(
            tf.keras.layers.Conv2D(
                int(part * features),
                KERNEL_SIZE if number < len(_LAYERS) else 4,
                stride,
                padding="same",
                use_bias=False,
                name=f"conv{number}",
                dtype="float32",
            )
        )
        critic.add(tf.keras.layers.LeakyReLU(SLOPE, name=f"relu{number}", dtype="float32"))
    critic.add(tf.keras.layers.Conv2D(1, 1, name="dense", dtype="float32"))
    return critic


class Adversary(tf.Module):
    """A critic with its optimizer, both of which a checkpoint keeps, and what it adds to a training step.

    Args:
      critic: maps images [B, H, W, C] to logits of being sharp.
      optimizer: a Keras optimizer of its own.
      weight: of its term in the network's loss; the authors' is 1e-4.
    """

    def __init__(self, critic: tf.keras.Model, optimizer: tf.keras.optimizers.Optimizer, weight: float):
        super().__init__(name="adversary")
        self.critic, self.optimizer, self.weight = critic, optimizer, weight
        optimizer.build(critic.trainable_variables)

    def term(self, restored: tf.Tensor) -> tf.Tensor:
        """The term in the network's loss for [B, H, W, C], float32: small where they are taken for sharp."""
        return self.weight * _cross_entropy(self.critic(restored), is_sharp=True)

    def learn(self, restored: tf.Tensor, sharp: tf.Tensor) -> tf.Tensor:
        """Updates the critic once on both, [B, H, W, C] in float32; returns its loss, 2 where it guesses."""
        with tf.GradientTape() as tape:
            loss = _cross_entropy(self.critic(tf.stop_gradient(restored)), is_sharp=False)
            loss += _cross_entropy(self.critic(sharp), is_sharp=True)
        variables = self.critic.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss


def _cross_entropy(logits, is_sharp) -> tf.Tensor:
    """Mean cross entropy with one label for all, in units of log 2."""
    labels = tf.fill(tf.shape(logits), 1.0 if is_sharp else 0.0)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)) / LOG_2
