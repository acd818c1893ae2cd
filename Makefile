# `make test` runs the tests; `make check` is everything else that a change should pass before it is
# proposed: format, lints, documentation, licences.
CARGO ?= cargo
# All are tested in one build: other features would be another build of much that does not have them.
FEATURES = ort,parquet,images-folder

.PHONY: test check deny fmt wheel

# Tests that need published tables look in $LANNER_DATA, else in ../shared/data. ONNX Runtime's library
# is found as `lanner measure` finds it. The last lines tell which tests were skipped for want of these.
test:
	CARGO='$(CARGO)' .ci/test --workspace --features $(FEATURES) --locked

# With the profile of the tests, whose build scripts and procedural macros are used again.
check: deny
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets --features $(FEATURES) --locked -- -D warnings
	$(CARGO) clippy --release --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --workspace --no-deps --locked

# Licences and known vulnerabilities of the dependencies, where cargo-deny is installed and the
# database of vulnerabilities can be had.
deny:
	@if ! $(CARGO) deny --version >/dev/null 2>&1; then \
	    echo 'licences and vulnerabilities are not checked: cargo install cargo-deny'; \
	else \
	    $(CARGO) deny --workspace --all-features check bans licenses sources || exit 1; \
	    if timeout 60 $(CARGO) deny fetch db >/dev/null 2>&1; then \
	        $(CARGO) deny --workspace --all-features check --disable-fetch advisories; \
	    else \
	        echo 'vulnerabilities are not checked: their database cannot be fetched'; \
	    fi; \
	fi

fmt:
	$(CARGO) fmt --all

# The Python package as a wheel, in dist/; maturin is needed (pip install maturin). One wheel is for all
# versions of Python from 3.11.
wheel:
	maturin build --release --locked --strip --out dist
