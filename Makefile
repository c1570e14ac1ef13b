# Pygmy: build, run and test. `make help` lists the targets.
#
# One non-recursive Makefile. Every variant has its own folder below .build/:
#   release (default), asan (address + undefined), tsan (thread), fuzz (clang libFuzzer).
# Select one with SAN=address|thread, e.g. `make SAN=thread all`.

MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
SAN ?=

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Werror
PACKAGES := sqlite3 jansson libsodium libcurl

VARIANT_ := release
CFLAGS_ := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection
LDFLAGS_ := -Wl,-z,relro,-z,now -pie
VARIANT_address := asan
CFLAGS_address := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS_address := -fsanitize=address,undefined
VARIANT_thread := tsan
CFLAGS_thread := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
LDFLAGS_thread := -fsanitize=thread
VARIANT_fuzz := fuzz
CFLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDFLAGS_fuzz := -fsanitize=address,undefined

VARIANT := $(VARIANT_$(SAN))
ifeq ($(VARIANT),)
$(error SAN must be empty, address, thread or fuzz)
endif
ifeq ($(SAN),fuzz)
CC := clang
endif
B := .build/$(VARIANT)

CFLAGS ?=
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -I. $(WARNINGS) -fPIC -pthread $(CFLAGS_$(SAN)) $(shell pkg-config --cflags $(PACKAGES)) $(CFLAGS)
LIBS = $(shell pkg-config --libs $(PACKAGES)) -lm

# ---- sources: a folder is a module -------------------------------------------------------------
DB_SRC := $(wildcard db/*.c)
FCGI_SRC := $(wildcard fcgi/common/*.c)
CATALOG_SRC := $(wildcard fcgi/catalog/*.c)
ORDER_SRC := $(wildcard fcgi/order/*.c)
CLIENT_SRC := $(wildcard client/pygmy/*.c)
NGINX_SRC := $(wildcard nginx/*.c)
# What nginx's library shares with the workers.
NGINX_DB_SRC := db/slot.c db/changes.c db/query_string.c
UNIT_SRC := $(wildcard tests/unit/test_*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
LIBDB := $(B)/lib/libdb.a
LIBFCGI := $(B)/lib/libworker.a
LIBCLIENT := $(B)/lib/libclient.a
COHERENCE := $(B)/lib/libpygmy_coherence.so
UNIT_BIN := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT_SRC))
TOOL_BIN := $(patsubst tests/tools/%.c,$(B)/tools/%,$(wildcard tests/tools/*.c))
FUZZ_BIN := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(FUZZ_SRC))

.PHONY: all
all: $(B)/bin/catalog $(B)/bin/order $(B)/bin/pygmy $(COHERENCE) ## build everything that runs

$(B)/obj/%.o: %.c Makefile
	@mkdir -p "$(@D)"
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(LIBDB): $(call obj,$(DB_SRC))
$(LIBFCGI): $(call obj,$(FCGI_SRC))
$(LIBCLIENT): $(call obj,$(filter-out client/pygmy/main.c,$(CLIENT_SRC)))
$(B)/lib/%.a:
	@mkdir -p "$(@D)"
	@rm -f $@
	ar rcs $@ $^

$(B)/bin/catalog: $(call obj,$(CATALOG_SRC)) $(LIBFCGI) $(LIBDB)
$(B)/bin/order: $(call obj,$(ORDER_SRC)) $(LIBFCGI) $(LIBDB)
$(B)/bin/catalog $(B)/bin/order:
	@mkdir -p "$(@D)"
	$(CC) -pthread $(LDFLAGS_$(SAN)) -o $@ $^ -lfcgi $(LIBS)

$(B)/bin/pygmy: $(call obj,$(CLIENT_SRC)) $(LIBDB)
	@mkdir -p "$(@D)"
	$(CC) -pthread $(LDFLAGS_$(SAN)) -o $@ $^ $(LIBS)

$(COHERENCE): $(call obj,$(NGINX_SRC) $(NGINX_DB_SRC))
	@mkdir -p "$(@D)"
	$(CC) -shared -pthread $(filter-out -pie,$(LDFLAGS_$(SAN))) -o $@ $^

$(B)/unit/%: $(B)/obj/tests/unit/%.o $(LIBFCGI) $(LIBCLIENT) $(call obj,$(NGINX_SRC)) $(LIBDB)
	@mkdir -p "$(@D)"
	$(CC) -pthread $(LDFLAGS_$(SAN)) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcmocka -lfcgi $(LIBS)

$(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $(LIBFCGI) $(call obj,$(NGINX_SRC)) $(LIBDB)
	@mkdir -p "$(@D)"
	$(CC) -pthread -fsanitize=fuzzer $(LDFLAGS_$(SAN)) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lfcgi $(LIBS)

# Load generators and checkers of the system tests.
$(B)/tools/%: $(B)/obj/tests/tools/%.o $(LIBDB)
	@mkdir -p "$(@D)"
	$(CC) -pthread $(LDFLAGS_$(SAN)) -o $@ $^ $(LIBS)

.PHONY: tools
tools: $(TOOL_BIN)

.PHONY: unit-build fuzz-build
unit-build: $(UNIT_BIN)
fuzz-build: $(FUZZ_BIN)

-include $(wildcard $(B)/obj/*/*.d $(B)/obj/*/*/*.d)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z][a-zA-Z_-]*:.*##' Makefile | sed -E 's/^([a-zA-Z_-]+):.*## /\1\t/' | expand -t 18
