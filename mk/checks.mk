# mk/checks.mk - the tree's own laws

check-layers: ## includes go down only (mk/layers.txt)
	$(Q)tools/check-layers mk/layers.txt

check-headers: $(patsubst %.h,$(B)/%.hdr,$(sort $(wildcard lib/*/*.h))) ## every header compiles alone

$(B)/%.hdr: %.h $(B)/flags
	@mkdir -p $(@D)
	$(Q)echo '#include "$(patsubst lib/%,%,$<)"' | $(CC) $(ALLC) -fsyntax-only -x c - && touch $@

# struct tailnet with all that it reaches in the coordinator, as one object
$(B)/tailnet.o: $(B)/libcoordinator.a
	$(Q)$(CC) -r -nostdlib -Wl,-u,tailnet_new -o $@ $<

check-pure: $(PURE:%=$(B)/lib%.a) $(B)/tailnet.o ## pure archives, and struct tailnet, ask for nothing but mk/pure-symbols.txt
	$(Q)tools/check-pure mk/pure-symbols.txt $^

check-closure: programs ## needed libraries and size of each program as mk/closure.txt says
	$(Q)tools/check-closure mk/closure.txt $(PROGRAMS:%=$(B)/bin/%)

check-lists: ## every test that docs/checklists.md names exists; every planted fault applies; every door and public parser has a fuzz target there
	$(Q)tools/check-lists docs/checklists.md
	$(Q)tools/check-readers docs/checklists.md

check-format: ## clang-format would change nothing (files listed by git)
	$(Q)git ls-files '*.c' '*.h' | xargs -r -P $(JOBS) -n 32 tools/format --check

format: ## apply clang-format
	$(Q)git ls-files '*.c' '*.h' | xargs -r -P $(JOBS) -n 32 tools/format

lint: compile_commands.json ## clang-tidy over everything that is built
	$(Q)git ls-files 'lib/*.c' '*/*.c' | grep -v -e _fuzz.c | sort -u | xargs -P $(JOBS) -n 4 clang-tidy -p . --quiet

.PHONY: check-layers check-headers check-pure check-closure check-lists check-format format lint
