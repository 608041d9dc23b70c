# SPDX-License-Identifier: GPL-3.0-or-later
# No logic here: every target calls a script. ARGS goes to ansible-playbook or pytest.

.PHONY: help verify collect matrix test torture lint bench lab-up lab-down setup clean clean-cache

help:
	@echo 'make verify      the whole way on an embedded guest: build, load, trace, judge'
	@echo 'make collect     watch an embedded guest until its exercise ends; Ctrl-C ends it sooner, and well'
	@echo 'make matrix      the same on every kernel of data/systems.yml, each in a guest of its own'
	@echo 'make test        all tests; one part: make test-lint, test-types, test-unit, test-mist,'
	@echo '                 test-sanity, test-integration, test-runner, test-kernels, test-browser, test-distros,'
	@echo '                 test-fleet, test-e2e, test-honesty, test-security, test-fresh'
	@echo 'make test-cloud  a guest of a cloud image; not in make test, its first boot takes minutes without KVM'
	@echo 'make test-image  the image of the execution environment; not in make test, it takes minutes and needs podman'
	@echo 'make test-spark  the table of records in Spark; not in make test, it is half a gigabyte and needs Java'
	@echo 'make lint        the same as make test-lint test-types'
	@echo 'make torture     loads, races, kills and failures of modules, on a stock and on a debug kernel; ARGS for pytest'
	@echo 'make bench       speeds and sizes, measured on this machine'
	@echo 'make lab-up      start the embedded guests and leave them running; make lab-down ends them'
	@echo 'make setup       only install what make verify and make test need'
	@echo 'make clean       remove what this checkout made; make clean-cache: the cache of images and builds'

verify:
	@scripts/verify.sh $(ARGS)

collect:
	@scripts/collect.sh $(ARGS)

matrix:
	@scripts/matrix.sh $(ARGS)

test:
	@scripts/test.sh

torture:
	@scripts/torture.sh $(ARGS)

test-%:
	@scripts/test.sh $*

lint:
	@scripts/test.sh lint types

bench:
	@scripts/bench.sh

lab-up lab-down:
	@scripts/playbook.sh $(subst -,_,$@) $(ARGS)

setup:
	@scripts/setup.sh run
	@scripts/setup.sh test

clean clean-cache:
	@scripts/clean.sh $@
