# `make test` passes the tests; `make check` is what a change should pass before it is proposed.
CARGO ?= cargo
# All are tested in one build: other features would be another build of much that does not have them.
FEATURES = ort,parquet,images-folder

.PHONY: test check fmt

# Tests that need published tables look in $LANNER_DATA, else in ../shared/data, and say when they
# are skipped. ONNX Runtime's library is found as `lanner measure` finds it; where there is none, its
# tests say that they are skipped.
test:
	$(CARGO) test --workspace --features $(FEATURES) --locked

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy --workspace --all-targets --features $(FEATURES) --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	$(MAKE) test

fmt:
	$(CARGO) fmt --all
