# The two main commands are `make run` and `make test`. Both install what is missing on a bare Debian machine.
.PHONY: run test soak lint

run:
	@scripts/run.sh

test:
	@scripts/test.sh

# Injects faults for an hour.
soak:
	@scripts/soak.sh

lint:
	@scripts/lint.sh
