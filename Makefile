# make demo, make test: work on a new machine. Everything is installed into .venv from requirements.lock, with the python3 of the machine
# (3.9 to 3.11).

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed

.PHONY: install demo test test-full lint bench bench-data results pictures rehearse lock clean

install: $(INSTALLED)

$(INSTALLED): requirements.lock setup.cfg pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not installed; install Python 3.9, 3.10 or 3.11, or set make PYTHON=/path/to/python"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 11))' || { echo "make: TensorFlow 2.15 needs Python 3.9, 3.10 or 3.11, and $(PYTHON) is `$(PYTHON) -V`; set make PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) cannot create environments; on Debian: apt-get install python3-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'import cv2' 2>/dev/null || { echo "make: OpenCV needs libGL and GLib; on Debian: apt-get install libgl1 libglib2.0-0"; exit 2; }
	@touch $@

# Writes demo/photograph.png and demo/demo.png.
demo: install
	$(BIN)/python examples/demo.py --out demo

test: install lint
	$(BIN)/python -m pytest -q -m "not slow"

# Installs Chromium for the test of report.html; if that is not possible, the test is skipped.
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

# make bench-data DATA_DIR=GOPRO_Large PHOTOS=pictures, with a data set of PNG files and a folder of sharp photographs
bench-data: install
	@test -n "$(DATA_DIR)" -a -n "$(PHOTOS)" || { echo "make: bench-data needs a data set and sharp photographs: make bench-data DATA_DIR=GOPRO_Large PHOTOS=pictures"; exit 2; }
	$(BIN)/python benchmarks/data_pipeline.py --data_dir $(DATA_DIR) --photos $(PHOTOS)

# make results PAIRS=FOLDER: scores the released weights on a folder with blur/ and sharp/
results: install
	@test -n "$(PAIRS)" || { echo "make: results needs a folder with blur/ and sharp/: make results PAIRS=FOLDER"; exit 2; }
	$(BIN)/python evaluate.py --ckpt=sr_edrb1 --data_dir=$(PAIRS) --dataset=pairs --out_dir=results/sr_edrb1

# The images of the documentation for which sources are given:
#   make demo pictures DEMO=demo PAIRS=FOLDER PHOTOGRAPHS=FOLDER FRAMES=FOLDER SHARP=FOLDER ABLATION=FOLDER RUN=runs/first REPORT=results/sr_edrb1
pictures: install
	$(BIN)/python docs/draw/pictures.py $(if $(DEMO),--demo=$(DEMO)) $(if $(PAIRS),--pairs=$(PAIRS)) $(if $(PHOTOGRAPHS),--photographs=$(PHOTOGRAPHS)) $(if $(FRAMES),--frames=$(FRAMES)) $(if $(SHARP),--sharp=$(SHARP)) $(if $(ABLATION),--ablation=$(ABLATION)) $(if $(RUN),--run=$(RUN)) $(if $(REPORT),--report=$(REPORT))

# Rehearses training on a machine without TensorFlow; see tools/stablehlo.
VENV_JAX = .venv-jax
rehearse: install $(VENV_JAX)/.installed
	$(BIN)/python -m tools.stablehlo.rehearse --jax_python $(VENV_JAX)/bin/python --full

$(VENV_JAX)/.installed: tools/stablehlo/requirements.txt
	$(PYTHON) -m venv $(VENV_JAX)
	$(VENV_JAX)/bin/python -m pip install --quiet --disable-pip-version-check -r tools/stablehlo/requirements.txt
	@touch $@

# Locks the newest versions that setup.cfg allows, for all Python versions at once.
lock: install
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.9 --extra test --no-emit-index-url --no-header --no-annotate --upgrade setup.cfg -o requirements.lock

clean:
	rm -rf $(VENV) $(VENV_JAX) demo *.egg-info
