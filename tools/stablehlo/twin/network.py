"""The network of `srn/network.py` in PyTorch: Eq. 1 and 2 of the paper, with its ConvLSTM. A stand-in; see
README.md.

Weights have the names and layouts of the state (../state.py): convolutions [kh, kw, in, out], transposed ones
[kh, kw, out, in]. Tensors here are [N, C, H, W]; H and W are multiples of 16.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from srn.errors import InputError

CELL = "convLSTM/LSTM_conv"
SCALES = (4, 2, 1)  # coarse to fine
LEVELS = (1, 2, 3)
# What the twin has of `srn.config.ModelConfig`; other values of these fields it cannot be.
FIXED = {
    "num_scales": 3,
    "residual": True,
    "layout": "encoder_decoder",
    "bottleneck": "convlstm",
    "share_weights": True,
    "image_upsampling": "bilinear",
    "state_upsampling": "bilinear",
    "kappa": [1.0, 1.0, 1.0],
}


class Convolution(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding for even sizes."""

    def __init__(self, inputs, outputs, kernel_size, stride=1):
        super().__init__(inputs, outputs, kernel_size, stride, padding=kernel_size // 2 if stride == 1 else 0)

    def forward(self, x):
        if self.stride[0] == 2:  # 5x5: one row before, two after
            before, after = (self.kernel_size[0] - 2) // 2, (self.kernel_size[0] - 1) // 2
            x = functional.pad(x, (before, after, before, after))
        return super().forward(x)


class ResBlock(nn.Module):
    """x + conv2(relu(conv1(x)))."""

    def __init__(self, features, kernel_size):
        super().__init__()
        self.conv1 = Convolution(features, features, kernel_size)
        self.conv2 = Convolution(features, features, kernel_size)

    def forward(self, x):
        return x + self.conv2(functional.relu(self.conv1(x)))


class Network(nn.Module):
    """The networks of the zoo with ConvLSTM, shared weights and skips: `srn`, `sr_edrb1`,
    `official_lstm_color`, ...

    Args:
      config: `ModelConfig.to_dict()`. Raises `InputError` for what the twin cannot be.
    """

    def __init__(self, config: dict):
        super().__init__()
        other = [f"{name}={config[name]}" for name, value in FIXED.items() if config[name] != value]
        if other:
            raise InputError(f"the twin has no network with {', '.join(other)}")
        self.is_legacy = config["resize_grid"] == "legacy"
        self.blocks, kernel_size = config["res_blocks"], config["kernel_size"]
        widths = [config["width"] * factor for factor in (1, 2, 4)]
        self.parts = nn.ModuleDict()
        inputs = 2 * config["channels"]
        for level, width in zip(LEVELS, widths):
            self.parts[f"enc{level}_1"] = Convolution(inputs, width, kernel_size, 1 if level == 1 else 2)
            for block in range(2, 2 + self.blocks):
                self.parts[f"enc{level}_{block}"] = ResBlock(width, kernel_size)
            inputs = width
        self.parts[CELL] = Convolution(2 * widths[2], 4 * widths[2], 3)
        for level, width in reversed(list(zip(LEVELS, widths))):
            if level < 3:
                self.parts[f"dec{level}_4"] = nn.ConvTranspose2d(2 * width, width, 4, 2, padding=1)
            for block in range(self.blocks, 0, -1):
                self.parts[f"dec{level}_{block}"] = ResBlock(width, kernel_size)
        self.parts["dec1_0"] = Convolution(widths[0], config["channels"], kernel_size)

    def named_weights(self) -> dict:
        """{NAME: parameter} with the names of the state."""
        weights = {}
        for name, part in self.parts.items():
            inside = {"conv1": part.conv1, "conv2": part.conv2} if isinstance(part, ResBlock) else {"": part}
            for suffix, layer in inside.items():
                full = f"{name}/{suffix}" if suffix else name
                weights[f"{full}/weights"], weights[f"{full}/biases"] = layer.weight, layer.bias
        return weights

    def forward(self, blurry):
        """[N, C, H, W] in [0, 1] -> estimates, finest first, not clipped."""
        height, width = blurry.shape[2:]
        estimate, outputs = blurry, []
        features = self.parts[CELL].in_channels
        state = blurry.new_zeros(len(blurry), features, height // 16, width // 16)
        for scale in SCALES:
            size = (height // scale, width // scale)
            state = self.resize(state, (size[0] // 4, size[1] // 4))
            images = [self.resize(blurry, size), self.resize(estimate, size).detach()]
            skips = self.encode(torch.cat(images, 1))
            hidden, state = self.cell(skips[2], state)
            estimate = self.decode(hidden, skips)
            outputs.append(estimate)
        return outputs[::-1]

    def encode(self, x):
        """Features of the three levels, finest first."""
        skips = []
        for level in LEVELS:
            x = functional.relu(self.parts[f"enc{level}_1"](x))
            for block in range(2, 2 + self.blocks):
                x = self.parts[f"enc{level}_{block}"](x)
            skips.append(x)
        return skips

    def cell(self, x, state):
        """The ConvLSTM: gates i, j, f, o as in TensorFlow 1, with a forget bias of 1."""
        memory, hidden = state.chunk(2, 1)
        i, j, f, o = self.parts[CELL](torch.cat([x, hidden], 1)).chunk(4, 1)
        memory = memory * torch.sigmoid(f + 1) + torch.sigmoid(i) * torch.tanh(j)
        hidden = torch.tanh(memory) * torch.sigmoid(o)
        return hidden, torch.cat([memory, hidden], 1)

    def decode(self, x, skips):
        """The image of a scale."""
        for level in reversed(LEVELS):
            if level < 3:
                x = functional.relu(self.parts[f"dec{level}_4"](x)) + skips[level - 1]
            for block in range(self.blocks, 0, -1):
                x = self.parts[f"dec{level}_{block}"](x)
        # In float32 as in the project: bfloat16 has too few levels for an image.
        with torch.autocast(x.device.type, enabled=False):
            return self.parts["dec1_0"](x.float())

    def resize(self, x, size):
        """Bilinear, without antialiasing, at half-pixel centres or at TensorFlow 1's coordinates."""
        if tuple(x.shape[2:]) == tuple(size):
            return x
        if not self.is_legacy:
            return functional.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
        if x.shape[2] > size[0]:
            step = x.shape[2] // size[0]
            return x[:, :, ::step, ::step]
        for axis in (2, 3):  # twice the size: each pixel, and the mean with the next
            following = torch.cat(
                [x.narrow(axis, 1, x.shape[axis] - 1), x.narrow(axis, x.shape[axis] - 1, 1)], axis
            )
            x = torch.stack([x, (x + following) / 2], axis + 1).flatten(axis, axis + 1)
        return x

    def loss(self, outputs, sharp):
        """Eq. 3: the sum over the scales of the mean squared error."""
        return sum(
            functional.mse_loss(output.float(), self.resize(sharp, output.shape[2:])) for output in outputs
        )
