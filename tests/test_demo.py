import runpy
from pathlib import Path

import srn
from srn.config import ModelConfig
from srn.images import read_rgb
from srn.serving.export import export_savedmodel

DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo.py"


def test_the_picture_of_the_demo_is_drawn_through_the_savedmodel(pairs_dir, tmp_path):
    model = srn.build_model(ModelConfig(width=4, res_blocks=1, kernel_size=3))
    folder = export_savedmodel(model, tmp_path / "served", warm_up_sizes=[])

    runpy.run_path(str(DEMO))["draw_picture"](pairs_dir, folder, tmp_path / "demo.png")

    assert read_rgb(tmp_path / "demo.png").shape[1] > 3 * 400
    assert len(list((tmp_path / "restored").iterdir())) == 4
