# mk/build.mk - objects, archives, programs

define module_rules
LIBOBJ_$(1) := $$(patsubst %.c,$$(B)/%.o,$$(call srcs,lib/$(1)))
$$(B)/lib$(1).a: $$(LIBOBJ_$(1)) $$(wildcard lib/$(1))
	@mkdir -p $$(@D)
	$$(Q)rm -f $$@; $$(AR) crsD $$@ $$(LIBOBJ_$(1))
endef
$(foreach m,$(MODULES),$(eval $(call module_rules,$(m))))

$(foreach m,$(CONV),$(eval $$(B)/lib/$(m)/%.o: MODWARN := $(WARN_CONV)))
$(B)/%_test.o $(B)/%_bench.o: MODWARN :=
$(B)/%_fuzz.o: MODWARN := -Wno-unused-result # a target may drop what a function says

$(B)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(ALLC)' | cmp -s - $@ || echo '$(CC) $(ALLC)' > $@

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLC) $(MODWARN) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<
	@printf '{"directory":"%s","file":"%s","command":"%s"},\n' '$(CURDIR)' '$<' '$(subst ",\",$(CC) $(ALLC) $(MODWARN)) -c $<' > $(@:.o=.cdb)

reverse = $(if $(1),$(call reverse,$(wordlist 2,$(words $(1)),$(1))) $(firstword $(1)))
archives = $(patsubst %,$(B)/lib%.a,$(call reverse,$(filter $(1),$(MODULES))))
pkgs = $(sort $(foreach m,$(1),$(PKG_$(m))))

define program_rules
PROG_$(1)_OBJ := $$(patsubst %.c,$$(B)/%.o,$$(call srcs,$$(PROG_$(1)_DIR)))
PROG_$(1)_PKGS := $$(call pkgs,$$(PROG_$(1)_MODULES)) $$(PROG_$(1)_PKG)
$$(B)/bin/$(1): $$(PROG_$(1)_OBJ) $$(call archives,$$(PROG_$(1)_MODULES)) $$(B)/flags
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALLC) $$(if $$(and $$(PROG_$(1)_STATIC),$$(if $$(SAN),,y)),-static-pie $$(PACKLD),-pie) $$(ALLLD) -Wl,--dependency-file=$$@.inputs -o $$@ $$(PROG_$(1)_OBJ) \
		$$(call archives,$$(PROG_$(1)_MODULES)) \
		$$(if $$(strip $$(PROG_$(1)_PKGS)),$$$$($$(PKG_CONFIG) $$(if $$(and $$(PROG_$(1)_STATIC),$$(if $$(SAN),,y)),--static --libs $$(patsubst libuv,libuv-static,$$(PROG_$(1)_PKGS)),--libs $$(PROG_$(1)_PKGS)))) \
		$$(PROG_$(1)_LIBS) -lm $$(QUIETLD)
endef
$(foreach p,$(PROGRAMS),$(if $(PROG_$(p)_RULE),,$(eval $(call program_rules,$(p)))))

programs: $(PROGRAMS:%=$(B)/bin/%)
	@$(if $(CROSS),exit 0;) mkdir -p build/bin; for p in $(PROGRAMS); do ln -sf ../../$(B)/bin/$$p build/bin/$$p; done

compile_commands.json: $(foreach m,$(MODULES),$(B)/lib$(m).a) programs
	@{ echo '['; find $(B) -name '*.cdb' -exec cat {} + | sed '$$ s/,$$//'; echo ']'; } > $@

-include $(shell find $(B) -name '*.d' 2>/dev/null)
.PHONY: programs
