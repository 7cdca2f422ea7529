"""Settings of blur synthesis and their presets. NumPy only: neither TensorFlow nor OpenCV is imported."""

from __future__ import annotations

import dataclasses

import numpy as np

from srn.errors import InputError

# Standard deviations at the ends of the exposure. Half a degree moves a point 300 pixels from the centre by
# 2.6 pixels, 0.6 % of zoom moves it by 1.8: less than the path itself, but different all over the image.
ROTATION = float(np.deg2rad(0.5))
ZOOM = 0.006


@dataclasses.dataclass(frozen=True)
class ShakeSettings:
    """Distribution of synthetic camera shakes. A probability of 0 disables the effect it belongs to.

    Attributes:
      min_poses, max_poses: range of the number of poses averaged, odd; about one for each pixel of the path.
      min_length, max_length: range of the length of the camera's path, in pixels.
      lengths: distribution of the length, "log_uniform" or "uniform".
      bend, tremor: curvature and jitter of the path, relative to a hand-held camera; see
        `srn.synthesis.blur.camera_path`.
      rotation, zoom: standard deviations at both ends of the exposure, in radians and in log zoom.
      gamma, gamma_probability: with this probability, linear light under a camera curve of this gamma is
        averaged; otherwise the stored values are.
      depth: relative difference in motion between the nearest or farthest points and the middle; 0 for a
        flat scene.
      foreground: probability of a foreground object with a motion of its own.
      saturation, saturation_probability: maximum brightness of saturated highlights, as a multiple of white.
      noise, noise_probability: maximum standard deviation of the sensor noise, for values in [0, 1]; the
        standard deviation is uniform from 0.
      jpeg, jpeg_probability: minimum and maximum JPEG quality.
      soften: maximum standard deviation, in pixels, of a Gaussian blur applied to the photograph first;
        uniform from 0. Downscaled photographs are sharper than the frames of a video camera.
    """

    min_poses: int = 15
    max_poses: int = 31
    min_length: float = 2.0
    max_length: float = 40.0
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
        if not 3 <= self.min_poses <= self.max_poses or self.min_poses % 2 == 0 or self.max_poses % 2 == 0:
            raise InputError(f"{self.min_poses} to {self.max_poses} poses: both must be odd and at least 3")
        if not 0 < self.min_length <= self.max_length:
            raise InputError(
                f"a path of {self.min_length} to {self.max_length} pixels: 0 < min <= max is needed"
            )
        if not (0 <= self.depth < 1 <= self.saturation and self.gamma > 0 and self.noise >= 0):
            raise InputError("depth must be in [0, 1), saturation >= 1, gamma > 0 and noise >= 0")
        if self.lengths not in ("uniform", "log_uniform"):
            raise InputError(f"lengths={self.lengths!r}: must be uniform or log_uniform")

    def downscaled(self, factor: int) -> ShakeSettings:
        """The settings for images downscaled by an integer `factor`; lengths in pixels are divided by it."""
        pixels = {name: getattr(self, name) / factor for name in ("min_length", "max_length", "soften")}
        return dataclasses.replace(self, **pixels)


# Hand-held at slow shutter speeds: curved, jittery paths, most of them short.
HANDHELD = ShakeSettings()
# GOPRO: short exposures of a camera carried while walking. Paths are nearly straight with a nearly constant
# speed, so that the blur is centred on the ground truth; stored values are averaged, with hardly any noise.
# docs/making_blur.md compares both with real pairs.
GOPRO = ShakeSettings(
    min_length=3.0,
    lengths="uniform",
    bend=0.5,
    tremor=0.5,
    gamma_probability=0.1,
    saturation_probability=0.05,
    noise_probability=0.1,
    jpeg_probability=0.05,
)
SYNTHESES = {"handheld": HANDHELD, "gopro": GOPRO}
