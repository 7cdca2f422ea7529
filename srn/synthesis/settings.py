"""What blur is made of photographs: settings, and those that have names. Knows nothing of TensorFlow."""

from __future__ import annotations

import dataclasses

import numpy as np

from srn.errors import InputError

# At the ends of the exposure, as standard deviations. Half a degree moves a point 300 pixels from the
# centre by 2.6 pixels, 0.6 % of zoom moves it by 1.8: below the stroke, but different all over the picture.
ROTATION = np.deg2rad(0.5)
ZOOM = 0.006


@dataclasses.dataclass(frozen=True)
class ShakeSettings:
    """What camera shakes are drawn. A probability of 0 switches off what it belongs to.

    Attributes:
      fewest, most: poses averaged, odd; within them about one for each pixel of the stroke.
      shortest, longest: length of the camera's stroke, in pixels.
      lengths: "log_uniform" or "uniform" between the two.
      bend, tremor: of strokes, as multiples of a hand's; see `srn.synthesis.blur.camera_path`.
      rotation, zoom: standard deviations at both ends of the exposure; see `srn.synthesis.blur`.
      gamma, gamma_probability: in this part of the pictures, light under a camera curve of this gamma is
        averaged, in the others stored values.
      depth: by how much nearest and farthest move more and less than the middle; 0 for a flat scene.
      foreground: probability of something that moves in front.
      saturation, saturation_probability: how bright highlights are at most, as a multiple of white.
      noise, noise_probability: largest standard deviation of the sensor's noise, of values in [0, 1]; uniform
        from 0.
      jpeg, jpeg_probability: least and best quality.
      soften: largest standard deviation of a Gaussian, in pixels, that the photograph is seen through before
        anything moves; uniform from 0. Photographs reduced from larger ones are sharper than the frames of a
        video camera.
    """

    fewest: int = 15
    most: int = 31
    shortest: float = 2.0
    longest: float = 40.0
    lengths: str = "log_uniform"
    bend: float = 1.0
    tremor: float = 1.0
    rotation: float = ROTATION
    zoom: float = ZOOM
    gamma: float = 2.2
    gamma_probability: float = 0.35
    depth: float = 0.25
    foreground: float = 0.35
    saturation: float = 3.0
    saturation_probability: float = 0.2
    noise: float = 2 / 255
    noise_probability: float = 1.0
    jpeg: tuple[int, int] = (75, 98)
    jpeg_probability: float = 0.2
    soften: float = 0.0

    def __post_init__(self):
        if not 3 <= self.fewest <= self.most or self.fewest % 2 == 0 or self.most % 2 == 0:
            raise InputError(f"{self.fewest} to {self.most} poses: both must be odd and at least 3")
        if not 0 < self.shortest <= self.longest:
            raise InputError(
                f"a stroke of {self.shortest} to {self.longest} pixels: its end is below its start"
            )
        if not (0 <= self.depth < 1 <= self.saturation and self.gamma > 0 and self.noise >= 0):
            raise InputError("needed are depth in [0, 1), saturation >= 1, gamma > 0 and noise >= 0")
        if self.lengths not in ("uniform", "log_uniform"):
            raise InputError(f"lengths={self.lengths!r}: must be uniform or log_uniform")

    def downscaled(self, factor: int) -> ShakeSettings:
        """These settings for pictures reduced by a whole `factor`: what is in pixels shrinks with them."""
        pixels = {name: getattr(self, name) / factor for name in ("shortest", "longest", "soften")}
        return dataclasses.replace(self, **pixels)


# The shake of a hand at slow shutter speeds: bent, trembling strokes, of which short ones are the most.
HANDHELD = ShakeSettings()
# The blur of GOPRO: a short exposure of a camera that is walked with, whose strokes are nearly straight and
# evenly run through, so that the blur lies evenly about the truth; stored values averaged, hardly any noise.
# docs/making_blur.md measures both beside real pairs.
GOPRO = ShakeSettings(
    shortest=3.0,
    lengths="uniform",
    bend=0.5,
    tremor=0.5,
    gamma_probability=0.1,
    saturation_probability=0.05,
    noise_probability=0.1,
    jpeg_probability=0.05,
)
SYNTHESES = {"handheld": HANDHELD, "gopro": GOPRO}
