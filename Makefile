# The two commands: `make run` and `make test`. Both bring what is missing on a bare Debian machine.
.PHONY: run test lint

run:
	@scripts/run.sh

test:
	@scripts/test.sh

lint:
	@scripts/lint.sh
