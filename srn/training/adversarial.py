"""The adversarial loss tried in Sec. 3.3, with the critic (discriminator) of Nah et al. (CVPR 2017).

The critic is that of their two releases: ten convolutions without bias, each with a leaky ReLU, and one to a
single logit. The losses are

  network   weight * E[-log D(restored)]
  critic    E[-log(1 - D(restored))] + E[-log D(sharp)]

for the finest scale, in units of log 2 (the loss for D = 1/2) as in the Torch release, with weight 1e-4. Both
are updated after the same forward pass.
"""

from __future__ import annotations

import tensorflow as tf

FEATURES = 64
KERNEL_SIZE = 5
SLOPE = 0.2  # of the leaky ReLU where it is negative
LOG_2 = 0.6931471805599453
# (features relative to FEATURES, stride) of each convolution; the last one has a 4x4 kernel.
_LAYERS = ((0.5, 1), (0.5, 2), (1, 1), (1, 2), (2, 1), (2, 4), (4, 1), (4, 4), (8, 1), (8, 4))


def build_critic(channels: int = 3, features: int = FEATURES) -> tf.keras.Model:
    """Builds the critic: [B, H, W, channels] -> [B, ceil(H / 256), ceil(W / 256), 1], logits of being sharp.

    There is one logit for each 256x256 pixels, and one for smaller crops. Padding is "same".

    Args:
      channels: of the images.
      features: of its third convolution, to which the others are proportional; 64 in the paper.
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
    """A critic with its optimizer, and its losses; both are part of checkpoints.

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
        """The term in the loss of the network for restored images [B, H, W, C], float32."""
        return self.weight * _cross_entropy(self.critic(restored), is_sharp=True)

    def learn(self, restored: tf.Tensor, sharp: tf.Tensor) -> tf.Tensor:
        """Updates the critic with both images, [B, H, W, C] in float32; returns its loss, 2 for D = 1/2."""
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
