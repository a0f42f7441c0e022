# make demo             a silent clip gets its sound; CLIP=path/to/video.mp4 takes another clip,
#                       SEED=N another draw
# make test             the tests
# make lint             style, formatting and types
# make distclean        remove the virtual environment
PYTHON ?= python3
VENV ?= .venv
OUT ?= out
CLIP ?= src/earsight/demo/bouncing_ball.mp4
SEED ?= 2
export PYTHON

REQUIREMENTS = pyproject.toml constraints.txt .ci/install

.PHONY: demo test lint distclean

demo: $(VENV)/.has-media
	@$(VENV)/bin/earsight sound "$(CLIP)" --seed $(SEED) --output "$(OUT)" --overwrite
	@$(VENV)/bin/python benchmarks/bounce_timing.py "$(CLIP)" "$(OUT)"
	@printf '\nThe clip with its sound, and the sound alone, lie in %s\n' "$(abspath $(OUT))"

test: $(VENV)/.has-dev
	$(VENV)/bin/python -m pytest -n 2 -q

lint: $(VENV)/.has-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python

distclean:
	rm -rf $(VENV)

$(VENV)/.has-media: $(REQUIREMENTS)
	@echo "installing into $(VENV) (once, a minute or two)"
	@.ci/install $(VENV) -e '.[media]'
	@touch $@

$(VENV)/.has-dev: $(REQUIREMENTS)
	@echo "installing into $(VENV) (once, a minute or two)"
	@.ci/install $(VENV) -e '.[dev]'
	@touch $@ $(VENV)/.has-media
