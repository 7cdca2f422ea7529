"""Makes the files of this folder from the reference folders, which do not travel with the repository.

    python tests/golden/make_goldens.py --references=../shared [--out=tests/golden]

The references are numbers of other people's programs; README.md says whose. What the tests look at is copied,
what a rule gives (weights and images of `authors.py`) is compared with the references and left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import authors

SSIM_SCORES = (
    "psnr_octave",
    "ssim_skimage_gauss",
    "ssim_matlab3d_octave",
    "msssim_wang_luma",
    "mssim_kohler_mux",
)


def make_authors(references: Path, out: Path) -> None:
    """Outputs, losses, gradients and steps of the authors' graph: authors_KIND.npz."""
    for kind in authors.KINDS:
        reference = np.load(references / kind / "reference.npz")
        _check_the_rule(kind, reference)
        kept = {key: reference[key] for key in reference if _is_looked_at(key)}
        for key in reference:
            if "out_" in key and not key.startswith("test_"):
                kept[key] = authors.sampled(reference[key], scale=int(key[-1]))
        np.savez_compressed(out / f"authors_{kind}.npz", **kept)


def _is_looked_at(key):
    steps = key.startswith("seq3_") and not key.endswith("_mean")
    return steps or key.startswith(("var_names", "target_scale", "loss_", "grad_norm", "lstm_grad"))


def _check_the_rule(kind, reference):
    weights = authors.weights_of(kind)
    assert list(weights) == list(reference["var_names"]), kind
    norms = [np.linalg.norm(value.astype(np.float64)) for value in weights.values()]
    np.testing.assert_allclose(norms, reference["init_norm"], rtol=1e-12)
    for case in authors.SIZES:
        pair = authors.images_of("color", case, target_scale=1)
        for image, side in zip(pair, ("input", "target")):
            np.testing.assert_array_equal(np.rint(image * 255), reference[f"{side}_{case}"])


def make_ssim(references: Path, out: Path) -> None:
    """Pairs and their scores by Octave and scikit-image: ssim/."""
    reference = np.load(references / "reference.npz")
    constants = {key: reference[key].tolist() for key in ("gauss_kernel_1d", "channel_mix_3x3")}
    scores = {}
    for name in reference["names"]:
        for file, side in (("restored", "a"), ("sharp", "b")):
            _write_png(out / "ssim" / f"{name}_{file}.png", reference[f"{name}__{side}"])
        scores[str(name)] = {key: _plain(reference[f"{name}__{key}"]) for key in SSIM_SCORES}
    _write_json(out / "ssim" / "scores.json", {"constants": constants, "scores": scores})


def make_kohler(references: Path, out: Path) -> None:
    """A restored image, five frames of its truth, and what the official script gives for each: kohler/."""
    reference = np.load(references / "reference.npz")
    _write_png(out / "kohler" / "restored.png", reference["restored"])
    for number, frame in enumerate(reference["gt_frames"]):
        _write_png(out / "kohler" / f"frame_{number}.png", frame)
    keys = ("alpha", "shift_int", "psnr", "mssim", "best_psnr", "best_mssim")
    _write_json(out / "kohler" / "scores.json", {key: _plain(reference[key]) for key in keys})


def make_realblur(references: Path, out: Path) -> None:
    """A pair that only a homography brings together, and its scores: realblur/."""
    reference = np.load(references / "realblur_reference.npz")
    for file, key in (("restored", "restored"), ("sharp", "gt")):
        _write_png(out / "realblur" / f"{file}.png", reference[key])
    keys = ("alpha", "psnr", "ssim", "n_valid")
    _write_json(out / "realblur" / "scores.json", {key: _plain(reference[key]) for key in keys})


def _plain(value):
    """Numbers and lists for JSON, which keeps every bit of a float64; NaN (too small an image) as null."""
    plain = value.tolist()
    return None if plain != plain else plain


def _write_png(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])


def _write_json(path, values):
    path.write_text(json.dumps(values, indent=1) + "\n")


def main() -> None:
    """Parses the command line and writes all files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--references", type=Path, required=True, help="the folder of the reference folders")
    parser.add_argument("--out", type=Path, default=authors.FOLDER, help="the folder to write to")
    given = parser.parse_args()
    make_authors(given.references / "official_reference", given.out)
    make_ssim(given.references / "ssim_reference", given.out)
    make_kohler(given.references / "kohler_reference", given.out)
    make_realblur(given.references / "ssim_reference", given.out)


if __name__ == "__main__":
    main()
