# Builds, serves and tests electra, on a fresh machine too. `make` alone lists the targets.

MODELS ?= models
ARGS ?=
# Set to 1 for the ONNX Runtime with CUDA and TensorRT (Linux x86-64, with CUDA 13 and cuDNN 9 installed).
GPU ?= 0
CARGO ?= cargo
PYTHON ?= python3
export PYTHON

TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)

.PHONY: help serve build check test test-clients test-reliability fuzz bench bench-peers lint lint-deploy sbom runtime prerequisites clean
# In the order written, so that missing prerequisites are reported before any download.
.NOTPARALLEL:

help: ## This list
	@echo 'make TARGET [MODELS=folder] [ARGS="more flags"] [GPU=1] [PYTHON=python3.12]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile

serve: build ## Fetch ONNX Runtime, build, and serve the models in models/ on ports 8080 and 9000
	$(TARGET_DIR)/release/electra serve --models $(MODELS) $(ARGS)

build: prerequisites runtime ## Build the optimised program, target/release/electra
	$(CARGO) build --release --locked

# Without optimisation, which the unit tests don't need and which would take most of the time.
check: ## Check formatting, run clippy and the unit tests: no network, no ONNX Runtime
	@scripts/check_prerequisites.sh cargo linker lints
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --lib --bins --tests -- -D warnings
	$(CARGO) test --locked --lib --config profile.dev.opt-level=0

test: prerequisites runtime ## Get what the test suite needs and run all of it
	ELECTRA_REQUIRE_ONNXRUNTIME=1 $(CARGO) test --locked
	@scripts/lint_deploy.sh

# With the program that `make test` builds too, unless ELECTRA_BINARY names another.
test-clients: prerequisites runtime ## Run clients of other makers against the server: tests/clients/README.md
ifndef ELECTRA_BINARY
	$(CARGO) test --locked --no-run --test integration
endif
	@scripts/test_clients.sh $(ARGS)

# With the optimised program, unless ELECTRA_BINARY names another.
test-reliability: prerequisites runtime ## Attack the server and hold it to bars: tests/reliability/README.md
ifndef ELECTRA_BINARY
	$(CARGO) build --release --locked
endif
	@$(PYTHON) tests/reliability/run.py $(ARGS)

fuzz: prerequisites runtime ## Fuzz what reads requests and files, [TIME=1m] each: tests/fuzz/README.md
	@scripts/check_prerequisites.sh cplusplus
	@CARGO='$(CARGO)' $(PYTHON) tests/fuzz/run.py $(if $(TIME),--time $(TIME)) $(if $(RUNS),--runs $(RUNS)) $(TARGET)

bench: prerequisites ## Micro-benchmarks of everything around the models
	$(CARGO) bench --locked

bench-peers: build ## Compare with other servers: bench/peers/README.md
	$(PYTHON) bench/peers/run.py $(ARGS)

lint: lint-deploy ## Check formatting, run clippy, and lint dependencies, scripts, Dockerfile and deploy/
	@scripts/check_prerequisites.sh cargo linker lints
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	@scripts/lint_dependencies.sh

lint-deploy: ## Lint the scripts, the Dockerfile and deploy/
	@scripts/lint_deploy.sh

sbom: ## Write what the program is made of, target/electra.cdx.json (CycloneDX)
	@CARGO='$(CARGO)' scripts/sbom.sh $(TARGET_DIR)/electra.cdx.json

runtime: ## Fetch ONNX Runtime into .onnxruntime/ (nothing to do the second time)
ifdef ELECTRA_ONNXRUNTIME_LIBRARY
	@echo 'Using ELECTRA_ONNXRUNTIME_LIBRARY=$(ELECTRA_ONNXRUNTIME_LIBRARY)'
else
	@scripts/check_prerequisites.sh python
	@$(PYTHON) scripts/fetch_onnxruntime.py $(if $(filter 1,$(GPU)),--gpu)
endif

prerequisites:
	@scripts/check_prerequisites.sh cargo linker $(if $(ELECTRA_ONNXRUNTIME_LIBRARY),,python)

clean: ## Remove everything that was built or fetched
	$(CARGO) clean
	rm -rf .onnxruntime .venv-clients .venv-deny .venv-lint .venv-peers .venv-sbom
