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
FCGI_SRC := $(filter-out %/main.c,$(wildcard fcgi/*/*.c))
CATALOG_SRC := fcgi/catalog/main.c
ORDER_SRC := fcgi/order/main.c
CLIENT_SRC := $(wildcard client/pygmy/*.c)
LOAD_SRC := $(wildcard client/load/*.c)
NGINX_SRC := $(wildcard nginx/*.c)
# nginx's module, which is also the library that its Lua calls; and what it shares with the workers.
NGINX_MODULE_SRC := $(wildcard nginx/module/*.c)
NGINX_DB_SRC := db/slot.c db/changes.c db/query_string.c db/node_list.c db/node_name.c
NGINX_HEADERS := .build/nginx
UNIT_SRC := $(wildcard tests/unit/test_*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
LIBDB := $(B)/lib/libdb.a
LIBFCGI := $(B)/lib/libworker.a
LIBCLIENT := $(B)/lib/libclient.a
LIBLOAD := $(B)/lib/libload.a
COHERENCE := $(B)/lib/libpygmy_coherence.so
UNIT_BIN := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT_SRC))
LIBTOOLS := $(B)/lib/libtools.a
# What the unit tests that model the protocol of the cache are made of.
LIBMODEL := $(B)/lib/libmodel.a
TOOL_BIN := $(patsubst tests/tools/%.c,$(B)/tools/%,$(wildcard tests/tools/*.c))
SIMULATION := $(B)/simulation/simulation
FUZZ_BIN := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(FUZZ_SRC))

# ---- what a user calls ---------------------------------------------------------------------------
# Everything below is relative to the clone, whose path may hold spaces. Recipes with a + build in parallel by themselves.
JOBS = -j$(shell nproc)

.PHONY: run stop restart status logs restore reset bench bench-cluster loadtest faulttest coherence test test-deploy unit system sanitized fuzz simulation lint test-fresh clean deps deb install
run: ## install what is missing, build, start the store and show it working
	@client/deps.sh run
	+@$(MAKE) --no-print-directory $(JOBS) SAN= all
	@client/store.sh start
	@client/demo.sh

stop: ## stop the store; its data stays
	@client/store.sh stop

restart: ## build, then stop and start the store
	+@$(MAKE) --no-print-directory $(JOBS) SAN= all
	@client/store.sh restart

status: ## show what runs, since when, with how much memory
	@client/store.sh status || [ $$? -eq 3 ] # 3: down, which is a state, not a failure

logs: ## show the end of every log (make logs FOLLOW=1 goes on)
	@client/store.sh logs $(if $(FOLLOW),-f)

restore: ## put a backup in the place of the store's data (make restore BACKUP=FILE)
	@client/store.sh restore '$(subst ','\'',$(BACKUP))'

reset: ## stop the store and delete its data
	@client/store.sh reset

cluster: ## the same as a cluster of NODES=3 replicas (up to 9) with etcd and FRONTENDS=1 (up to 8)
	@client/deps.sh cluster
	+@$(MAKE) --no-print-directory $(JOBS) SAN= all
	@client/cluster.sh start $(if $(NODES),--nodes '$(NODES)') $(if $(FRONTENDS),--frontends '$(FRONTENDS)')
	@client/cluster/demo.sh

cluster-stop: ## stop the cluster; its data stays
	@client/cluster.sh stop

cluster-status: ## show what runs of the cluster, and its replicas
	@client/cluster.sh status || [ $$? -eq 3 ]

cluster-restore: ## put a backup in the place of the cluster's data (make cluster-restore BACKUP=FILE)
	@client/cluster.sh restore '$(subst ','\'',$(BACKUP))'

cluster-reset: ## stop the cluster and delete its data
	@client/cluster.sh reset

cluster-add cluster-remove: ## one replica more or less: NODE=D
	@client/cluster.sh $(@:cluster-%=%) '$(NODE)'

faulttest: ## hurt the running cluster under traffic and compare the replicas (client/faulttest.sh --help)
	@client/deps.sh run cluster
	+@$(MAKE) --no-print-directory $(JOBS) SAN= $(B)/tools/traffic $(B)/tools/compare
	@client/faulttest.sh

coherence: ## look for a stale read in a throwaway cluster with lost pushes, slow fills and faults (ARGS='--help' tells the options)
	@client/deps.sh run cluster
	+@$(MAKE) --no-print-directory $(JOBS) SAN= all $(B)/tools/coherence_check $(B)/tools/peer_proxy
	@client/coherencetest.sh --own $(ARGS)

test: ## install what is missing, build and run every test
	@client/deps.sh test
	@tests/run.sh

unit system sanitized lint: ## run this part of the tests (SAN=address|thread, PATTERN=name)
	@client/deps.sh test
	@SAN='$(SAN)' tests/run.sh $@

simulation: ## run SIM_SCHEDULES=3000 simulated clusters; SIM_SEED=n shows one of them
	@client/deps.sh test
	@tests/run.sh simulation

fuzz: ## run every fuzz target for FUZZ_SECONDS=3 seconds
	@client/deps.sh test
	@tests/run.sh fuzz

test-fresh: ## try make run and make test on a fresh Debian in a chroot (root, network, minutes)
	@tests/fresh_machine.sh

bench: ## measure the store, and what more frontends cost and bring; prints tables, writes CSV and plots
	@client/deps.sh bench cluster
	+@$(MAKE) --no-print-directory $(JOBS) SAN= all tools
	@tests/bench/bench.sh
	@tests/bench/frontends_bench.sh

bench-cluster: ## measure a cluster of three nodes, beside PostgreSQL with two synchronous standbys
	@client/deps.sh bench-cluster
	+@$(MAKE) --no-print-directory $(JOBS) SAN= all tools
	@tests/bench/cluster_bench.sh

loadtest: ## load a throwaway store, show how it holds up (ARGS='--help' tells the options; ARGS='--report' answers three questions)
	@client/deps.sh bench
	+@$(MAKE) --no-print-directory $(JOBS) SAN= all
	@client/loadtest.sh $(if $(findstring --url,$(ARGS)),,--own) $(ARGS)

deb: ## build the Debian package of this distribution, .build/deb/pygmy_*.deb (DEB_VERSION=1.2.3-1: another version)
	@client/deps.sh deb
	@ansible/package/build.sh $(if $(DEB_VERSION),'$(DEB_VERSION)')

install: ## put what the package holds below DESTDIR=, after make all
	@ansible/package/install.sh '$(subst ','\'',$(DESTDIR))'

deps: ## install the packages that run and test need
	@client/deps.sh run test

clean: ## delete what was built (a running store goes on)
	@if [ -e .build/deploy/run ]; then tests/deploy/hosts.sh down; fi
	rm -rf .build

test-deploy: ## deploy to hosts of its own on this machine, for real (needs root; tests/deploy/run.sh --help)
	@client/deps.sh test deploy
	+@$(MAKE) --no-print-directory $(JOBS) SAN= all $(B)/tools/traffic $(B)/tools/compare
	@tests/deploy/run.sh

# ---- how it is built -----------------------------------------------------------------------------
# One short line per file; V=1 shows whole commands.
V ?=
ifeq ($(V),)
Q := @
say = @printf '  %-4s %s\n' '$(1)' '$@'
else
Q :=
say = @:
endif

.PHONY: all
# nginx loads no sanitized library.
all: $(B)/bin/catalog $(B)/bin/order $(B)/bin/pygmy $(B)/bin/pygmy-load $(if $(SAN),,$(COHERENCE)) ## build everything that runs

# Says in plain words why a build cannot work.
.PHONY: preflight
preflight:
	@for tool in $(CC) pkg-config; do command -v $$tool >/dev/null || \
		{ echo "$$tool is missing; client/deps.sh installs what the build needs" >&2; exit 1; }; done
	@pkg-config --exists $(PACKAGES) || \
		{ echo "libraries are missing; client/deps.sh installs what the build needs" >&2; exit 1; }
	@foreign=$$(find .build -path .build/deploy -prune -o ! -writable -print -quit 2>/dev/null || :); if [ -n "$$foreign" ]; then \
		echo "$$foreign belongs to $$(stat -c %U "$$foreign"), so this tree was built by another user (sudo?);" \
			"delete it with: sudo rm -rf .build" >&2; exit 1; fi

$(B)/obj/%.o: %.c Makefile | preflight
	$(call say,CC)
	@mkdir -p "$(@D)"
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(LIBDB): $(call obj,$(DB_SRC))
$(LIBFCGI): $(call obj,$(FCGI_SRC))
$(LIBMODEL): $(call obj,$(wildcard tests/unit/model/*.c))
$(LIBTOOLS): $(call obj,$(wildcard tests/tools/*/*.c))
$(LIBCLIENT): $(call obj,$(filter-out client/pygmy/main.c,$(CLIENT_SRC)))
$(LIBLOAD): $(call obj,$(filter-out client/load/main.c,$(LOAD_SRC)))
$(B)/lib/%.a:
	@mkdir -p "$(@D)"
	$(call say,AR)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/bin/catalog: $(call obj,$(CATALOG_SRC)) $(LIBFCGI) $(LIBDB)
$(B)/bin/order: $(call obj,$(ORDER_SRC)) $(LIBFCGI) $(LIBDB)
$(B)/bin/catalog $(B)/bin/order:
	$(call say,LINK)
	@mkdir -p "$(@D)"
	$(Q)$(CC) -pthread $(LDFLAGS_$(SAN)) -o $@ $^ -lfcgi $(LIBS)

$(B)/bin/pygmy: $(call obj,$(CLIENT_SRC)) $(LIBDB)
	$(call say,LINK)
	@mkdir -p "$(@D)"
	$(Q)$(CC) -pthread $(LDFLAGS_$(SAN)) -o $@ $^ $(LIBS)

$(B)/bin/pygmy-load: $(call obj,client/load/main.c) $(LIBLOAD)
	$(call say,LINK)
	@mkdir -p "$(@D)"
	$(Q)$(CC) -pthread $(LDFLAGS_$(SAN)) -o $@ $^ $(LIBS)

$(NGINX_HEADERS)/ngx_auto_config.h: nginx/headers.sh | preflight
	$(call say,GET)
	$(Q)nginx/headers.sh $(NGINX_HEADERS)

.PHONY: nginx-headers
nginx-headers: $(NGINX_HEADERS)/ngx_auto_config.h

$(call obj,$(NGINX_MODULE_SRC)): $(NGINX_HEADERS)/ngx_auto_config.h
$(call obj,$(NGINX_MODULE_SRC)): ALL_CFLAGS += $(addprefix -isystem $(NGINX_HEADERS)/,. src/core src/event src/event/modules src/os/unix src/http src/http/modules)

$(COHERENCE): $(call obj,$(NGINX_MODULE_SRC) $(NGINX_SRC) $(NGINX_DB_SRC))
	$(call say,LINK)
	@mkdir -p "$(@D)"
	$(Q)$(CC) -shared -pthread $(filter-out -pie,$(LDFLAGS_$(SAN))) -o $@ $^

$(B)/unit/%: $(B)/obj/tests/unit/%.o $(LIBMODEL) $(LIBFCGI) $(LIBCLIENT) $(LIBLOAD) $(call obj,$(NGINX_SRC)) $(LIBDB)
	$(call say,LINK)
	@mkdir -p "$(@D)"
	$(Q)$(CC) -pthread $(LDFLAGS_$(SAN)) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcmocka -lfcgi $(LIBS)

$(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $(LIBFCGI) $(call obj,$(NGINX_SRC)) $(LIBDB)
	$(call say,LINK)
	@mkdir -p "$(@D)"
	$(Q)$(CC) -pthread -fsanitize=fuzzer $(LDFLAGS_$(SAN)) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lfcgi $(LIBS)

# Load generators and checkers of the system tests.
$(B)/tools/%: $(B)/obj/tests/tools/%.o $(LIBTOOLS)
	$(call say,LINK)
	@mkdir -p "$(@D)"
	$(Q)$(CC) -pthread $(LDFLAGS_$(SAN)) -o $@ $^ $(LIBS)

# Libraries that system tests preload into processes.
$(B)/preload/%.so: $(B)/obj/tests/preload/%.o
	$(call say,LINK)
	@mkdir -p "$(@D)"
	$(Q)$(CC) -shared $(filter-out -pie,$(LDFLAGS_$(SAN))) -o $@ $^

.PHONY: tools
tools: $(TOOL_BIN) $(patsubst tests/preload/%.c,$(B)/preload/%.so,$(wildcard tests/preload/*.c))

$(SIMULATION): $(call obj,$(wildcard tests/simulation/*.c)) $(LIBDB)
	$(call say,LINK)
	@mkdir -p "$(@D)"
	$(Q)$(CC) -pthread $(LDFLAGS_$(SAN)) -o $@ $^ $(LIBS)

.PHONY: simulation-build
simulation-build: $(SIMULATION)

.PHONY: unit-build fuzz-build
unit-build: $(UNIT_BIN)
fuzz-build: $(FUZZ_BIN)
# The unit tests that start threads; they run under ThreadSanitizer too.
.PHONY: threads-build
threads-build: $(filter %_threads,$(UNIT_BIN))

-include $(wildcard $(B)/obj/*/*.d $(B)/obj/*/*/*.d $(B)/obj/*/*/*/*.d)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z][a-zA-Z_ -]*:.*##' Makefile | sed -E 's/^([a-zA-Z_ -]+):.*## /\1\t/' | expand -t 30
