PROGRAMS += containerboot
PROG_containerboot_DIR := containerboot
PROG_containerboot_MODULES := base pod crypto wire wg netstack path derp ts2021 model os node host
PROG_containerboot_PKG := libcap
PROG_containerboot_STATIC := y


docs: programs ## pages made from tables
	$(Q)mkdir -p docs/operations
	$(Q)$(B)/bin/containerboot help markdown > docs/operations/environment.md
.PHONY: docs
