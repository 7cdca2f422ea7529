"""The documentation: its links lead somewhere, its pictures can be made again, its notebook runs."""

import ast
import importlib
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    path
    for path in sorted(ROOT.rglob("*.md"))
    if not {".venv", ".venv-jax", "demo"} & set(path.relative_to(ROOT).parts)
]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors_of(page):
    """The anchors that GitHub makes of the headings."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_of(page):
    return [link for link in LINK.findall(page.read_text()) if not link.startswith(("http:", "https:"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_within_the_repository_leads_somewhere(page):
    for link in links_of(page):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def test_no_page_waits_for_its_numbers():
    assert not [page.name for page in PAGES if "@@" in page.read_text()]


@pytest.fixture
def drawing(monkeypatch):
    """Imports a module of docs/draw."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "draw"))
    yield importlib.import_module
    for name in ("architecture", "pictures", "progress"):
        sys.modules.pop(name, None)


def test_every_picture_of_the_documentation_is_made_by_the_command(drawing):
    shown = {Path(link).name for page in PAGES for link in links_of(page) if link.endswith((".png", ".jpg"))}
    stored = {path.name for path in (ROOT / "docs").iterdir() if path.suffix in (".png", ".jpg")}

    assert shown == stored == set(drawing("pictures").PICTURES)
    assert "docs/draw/pictures.py" in (ROOT / "Makefile").read_text()


def test_the_architecture_in_the_picture_is_that_of_the_model(drawing):
    import srn

    blocks = drawing("architecture").describe_blocks(srn.build_model("srn"))

    assert [(block.name, block.shape) for block in blocks] == [
        ("in_block", "[B, h, w, 32]"),
        ("e_block1", "[B, h/2, w/2, 64]"),
        ("e_block2", "[B, h/4, w/4, 128]"),
        ("convlstm", "[B, h/4, w/4, 128]"),
        ("d_block1", "[B, h/2, w/2, 64]"),
        ("d_block2", "[B, h, w, 32]"),
        ("out_block", "[B, h, w, 3]"),
    ]
    assert blocks[1].details == ("enc2_1: 5x5, stride 2, ReLU", "3 ResBlocks: enc2_2, enc2_3, enc2_4")


def test_the_picture_of_the_architecture_is_the_one_that_is_drawn(drawing, tmp_path):
    from srn.images import read_rgb

    drawing("architecture").draw(tmp_path / "architecture.png")

    difference = read_rgb(tmp_path / "architecture.png").astype(int) - read_rgb(
        ROOT / "docs" / "architecture.png"
    )
    assert abs(difference).mean() < 2  # fonts are rendered a little otherwise from one Pillow to the next


def code_cells():
    notebook = json.loads((ROOT / "examples" / "tour.ipynb").read_text())
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_runs_in_any_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {}

    for cell in code_cells():
        exec(cell.replace("STEPS = 60", "STEPS = 2"), namespace)

    assert namespace["result"].step == 2
    assert set(namespace["scores"].by_method) == {"identity", "released", "trained", "unsharp mask"}
    assert "trained" in capsys.readouterr().out
    assert (tmp_path / "tour" / "run" / "flags.cfg").exists()


def test_the_names_that_the_readme_uses_are_public():
    import srn

    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    used = {
        node.attr
        for block in blocks
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "srn"
    }

    assert used and used <= set(srn.__all__)


@pytest.mark.parametrize(
    ("target", "wanted"), [("results", "PAIRS"), ("bench-data", "DATA_DIR"), ("bench-data", "PHOTOS")]
)
def test_make_has_no_default_outside_the_repository(target, wanted):
    makefile = (ROOT / "Makefile").read_text()

    assert "../" not in makefile
    recipe = makefile.partition(f"\n{target}: install\n")[2].partition("\n\n")[0]
    assert f'-n "$({wanted})"' in recipe.splitlines()[0] and "exit 2" in recipe.splitlines()[0]
