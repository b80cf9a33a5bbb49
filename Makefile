# Builds live outside the checkout, so that a fresh clone finds them again.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/mlops-action/target
TOOLS ?= $(HOME)/.cache/mlops-action/tools
IMAGE = $(shell sed -n 's|^  image: docker://||p' action.yml)

.PHONY: demo test lint docs image e2e screenshots bench clean

demo: ## the main job on the flights, with a throwaway Postgres
	@scripts/need.sh postgres
	@cargo build --locked --bin mlops
	@scripts/demo.sh $(CARGO_TARGET_DIR)/debug/mlops

test: ## every test but the end-to-end ones
	@scripts/need.sh postgres python ps git
	@scripts/peers.sh $(TOOLS)/peers
	MLOPS_PEERS=$(TOOLS)/peers cargo test --locked --lib --bins --test it

lint: ## format, clippy, licences and bans
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	scripts/deny.sh

docs: ## writes the generated files: schemas and reference
	MLOPS_WRITE_DOCS=1 cargo test --locked --test it docs::generated

image: ## the container image, under the name in action.yml
	scripts/image.sh

e2e: image ## the image on GitHub Actions and GitLab CI, by act and gitlab-ci-local
	scripts/e2e-clients.sh $(TOOLS)
	@cargo build --locked --bin mlops
	MLOPS=$(CARGO_TARGET_DIR)/debug/mlops scripts/lint-ci.sh $(TOOLS)
	$(TOOLS)/readers/bin/python tests/e2e/pages.py $(TOOLS) $(CARGO_TARGET_DIR)/debug/mlops $(CARGO_TARGET_DIR)/screenshots
	$(TOOLS)/readers/bin/python tests/e2e/e2e.py $(TOOLS) $(IMAGE)

screenshots: ## the pictures of the documentation
	scripts/engine.sh
	scripts/base-images.sh
	scripts/e2e-clients.sh $(TOOLS)
	@cargo build --locked --bin mlops
	$(TOOLS)/readers/bin/python tests/e2e/pages.py $(TOOLS) $(CARGO_TARGET_DIR)/debug/mlops docs/images

bench: ## beside psql, Soda and DuckDB: a run, 500 migrations, 2 million rows in, 5 million out, 20 checks
	@scripts/need.sh postgres python ps
	@cargo build --locked --release --bin mlops
	scripts/bench-run $(CARGO_TARGET_DIR)/release/mlops
	scripts/bench-migrate $(CARGO_TARGET_DIR)/release/mlops
	scripts/bench-seed $(CARGO_TARGET_DIR)/release/mlops
	scripts/bench-export $(CARGO_TARGET_DIR)/release/mlops
	scripts/bench-checks $(CARGO_TARGET_DIR)/release/mlops

clean:
	cargo clean
	rm -rf .demo
