# The two commands of a fresh machine:  make demo   make test
# Everything is installed into .venv from requirements.lock, with the machine's own python3 (3.9 to 3.11).

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed

.PHONY: install demo test test-full lint bench bench-data results pictures rehearse lock clean

install: $(INSTALLED)

$(INSTALLED): requirements.lock setup.cfg pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not there; install Python 3.9, 3.10 or 3.11, or say make PYTHON=/path/to/python"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 11))' || { echo "make: TensorFlow 2.15 needs Python 3.9, 3.10 or 3.11, and $(PYTHON) is `$(PYTHON) -V`; say make PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) cannot make environments; on Debian: apt-get install python3-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'import cv2' 2>/dev/null || { echo "make: OpenCV needs libGL and GLib; on Debian: apt-get install libgl1 libglib2.0-0"; exit 2; }
	@touch $@

# From a fresh machine to a picture: demo/demo.png.
demo: install
	$(BIN)/python examples/demo.py --out demo

test: install lint
	$(BIN)/python -m pytest -q -m "not slow"

# With Chromium, for the test of report.html; where it cannot be installed that test is skipped, with its reason.
test-full: install lint
	@command -v chromedriver >/dev/null || { echo "make: installing Debian's chromium and chromium-driver" && apt-get install -y -q chromium chromium-driver >/dev/null; } || echo "make: they could not be installed (as root: apt-get install chromium chromium-driver)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .[onnx,openvino] || echo "make: the other engines could not be installed; their tests are skipped"
	$(BIN)/python -m pytest -q

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install
	$(BIN)/python benchmarks/inference_ceiling.py
	$(BIN)/python benchmarks/metrics.py

# A data set of PNG files, and sharp photographs: make bench-data DATA_DIR=GOPRO_Large PHOTOS=pictures
bench-data: install
	@test -n "$(DATA_DIR)" -a -n "$(PHOTOS)" || { echo "make: bench-data needs a data set and sharp photographs: make bench-data DATA_DIR=GOPRO_Large PHOTOS=pictures"; exit 2; }
	$(BIN)/python benchmarks/data_pipeline.py --data_dir $(DATA_DIR) --photos $(PHOTOS)

# The score of the released weights: make results PAIRS=FOLDER (with blur/ and sharp/)
results: install
	@test -n "$(PAIRS)" || { echo "make: results needs a folder with blur/ and sharp/: make results PAIRS=FOLDER"; exit 2; }
	$(BIN)/python evaluate.py --ckpt=sr_edrb1 --data_dir=$(PAIRS) --dataset=pairs --out_dir=results/sr_edrb1

# The pictures of the documentation; each of those whose sources are given, such as
#   make demo pictures DEMO=demo PAIRS=FOLDER PHOTOGRAPHS=FOLDER FRAMES=FOLDER SHARP=FOLDER ABLATION=FOLDER RUN=runs/first REPORT=results/sr_edrb1
pictures: install
	$(BIN)/python docs/draw/pictures.py $(if $(DEMO),--demo=$(DEMO)) $(if $(PAIRS),--pairs=$(PAIRS)) $(if $(PHOTOGRAPHS),--photographs=$(PHOTOGRAPHS)) $(if $(FRAMES),--frames=$(FRAMES)) $(if $(SHARP),--sharp=$(SHARP)) $(if $(ABLATION),--ablation=$(ABLATION)) $(if $(RUN),--run=$(RUN)) $(if $(REPORT),--report=$(REPORT))

# A training run on a machine without TensorFlow, end to end on this one; see tools/stablehlo.
VENV_JAX = .venv-jax
rehearse: install $(VENV_JAX)/.installed
	$(BIN)/python -m tools.stablehlo.rehearse --jax_python $(VENV_JAX)/bin/python --full

$(VENV_JAX)/.installed: tools/stablehlo/requirements.txt
	$(PYTHON) -m venv $(VENV_JAX)
	$(VENV_JAX)/bin/python -m pip install --quiet --disable-pip-version-check -r tools/stablehlo/requirements.txt
	@touch $@

# Resolves the newest versions that setup.cfg allows, for all Pythons at once.
lock: install
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.9 --extra test --no-emit-index-url --no-header --no-annotate --upgrade setup.cfg -o requirements.lock

clean:
	rm -rf $(VENV) $(VENV_JAX) demo *.egg-info
