# `make test` passes the tests; `make check` is what a change should pass before it is proposed.
CARGO ?= cargo

.PHONY: test check fmt

# Tests that need published tables look in $LANNER_DATA, else in ../shared/data, and say when they
# are skipped. Parquet is a feature: its tests run in the second line.
test:
	$(CARGO) test --workspace --locked
	$(CARGO) test -p lanner-data --features parquet --locked parquet

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	$(MAKE) test

fmt:
	$(CARGO) fmt --all
