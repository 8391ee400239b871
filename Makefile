# Thin: the work is in xtask/. `cargo xtask` lists every command.
.PHONY: run test check bench prove

run:
	cargo xtask run $(ARGS)

test:
	cargo xtask test

check:
	cargo xtask check

bench:
	cargo xtask bench $(ARGS)

prove:
	cargo xtask prove
