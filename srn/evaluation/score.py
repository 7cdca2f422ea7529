"""`Score`: what one restored image scored."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """What one restored image scored.

    Attributes:
      name: the image's name, unique within its data set.
      groups: what it belongs to, such as its `sequence`; empty where there is nothing.
      values: the numbers of the protocol's columns and details. `psnr` (dB) is infinite for an image
        identical to the truth.
      seconds: duration of the restoration alone, without reading, writing and scoring.
      psnr_blurry: dB; what the blurry input scores by itself; None where it was not measured.
    """

    name: str
    groups: dict[str, str]
    values: dict[str, float]
    seconds: float
    psnr_blurry: float | None = None

    @property
    def psnr(self) -> float:
        """In dB."""
        return self.values["psnr"]

    @property
    def gain(self) -> float | None:
        """PSNR over that of the blurry input, in dB."""
        if self.psnr_blurry is None:
            return None
        return 0.0 if self.psnr == self.psnr_blurry else self.psnr - self.psnr_blurry
