"""Draws docs/architecture.png: the recurrence (Fig. 2) and the network of one scale (Fig. 3), as built here.

Names, kernels, shapes and counts are asked of a built model, so that the picture cannot say anything else.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

import srn

if TYPE_CHECKING:
    from srn.network import ScaleRecurrentNetwork

SIZE = (1500, 1090)
ENLARGEMENT = 2  # of pixels over the units below, for screens of high density
INK, QUIET, LINE = "#1a1a1a", "#5a6472", "#7a8594"
# Fill of each kind of box.
IMAGE, ENCODER, CELL, DECODER, PLAIN = "#fff4d6", "#dcebfa", "#fbdfe6", "#def3e2", "#f2f4f7"


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of the network of one scale: what is written into its box."""

    name: str
    kind: str
    details: tuple[str, ...]
    shape: str


def describe_blocks(model: ScaleRecurrentNetwork) -> list[Block]:
    """The blocks of one scale in the order in which features go through them.

    Args:
      model: built, with an encoder, a decoder and something in the bottleneck.
    """
    import tensorflow as tf

    network = model.scale_networks[0]
    side = 4 * model.config.size_multiple
    features, skips, blocks = tf.zeros([1, side, side, 2 * model.config.channels]), [], []
    for block in (network.in_block, *network.encoder):
        features = block(features)
        skips.append(features)
        details = (_describe(block.convolution, "ReLU"), _res_blocks(block))
        blocks.append(Block(block.name, type(block).__name__, details, _shape(features, side)))
    cell = network.bottleneck
    features, _ = cell(features, cell.get_initial_state(features))
    details = (_describe(cell.convolution, "4 gates"), "states h and c: [B, h/4, w/4, 128]")
    blocks.append(Block(cell.name, type(cell).__name__, details, _shape(features, side)))
    for block, skip in zip(network.decoder, reversed(skips[:-1])):
        features = block(features, skip)
        details = (_res_blocks(block), _describe(block.convolution, "ReLU, + skip"))
        blocks.append(Block(block.name, type(block).__name__, details, _shape(features, side)))
    block, features = network.out_block, network.out_block(features)
    details = (_res_blocks(block), _describe(block.convolution, "no activation"))
    blocks.append(Block(block.name, type(block).__name__, details, _shape(features, side)))
    return blocks


def _describe(convolution, after):
    kernel = "x".join(map(str, convolution.kernel_size))
    stride = f", stride {convolution.strides[0]}" if convolution.strides[0] > 1 else ""
    kind = "deconvolution " if "Transpose" in type(convolution).__name__ else ""
    return f"{convolution.name}: {kind}{kernel}{stride}, {after}"


def _res_blocks(block):
    names = [res_block.name for res_block in block.res_blocks]
    return f"{len(names)} ResBlocks: {', '.join(names)}"


def _shape(features, side):
    divisor = side // features.shape[1]
    size = "h, w" if divisor == 1 else f"h/{divisor}, w/{divisor}"
    return f"[B, {size}, {features.shape[3]}]"


class Canvas:
    """Boxes, arrows and words, in units of which a pixel of the picture is 1 / `ENLARGEMENT`."""

    def __init__(self, width: int, height: int):
        self.image = Image.new("RGB", (width * ENLARGEMENT, height * ENLARGEMENT), "white")
        self._draw = ImageDraw.Draw(self.image)

    def text(self, x, y, words, size=15, fill=INK, anchor="ma"):
        """Writes words; `anchor` is Pillow's."""
        font = ImageFont.load_default(size=size * ENLARGEMENT)
        self._draw.text((x * ENLARGEMENT, y * ENLARGEMENT), words, fill, font, anchor=anchor)

    def box(self, left, top, width, height, lines, fill):
        """A box with lines of words in it, the first one larger."""
        corners = [value * ENLARGEMENT for value in (left, top, left + width, top + height)]
        self._draw.rounded_rectangle(corners, 8 * ENLARGEMENT, fill, LINE, ENLARGEMENT)
        y = top + (height - 19 * len(lines)) / 2 + 1
        for number, line in enumerate(lines):
            self.text(left + width / 2, y, line, 15 if number == 0 else 13, INK if number == 0 else QUIET)
            y += 19

    def arrow(self, *points, fill=LINE, dashed=False):
        """A line through the points with a head at its end."""
        for (x0, y0), (x1, y1) in zip(points, points[1:]):
            self._line(x0, y0, x1, y1, fill, dashed)
        (x0, y0), (x1, y1) = points[-2:]
        dx, dy = (x1 > x0) - (x1 < x0), (y1 > y0) - (y1 < y0)
        head = [(x1, y1), (x1 - 10 * dx - 5 * dy, y1 - 10 * dy - 5 * dx)]
        head.append((x1 - 10 * dx + 5 * dy, y1 - 10 * dy + 5 * dx))
        self._draw.polygon([(x * ENLARGEMENT, y * ENLARGEMENT) for x, y in head], fill)

    def _line(self, x0, y0, x1, y1, fill, dashed):
        steps = max(int(abs(x1 - x0) + abs(y1 - y0)) // 6, 1) if dashed else 1
        for step in range(0, steps, 2):
            parts = [step / steps, min(step + 1, steps) / steps]
            ends = [(x0 + part * (x1 - x0), y0 + part * (y1 - y0)) for part in parts]
            self._draw.line([(x * ENLARGEMENT, y * ENLARGEMENT) for x, y in ends], fill, 2 * ENLARGEMENT)


def draw(path: Path) -> None:
    """Writes the picture as PNG."""
    model = srn.build_model("srn")
    canvas = Canvas(*SIZE)
    _draw_recurrence(canvas, model)
    _draw_scale(canvas, describe_blocks(model), model)
    _draw_parts(canvas)
    canvas.image.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def _draw_recurrence(canvas, model):
    """Fig. 2: from the coarsest scale to the finest."""
    title = "ScaleRecurrentNetwork.restore_scales: Eq. 1, Fig. 2. The same weights at every scale"
    canvas.text(40, 22, f"{title}: {model.count_params():,} parameters", 19, anchor="la")
    scales, left, width, step = model.config.num_scales, 70, 330, 500
    for column, scale in enumerate(reversed(range(1, scales + 1))):
        x = left + column * step
        size = "H, W" if scale == 1 else f"H/{2 ** (scale - 1)}, W/{2 ** (scale - 1)}"
        shape = f"[B, {size}, {model.config.channels}]"
        canvas.text(x + width / 2, 64, f"scale {scale}", 16, QUIET)
        canvas.box(x, 92, 155, 62, [f"blurry B{scale}", shape], IMAGE)
        estimate = f"up(I{scale + 1})" if column else f"B{scale}"
        canvas.box(x + 175, 92, 155, 62, [f"estimate: {estimate}", shape], IMAGE)
        canvas.box(x, 196, width, 70, ["scale_network", "ScaleNetwork: encoder, ConvLSTM, decoder"], PLAIN)
        result = [
            f"restored I{scale} = outputs[{scale - 1}]",
            f"{shape}, compared with the ground truth: Eq. 3",
        ]
        canvas.box(x, 308, width, 62, result, IMAGE)
        canvas.arrow((x + 77, 154), (x + 77, 196))
        canvas.arrow((x + 252, 154), (x + 252, 196))
        canvas.arrow((x + width / 2, 266), (x + width / 2, 308))
        if scale > 1:
            _draw_hand_over(canvas, x + width, x + step)


def _draw_hand_over(canvas, left, right):
    """Connections from one scale to the next: its image, without gradient, and its states."""
    middle = (left + right) / 2
    canvas.arrow((left, 231), (right, 231))
    canvas.text(middle - 15, 208, "up(h), up(c)", 14)
    canvas.text(middle - 15, 238, "bilinear, x2", 13, QUIET)
    turn, end = middle + 60, right + 215
    canvas.arrow((left, 339), (turn, 339), (turn, 176), (end, 176), (end, 155), dashed=True)
    canvas.text(middle - 15, 316, "up(I)", 14)
    canvas.text(middle - 15, 346, "bilinear, x2,", 13, QUIET)
    canvas.text(middle - 15, 364, "no gradient", 13, QUIET)


def _draw_scale(canvas, blocks, model):
    """Fig. 3: encoder down at the left, the cell at the bottom, decoder up at the right."""
    canvas.text(40, 412, "ScaleNetwork.call: Eq. 2, Fig. 3. One scale, h x w", 19, anchor="la")
    encoder, cell, decoder = blocks[:3], blocks[3], blocks[4:]
    tops, height = (500, 640, 780), 100
    canvas.text(250, 456, f"blurry and estimate [B, h, w, {2 * model.config.channels}]", 14)
    canvas.text(1250, 456, f"restored [B, h, w, {model.config.channels}]", 14)
    canvas.arrow((250, 476), (250, 500))
    canvas.arrow((1250, 500), (1250, 476))
    for top, down, up in zip(tops, encoder, reversed(decoder)):
        canvas.box(40, top, 420, height, _lines(down), ENCODER)
        canvas.box(1040, top, 420, height, _lines(up), DECODER)
    for top, skip in zip(tops[:2], encoder):
        canvas.arrow((250, top + height), (250, top + 140))
        canvas.arrow((1250, top + 140), (1250, top + height))
        # It is added behind the deconvolution that leads to its stage, on the way into the block above.
        canvas.arrow((460, top + 50), (1000, top + 50), (1000, top + 120), (1250, top + 120), dashed=True)
        canvas.text(735, top + 27, f"skip {skip.shape}", 13, QUIET)
    canvas.box(540, 780, 420, height, _lines(cell), CELL)
    canvas.arrow((460, 830), (540, 830))
    canvas.arrow((960, 830), (1040, 830))
    canvas.arrow((640, 740), (640, 780))
    canvas.arrow((860, 780), (860, 740))
    canvas.text(640, 718, "up(h), up(c) of the coarser scale", 13, QUIET)
    canvas.text(860, 718, "h, c to the finer scale", 13, QUIET)


def _lines(block):
    return [f"{block.name} ({block.kind})", *block.details, block.shape]


def _draw_parts(canvas):
    """The two parts that the blocks are made of."""
    y = 960
    canvas.text(40, 918, "ResBlock", 19, anchor="la")
    for x, lines in ((110, ["conv1", "5x5, ReLU"]), (330, ["conv2", "5x5"])):
        canvas.box(x, y, 140, 60, lines, PLAIN)
    canvas.arrow((50, y + 30), (110, y + 30))
    canvas.arrow((250, y + 30), (330, y + 30))
    canvas.arrow((470, y + 30), (540, y + 30))
    canvas.text(550, y + 19, "+", 20)
    canvas.arrow((80, y + 30), (80, y + 90), (550, y + 90), (550, y + 46), dashed=True)
    canvas.text(315, y + 98, "no ReLU after the addition", 13, QUIET)
    canvas.text(760, 918, "ConvLSTM2D, one step", 19, anchor="la")
    equations = (
        "i, j, f, o = split(LSTM_conv([features, up(h)]))",
        "c' = up(c) * sigmoid(f + 1) + sigmoid(i) * tanh(j)",
        "h' = tanh(c') * sigmoid(o), the input of the decoder",
    )
    for number, line in enumerate(equations):
        canvas.text(760, y + 8 + 30 * number, line, 16, QUIET, anchor="la")
