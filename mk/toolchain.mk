# mk/toolchain.mk - compiler, warnings, presets

comma := ,
CC_NAME := $(notdir $(firstword $(CC)))
B := build/$(CC_NAME)$(if $(SAN),-$(subst $(comma),-,$(SAN)))

# another machine's compiler, as Debian names it (CC=aarch64-linux-gnu-gcc), brings that machine's libraries and tools
CROSS := $(patsubst %-gcc,%,$(filter %-linux-gnu-gcc,$(CC_NAME)))
AR := $(if $(CROSS),$(CROSS)-)ar
PKG_CONFIG := $(if $(CROSS),PKG_CONFIG_LIBDIR=/usr/lib/$(CROSS)/pkgconfig:/usr/share/pkgconfig )pkg-config

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wcast-qual \
	-Wpointer-arith -Wundef -Wno-missing-field-initializers
WARN_CONV := -Wconversion -Wno-sign-conversion
ifdef CI
WARN += -Werror
endif

ifeq ($(SAN),)
OPT := -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
else
OPT := -Og -g1 -fno-omit-frame-pointer -fsanitize=$(SAN) -fno-sanitize-recover=all
SANLD := -fsanitize=$(SAN)
endif

# -ffunction-sections with --gc-sections: a program carries only what it calls
STD := -std=gnu17 -D_GNU_SOURCE -Ilib -I. -fPIE -ffunction-sections -fdata-sections
ALLC = $(STD) $(OPT) $(WARN) $(CPPFLAGS) $(CFLAGS)
ALLLD = $(SANLD) -Wl,--gc-sections -Wl,-z,relro,-z,now $(LDFLAGS)

# relocations of static programs as a bitmap: 0.5 MB less file and memory (binutils has it for x86; glibc 2.36 applies it)
PACKLD := $(if $(filter x86_64-%,$(shell $(CC) -dumpmachine 2> /dev/null)),-Wl$(comma)-z$(comma)pack-relative-relocs)

# clang for fuzzing, where it is there
CLANG ?= clang

# glibc warns of every function that could load a name service; static programs resolve by c-ares and call none of them
QUIETLD = 2> >(grep -v -e 'in statically linked applications requires at runtime' -e ': in function `' >&2)
