"""Restores a photograph with the released weights; trains, evaluates and exports on synthetic scenes.

    python examples/demo.py --out demo

Every step is a command of the project, which is printed. OUT/photograph.png shows a blurry photograph and
the result of the released weights. OUT/demo.png shows the scenes with the smallest, median and largest gain:
blurry input, output of the SavedModel and ground truth, with PSNR.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from srn.command import quiet_tensorflow

ROOT = Path(__file__).resolve().parents[1]
# Of a frame of GOPRO_Large (Nah et al., CVPR 2017, CC BY 4.0), as in jiangsutx/SRN-Deblur's testing_set.
PHOTOGRAPH = ROOT / "examples" / "photographs" / "parked_car.jpg"


def main() -> None:
    """Runs all steps in a new folder; complete scenes of an earlier run are reused."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for everything")
    parser.add_argument("--flagfile", type=Path, default=ROOT / "flags" / "sample.cfg", help="how to train")
    arguments = parser.parse_args()
    out, flagfile = arguments.out.resolve(), arguments.flagfile.resolve()
    if (out / "scenes" / "scenes.json").exists():  # an earlier demo
        for old in ("run", "scores", "served", "restored"):
            shutil.rmtree(out / old, ignore_errors=True)

    restore_photograph(out)
    run(
        "1/4  Drawing synthetic scenes, and blurring them by camera shake",
        "examples/drawn_scenes.py",
        out / "scenes",
    )
    train, test = out / "scenes" / "train", out / "scenes" / "test"
    run(
        "2/4  Training a small network",
        *(
            "train.py",
            f"--flagfile={flagfile}",
            f"--data_dir={train}",
            f"--model_dir={out / 'run'}",
        ),
    )
    run(
        "3/4  Evaluating it on unseen scenes",
        *("evaluate.py", f"--ckpt={out / 'run'}", f"--data_dir={test}", f"--out_dir={out / 'scores'}"),
    )
    run(
        "4/4  Exporting it, and restoring unseen scenes by the SavedModel",
        *("export_savedmodel.py", f"--ckpt={out / 'run'}", f"--export_dir={out / 'served'}"),
    )
    draw_picture(test, out / "served" / "1", out / "demo.png")
    summary = json.loads((out / "scores" / "summary.json").read_text())
    print(f"\nPSNR on {summary['images']} unseen scenes: {summary['psnr']:.2f} dB")
    print(f"See {out / 'photograph.png'} and {out / 'demo.png'}")


def restore_photograph(out: Path) -> None:
    """Restores a photograph as `srn-deblur` does, and draws it next to the blurry one."""
    import cv2

    restored = out / "parked_car_deblurred.png"
    run(
        "0/4  Restoring a photograph with the released weights",
        *("srn/inference/command.py", PHOTOGRAPH, "--output", restored, "--overwrite"),
    )
    sides = [cv2.imread(str(path)) for path in (PHOTOGRAPH, restored)]
    cv2.imwrite(str(out / "photograph.png"), cv2.hconcat(sides))


def run(title: str, script: str, *words) -> None:
    """Runs a script of the repository; exits if it fails."""
    print(f"\n{title}\n$ python {' '.join(map(str, (script, *words)))}", flush=True)
    result = subprocess.run([sys.executable, ROOT / script, *map(str, words)], check=False, cwd=ROOT)
    if result.returncode:
        sys.exit(result.returncode)


def draw_picture(pairs_dir: Path, savedmodel: Path, picture: Path) -> None:
    """Restores unseen scenes by the signature `encoded`, and draws them next to input and ground truth."""
    quiet_tensorflow()
    import tensorflow as tf

    from srn.data.pairs import find_pairs
    from srn.evaluation import methods, scoring, sheet
    from srn.evaluation.protocols import PAIRS

    serve = tf.saved_model.load(str(savedmodel)).signatures["encoded"]

    def restore(image):
        answer = serve(image_bytes=tf.io.encode_png(image)[tf.newaxis])["restored_bytes"]
        return tf.io.decode_png(answer[0]).numpy()

    pairs = find_pairs(pairs_dir, "pairs")
    method = methods.Network(restore, "SavedModel", picture.parent)
    scores = scoring.score_images(pairs, method, PAIRS).scores
    sheet.write_sheet(picture, sheet.choose_rows(scores, pairs, method), PAIRS)


if __name__ == "__main__":
    main()
