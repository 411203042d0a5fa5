# SPDX-License-Identifier: GPL-2.0
# One line per target; every recipe is a script that explains itself with --help.
.PHONY: help deps tree refresh kernel bpf tools kunit vm demo test bench bisect debug-test mutants publish
.DEFAULT_GOAL := help
FLAVOUR ?= plain

help: ; @scripts/help Makefile ## this list
deps: ; @scripts/deps ## install the Debian packages that the other targets need
tree: deps ; @scripts/tree ## lay the patched kernel source out in build/linux, one commit a patch
refresh: ; @scripts/refresh ## rewrite patches/ from the commits of build/linux
kernel: tree ; @scripts/kernel $(FLAVOUR) ## build a kernel (FLAVOUR=plain, debug, kcsan, stock or bench)
bpf: tree ; @scripts/kernel plain && scripts/bpf ## build the eBPF programs against the kernel's BTF
tools: bpf ; @scripts/tools ## build mmscope, scome-run and the other programs
kunit: kernel ; @scripts/kunit $(FLAVOUR) ## run the KUnit suites in the guest
vm: kernel ; @scripts/vm --kernel $(FLAVOUR) ## open a shell in the patched kernel, the host's files read-only
demo: tools ; @scripts/demo ## shared leaf tables beside ordinary ones, and PostgreSQL on both
test: deps ; @scripts/test ## everything that must hold: style, series, builds, KUnit, in-guest and tool tests
bench: tools ; @scripts/bench ## the slow measurements: unused hooks, selftests of the base tree, linked mappings
bisect: tree ; @scripts/bisect ## build every patch of the series alone
debug-test: tree ; @scripts/test --debug ## the in-guest tests on the debug and the kcsan kernels, ten minutes of stress
mutants: tools ; @scripts/mutants ## show that the tests fail on every planted defect
publish: ; @scripts/publish ## publish what was measured: Documentation/results and the README's table
