# mk/tests.mk - unit tests, fuzz targets and their corpora, the larger suites

# --- unit, vector and property tests: lib/*/x_test.c, each its own program -------------------------------------

TESTS := $(sort $(wildcard lib/*/*_test.c containerboot/*_test.c operator/*_test.c cni/*_test.c coordinator/*_test.c tests/sim/*_test.c tests/nat/*_test.c))
TESTBIN := $(patsubst %_test.c,$(B)/test/%,$(TESTS))
ALLMOD := $(foreach m,$(MODULES),$(if $(call srcs,lib/$(m)),$(m)))
ALLAR = $(call archives,$(ALLMOD))
# a program's sources except its main file can be tested too
PROGOBJ = $(patsubst %.c,$(B)/%.o,$(filter-out %/main.c,$(call srcs,$(firstword $(subst /, ,$(1))))))
TESTPKG = $(eval TESTPKG := $(shell pkg-config --libs check $(call pkgs,$(ALLMOD)) $(foreach p,$(PROGRAMS),$(PROG_$(p)_PKG)) 2>/dev/null))$(TESTPKG)
# Some 270 of them: by gold, where it is, in a third of the time; only libraries that are needed, since each of 1,700 processes maps
# them all; and with gcc one sanitizer runtime in the program in place of two libraries, whose 12 MB of tables the leak checker reads
TESTLINK = $(CC) $(ALLC) -pie $(ALLLD) $(GOLD) $(STATICSAN) -Wl,--as-needed
GOLD := $(if $(shell command -v $(if $(CROSS),$(CROSS)-)ld.gold),-fuse-ld=gold)
STATICSAN := $(if $(findstring gcc,$(CC_NAME)),$(if $(findstring address,$(SAN)),-static-libasan -static-libubsan))

.SECONDEXPANSION:
$(B)/test/lib/%: $(B)/lib/%_test.o $(B)/tests/harness.o $$(ALLAR)
	@mkdir -p $(@D)
	$(Q)$(TESTLINK) -o $@ $(B)/lib/$*_test.o $(B)/tests/harness.o $(ALLAR) $(TESTPKG) -lm
$(B)/test/tests/%: $(B)/tests/%_test.o $(B)/tests/harness.o $$(ALLAR) $$(SIMOBJ)
	@mkdir -p $(@D)
	$(Q)$(TESTLINK) -o $@ $(B)/tests/$*_test.o $(B)/tests/harness.o $(SIMOBJ) $(ALLAR) $(TESTPKG) -lm
# the simulated tailnet has the coordinator's core too: the linker takes what tailnet.h reaches, and check-pure holds that pure
COORDINATOR_AR := $(B)/libcoordinator.a
$(COORDINATOR_AR): $(call PROGOBJ,coordinator/x) $(wildcard coordinator)
	@mkdir -p $(@D)
	$(Q)rm -f $@; $(AR) crsD $@ $(filter %.o,$^)
SIMOBJ = $(patsubst %.c,$(B)/%.o,$(call srcs,tests/sim) $(call srcs,tests/nat)) $(COORDINATOR_AR)
define program_test_rule
$$(B)/test/$(1)/%: $$(B)/$(1)/%_test.o $$(B)/tests/harness.o $$$$(ALLAR) $$(call PROGOBJ,$(1)/x)
	@mkdir -p $$(@D)
	$$(Q)$$(TESTLINK) -o $$@ $$(B)/$(1)/$$*_test.o $$(B)/tests/harness.o $$(call PROGOBJ,$(1)/x) $$(ALLAR) $$(TESTPKG) -lm
endef
$(foreach d,containerboot operator cni coordinator,$(eval $(call program_test_rule,$(d))))

# TEST=lib/wire/dns runs one
check-unit: $(if $(TEST),$(B)/test/$(TEST),$(TESTBIN)) ## unit, vector and property tests (TEST=lib/x/y for one)
	$(Q)tools/run-tests $$(($(JOBS) + 2)) $^

# random tailnets of tests/sim: SEEDS of them from FIRST on; SEED=n in the environment of the program replays one
SEEDS ?= 1000
FIRST ?= 1
sim: $(B)/test/tests/sim/random ## SEEDS=10000 random simulated tailnets, JOBS at once (FIRST=n: from seed n)
	$(Q)tools/run-sim $< $(JOBS) $(FIRST) $(SEEDS)

# tests/sim/faults: planted faults, which the tests of the simulated tailnet must catch
SIMTEST = $(patsubst %.c,$(B)/%.o,$(wildcard tests/sim/*_test.c))
sim-faults: $(SIMTEST) $(SIMOBJ) $(B)/tests/harness.o $(ALLAR) ## plants faults in lib and coordinator, one at a time; each must be caught
	$(Q)tools/run-sim-faults $(B)/faults $(JOBS) '$(CC) $(ALLC)' '$(TESTLINK) -o @OUT@ @FAULT@ $(SIMTEST) $(B)/tests/harness.o $(SIMOBJ) $(ALLAR) $(TESTPKG) -lm'

# --- fuzzing: lib/*/x_fuzz.c, one target each; corpus in fuzz/corpus/x/ ----------------------------------------

FUZZ := $(sort $(wildcard lib/*/*_fuzz.c containerboot/*_fuzz.c operator/*_fuzz.c cni/*_fuzz.c coordinator/*_fuzz.c))
FUZZNAMES := $(notdir $(FUZZ:%_fuzz.c=%))
FB := build/fuzz
FUZZTIME ?= 60
MIN ?= 5
fuzzsrc = $(filter %/$(1)_fuzz.c,$(FUZZ))
FUZZLIBSRC = $(foreach m,$(ALLMOD),$(call srcs,lib/$(m)))
FUZZFLAGS = $(STD) -O1 -g -DFUZZING -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

$(FB)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<
define fuzz_rule
$$(FB)/bin/$(1): $$(FB)/$$(patsubst %.c,%.o,$$(call fuzzsrc,$(1))) $$(patsubst %.c,$$(FB)/%.o,$$(FUZZLIBSRC)) \
		$$(if $$(filter lib/%,$$(call fuzzsrc,$(1))),,$$(patsubst %.c,$$(FB)/%.o,$$(filter-out %/main.c,$$(call srcs,$$(firstword $$(subst /, ,$$(call fuzzsrc,$(1))))))))
	@mkdir -p $$(@D)
	$$(Q)$$(CLANG) -fsanitize=fuzzer,address,undefined $$(GOLD) -o $$@ $$^ $$(TESTPKG) -lm
fuzz-$(1): $$(FB)/bin/$(1)
	$$(Q)mkdir -p fuzz/corpus/$(1) build/fuzz/found/$(1)
	$$(Q)cd build/fuzz && ./bin/$(1) -max_total_time=$$(FUZZTIME) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
		-artifact_prefix=found/$(1)/ found/$(1) ../../fuzz/corpus/$(1)
# the corpus replayed by an ordinary compiler
$$(B)/replay/$(1): $$(B)/$$(patsubst %.c,%.o,$$(call fuzzsrc,$(1))) $$(B)/fuzz/replay.o $$$$(ALLAR) \
		$$(if $$(filter lib/%,$$(call fuzzsrc,$(1))),,$$(call PROGOBJ,$$(call fuzzsrc,$(1))))
	@mkdir -p $$(@D)
	$$(Q)$$(TESTLINK) -o $$@ $$(filter %.o,$$^) $$(ALLAR) $$(TESTPKG) -lm
endef
$(foreach f,$(FUZZNAMES),$(eval $(call fuzz_rule,$(f))))

check-corpus: $(FUZZNAMES:%=$(B)/replay/%) ## every fuzz corpus, replayed
	$(Q)tools/replay-corpora $(B)/replay fuzz/corpus $(FUZZNAMES)

fuzz-bins: $(FUZZNAMES:%=$(FB)/bin/%) ## every fuzz target, built
check-fuzz: fuzz-bins ## every fuzz corpus, replayed under clang's sanitizers, which see some things that gcc's do not
	$(Q)tools/replay-corpora $(FB)/bin fuzz/corpus $(FUZZNAMES)
fuzz-all: fuzz-bins ## all fuzz targets share MIN minutes
	$(Q)tools/fuzz-all $(MIN) $(FUZZNAMES)

-include $(shell find $(FB) -name '*.d' 2>/dev/null)

# --- benches: lib/*/x_bench.c, each its own program with a main; `make build/gcc/bench/lib/x/y` ---------------------

$(B)/bench/lib/%: $(B)/lib/%_bench.o $$(ALLAR)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLC) -pie $(ALLLD) -o $@ $< $(ALLAR) $(TESTPKG) -lm

# --- suites -----------------------------------------------------------------------------------------------------

check: check-layers check-headers check-pure check-lists check-unit check-corpus ## no root, no network: laws, unit tests, corpora, simulation

check-bins: $(TESTBIN) $(FUZZNAMES:%=$(B)/replay/%)

check-san: ## `check` under AddressSanitizer and UBSan
	$(Q)$(MAKE) --no-print-directory SAN=address,undefined check-unit check-corpus

# tests/netns/x.c: the same for the scripts there
NETNSBIN := $(patsubst %.c,$(B)/%,$(wildcard tests/netns/*.c))
$(NETNSBIN): $(B)/tests/netns/%: $(B)/tests/netns/%.o $$(ALLAR)
	@mkdir -p $(@D)
	$(Q)$(TESTLINK) -o $@ $< $(ALLAR) $(TESTPKG) -lm

# the sidecar with counters in it (shared libraries: libuv is counted too)
COUNTED := $(B)/tests/counted/containerboot
$(COUNTED): $(B)/tests/counted/hooks.o $(PROG_containerboot_OBJ) $$(ALLAR)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLC) -pie $(ALLLD) -o $@ $(B)/tests/counted/hooks.o $(PROG_containerboot_OBJ) $(ALLAR) $(TESTPKG) -lm

check-netns: programs $(NETNSBIN) $(COUNTED) ## network-namespace tests (root)
	$(Q)tools/run-suite tests/netns

deps: ## install missing Debian packages (root or sudo)
	$(Q)tools/deps mk/packages.txt

test: ## README's test command: deps, check, check under sanitizers, network namespaces
	$(Q)$(MAKE) --no-print-directory deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all check
	$(Q)tools/beside build/logs/sanitized.log '$(MAKE) --no-print-directory -j$(JOBS) SAN=address,undefined check-bins' \
		$(MAKE) --no-print-directory check-closure check-netns
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) check-san

# e2e/x.c: small programs that the e2e scripts run, over the libraries alone
E2EBIN := $(patsubst %.c,$(B)/%,$(wildcard e2e/*.c))
$(E2EBIN): $(B)/e2e/%: $(B)/e2e/%.o $$(ALLAR)
	@mkdir -p $(@D)
	$(Q)$(TESTLINK) -o $@ $(filter %.o,$^) $(ALLAR) $(TESTPKG) -lm
# the NAT box shares its memory with the simulation's
$(B)/e2e/natbox: $(patsubst %.c,$(B)/%.o,$(call srcs,tests/nat))

e2e: programs $(E2EBIN) ## real peers: Headscale, tailscaled, derper (root; installs them on first use)
	$(Q)tools/run-suite e2e

demo: ## a tailnet of two nodes on loopback, a page fetched across it; KEEP=1 leaves it running
	$(Q)$(MAKE) --no-print-directory deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) programs
	$(Q)tools/demo

bench-nat: programs $(B)/e2e/natbox ## who meets whom behind NAT boxes, beside the stock client (TRIES=20)
	$(Q)BENCH=b-55-nat TRIES=$${TRIES:-20} bench/run

bench: programs $(B)/e2e/natbox $(B)/e2e/fleet ## figures, with the peer measured in the same run
	$(Q)bench/run

.PHONY: sim sim-faults check check-unit check-corpus check-bins check-san check-netns deps test demo e2e bench bench-nat fuzz-bins check-fuzz fuzz-all $(FUZZNAMES:%=fuzz-%)
