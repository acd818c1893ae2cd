# `make test` passes the tests; `make check` is what a change should pass before it is proposed.
CARGO ?= cargo

.PHONY: test check fmt

# Tests that need published tables look in $LANNER_DATA, else in ../shared/data, and say when they
# are skipped. Parquet and ONNX Runtime are features: their tests run in the lines below. That runtime's
# library is found as `lanner measure` finds it; where there is none, its tests say that they are skipped.
test:
	$(CARGO) test --workspace --locked
	$(CARGO) test -p lanner-data --features parquet,images-folder --locked -- parquet images
	$(CARGO) test -p lanner-evaluate --features ort --locked --test ort

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --features ort,parquet,images-folder --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	$(MAKE) test

fmt:
	$(CARGO) fmt --all
