# Makefile - the only entry point: build, check, test, bench, install. `make help` lists the targets.
#
# No recursion. Everything made goes under build/<compiler>-<sanitizers>/; build/bin/ links to the release programs.
# Users own CC CFLAGS CPPFLAGS LDFLAGS PREFIX DESTDIR; SAN=address,undefined picks a sanitizer preset; V=1 shows commands.

.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash

PREFIX ?= /usr/local
CC = gcc
SAN ?=
V ?=
Q := $(if $(V),,@)
JOBS ?= $(shell nproc)

all: programs ## every program, into build/bin/

include mk/toolchain.mk
include mk/modules.mk
include mk/build.mk
include mk/checks.mk
include mk/tests.mk
include mk/install.mk
-include $(wildcard mk/local/*.mk)

help: ## this list
	@awk -F':.*## ' '/^[a-zA-Z0-9_.%-]+:.*## /{printf "  %-18s %s\n",$$1,$$2}' $(MAKEFILE_LIST)

clean: ## remove everything that was made
	rm -rf build

FORCE:
.PHONY: all help clean FORCE
