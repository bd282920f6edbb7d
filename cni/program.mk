# The plugin is copied onto machines that have nothing: static, musl. A sanitizer build is an ordinary one.
PROGRAMS += tailpod-cni
PROG_tailpod-cni_DIR := cni
PROG_tailpod-cni_MODULES := base pod
PROG_tailpod-cni_STATIC := y
PROG_tailpod-cni_RULE := own

CNI_CC ?= $(if $(CROSS),$(CC) -specs /usr/lib/$(CROSS:%-gnu=%-musl)/musl-gcc.specs,musl-gcc)
CNI_SRC := $(call srcs,cni) $(call srcs,lib/pod) $(addprefix lib/base/,attr.c bytes.c err.c ip.c json.c json_write.c text.c)
ifeq ($(SAN),)
CNI_OBJ := $(CNI_SRC:%.c=$(B)/musl/%.o)
# musl has no kernel headers: those of the system come behind its own
CNI_HEADERS := -idirafter /usr/include -idirafter /usr/include/$(or $(CROSS),$(shell gcc -print-multiarch 2>/dev/null))
CNI_C = $(filter-out -fPIE,$(STD)) -fno-pie -Os -g -fstack-protector-strong -fno-asynchronous-unwind-tables $(WARN) \
	$(CNI_HEADERS) $(CPPFLAGS) $(CFLAGS)

$(B)/musl/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CNI_CC) $(CNI_C) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<
$(B)/bin/tailpod-cni: $(CNI_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CNI_CC) $(CNI_C) -static -no-pie -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,--dependency-file=$@.inputs -o $@ $(CNI_OBJ)
else
$(B)/bin/tailpod-cni: $(CNI_SRC:%.c=$(B)/%.o)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLC) -pie $(ALLLD) -o $@ $^
endif
