# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Everything that is built goes into build/. V=1 shows the commands.

VERSION := 0.1.0

PREFIX	   ?= /usr/local
BINDIR	   ?= $(PREFIX)/bin
SBINDIR	   ?= $(PREFIX)/sbin
MANDIR	   ?= $(PREFIX)/share/man
BASHDIR	   ?= $(PREFIX)/share/bash-completion/completions
UNITDIR	   ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
DESTDIR	   ?=

CC	   ?= cc
CLANG	   ?= clang
BPFTOOL	   ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PKG_CONFIG ?= pkg-config

LIBRARIES := libbpf libsodium sqlite3 libmicrohttpd jansson inih
WARNINGS  := -Wall -Wextra -Werror -Wno-unused-parameter -Wshadow -Wstrict-prototypes -Wmissing-prototypes
# CPPFLAGS, CFLAGS and LDFLAGS are the user's, on the command line too; what must be is in OUR_*.
CFLAGS	  ?= -O2 -g
OUR_CPPFLAGS := -D_GNU_SOURCE -DSLUICE_VERSION='"$(VERSION)"' -Ibuild -Ibpf -Iuser
OUR_CFLAGS := -std=gnu11 $(WARNINGS) -fstack-protector-strong
# Bound at the start: the resolver of a call's first use would leave on the stack what the vector registers
# hold, such as a part of a key that was just copied.
OUR_LDFLAGS := -Wl,-z,relro,-z,now
LDLIBS	   = $(shell $(PKG_CONFIG) --libs $(LIBRARIES)) -lelf -lz -lpthread
SANITIZE  := -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all

# The multiarch folder holds asm/types.h, which linux/types.h needs.
BPF_CFLAGS = -g -O2 -target bpf -mcpu=v3 $(filter-out -Wmissing-prototypes,$(WARNINGS)) -Ibpf \
	     -I/usr/include/$(shell $(CC) -print-multiarch)

ifeq ($(V),1)
  Q :=
  say = @:
else
  Q := @
  say = @printf '  %-8s %s\n'
endif

BPF_SOURCES := $(wildcard bpf/*.bpf.c)
BPF_HEADERS := $(wildcard bpf/*.h)
USER_HEADERS := $(wildcard user/*.h)
# The library: all of user/ that is neither the daemon's main nor the command line's.
CLI_SOURCES := user/sluice.c $(wildcard user/cmd_*.c)
LIB_SOURCES := $(filter-out user/sluiced.c $(CLI_SOURCES),$(wildcard user/*.c))

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

all: build/sluiced build/sluice ## build the daemon and the command line tool (default)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

# --- kernel side -------------------------------------------------------------------------------

build/bpf/%.o: %.bpf.c $(BPF_HEADERS) Makefile
	$(say) BPF $@
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

build/sluice.bpf.o: $(BPF_SOURCES:%.bpf.c=build/bpf/%.o)
	$(say) LINK $@
	$(Q)$(BPFTOOL) gen object $@ $^

build/sluice.skel.h: build/sluice.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name sluice_bpf > $@

# --- user side: build/ for use, build/test/ with the sanitizers -----------------------------------

build/obj/%.o: %.c $(USER_HEADERS) $(BPF_HEADERS) Makefile | build/sluice.skel.h
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(OUR_CPPFLAGS) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) -c $< -o $@

build/test/obj/%.o: %.c $(USER_HEADERS) $(BPF_HEADERS) $(wildcard tests/*/*.h) Makefile | build/sluice.skel.h
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(OUR_CPPFLAGS) -Itests $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) -O1 $(SANITIZE) -c $< -o $@

# Those that have the programs in them, or may know of them by the skeleton.
SKEL_USERS := $(patsubst %.c,%.o,$(wildcard user/kernel*.c user/probe*.c))
$(foreach folder,build build/test build/fuzz,$(SKEL_USERS:%=$(folder)/obj/%)): build/sluice.skel.h

build/sluiced: $(patsubst %.c,build/obj/%.o,user/sluiced.c $(LIB_SOURCES))
build/sluice: $(patsubst %.c,build/obj/%.o,$(CLI_SOURCES) $(LIB_SOURCES))
build/sluiced build/sluice:
	$(say) LINK $@
	$(Q)$(CC) $(OUR_CFLAGS) $(CFLAGS) $(OUR_LDFLAGS) $(LDFLAGS) -Wl,--as-needed $^ $(LDLIBS) -o $@

build/test/sluiced: $(patsubst %.c,build/test/obj/%.o,user/sluiced.c $(LIB_SOURCES))
build/test/sluice: $(patsubst %.c,build/test/obj/%.o,$(CLI_SOURCES) $(LIB_SOURCES))
build/test/sluiced build/test/sluice:
	$(say) LINK $@
	$(Q)$(CC) $(OUR_CFLAGS) $(CFLAGS) $(SANITIZE) -Wl,--as-needed $^ $(LDLIBS) -o $@

# --- the example application of `make run` -----------------------------------------------------------

build/example-api: scripts/example-api.c Makefile
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) $(LDFLAGS) $< -lpthread -o $@

# --- tests: every program prints TAP, tests/run counts it ----------------------------------------

# An archive, so that a unit test may bring its own kernel_*() in the place of user/kernel.c.
TEST_LIB := build/test/libsluice.a
$(TEST_LIB): $(LIB_SOURCES:%.c=build/test/obj/%.o)
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^

UNIT_TESTS := $(patsubst %.c,build/test/%,$(wildcard tests/unit/test_*.c))
NET_TESTS := $(patsubst %.c,build/test/%,$(wildcard tests/net/test_*.c))
NET_TOOLS := $(patsubst %.c,build/test/%,$(wildcard tests/net/app_*.c))
NET_SHARED := $(patsubst %.c,build/test/obj/%.o,$(filter-out $(wildcard tests/net/test_*.c tests/net/app_*.c tests/net/*.bpf.c),$(wildcard tests/net/*.c)))
FUZZ_GATE := $(patsubst %.c,build/test/obj/%.o,$(wildcard tests/fuzz_gate/*.c))
CLI_TESTS := $(patsubst %.c,build/test/%,$(wildcard tests/cli/test_*.c))
CLI_SHARED := $(patsubst %.c,build/test/obj/%.o,$(filter-out $(wildcard tests/cli/test_*.c),$(wildcard tests/cli/*.c)))

build/test/tests/unit/test_%: build/test/obj/tests/unit/test_%.o $(TEST_LIB)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(OUR_CFLAGS) $(CFLAGS) $(SANITIZE) -Wl,--as-needed $^ $(LDLIBS) -lcmocka -o $@

build/test/tests/net/test_%: build/test/obj/tests/net/test_%.o $(NET_SHARED) $(TEST_LIB)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(OUR_CFLAGS) $(CFLAGS) $(SANITIZE) -Wl,--as-needed $^ $(LDLIBS) -lcmocka -o $@

build/test/tests/net/test_fuzz_gate: $(FUZZ_GATE)

# Programs that are wrong, for the probes to find.
build/bpf/tests/net/unfit.o: bpf/answer.bpf.c
build/bpf/tests/net/late.o: bpf/gate.bpf.c
build/bpf/tests/net/busy.o: bpf/inject.bpf.c
build/test/%.skel.h: build/bpf/tests/net/%.o
	$(say) SKEL $@
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@
build/test/obj/tests/net/test_probe.o: build/test/unfit.skel.h build/test/late.skel.h build/test/busy.skel.h build/sluice.skel.h
build/test/obj/tests/net/test_shed_packets.o build/test/obj/tests/net/test_reply.o: build/sluice.skel.h
build/test/obj/tests/net/test_agents.o build/test/obj/tests/net/test_overtaken.o: build/test/agent.skel.h

build/test/tests/cli/test_%: build/test/obj/tests/cli/test_%.o $(CLI_SHARED) $(NET_SHARED) $(TEST_LIB)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(OUR_CFLAGS) $(CFLAGS) $(SANITIZE) -Wl,--as-needed $^ $(LDLIBS) -lcmocka -o $@

build/test/tests/net/app_%: build/test/obj/tests/net/app_%.o
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(OUR_CFLAGS) $(CFLAGS) $(SANITIZE) $^ -lpthread -o $@

build/bpf/tests/parity/parity.o: tests/parity/parity.h
build/test/parity.skel.h: build/bpf/tests/parity/parity.o
	$(say) SKEL $@
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name parity_bpf > $@

PARITY_OBJECTS := $(patsubst %.c,build/test/obj/%.o,$(filter-out %.bpf.c,$(wildcard tests/parity/*.c)))
$(PARITY_OBJECTS): build/test/parity.skel.h
build/test/tests/parity/parity: $(PARITY_OBJECTS) $(TEST_LIB)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(OUR_CFLAGS) $(CFLAGS) $(SANITIZE) -Wl,--as-needed $^ $(LDLIBS) -lcmocka -o $@

# --- fuzzers: built by clang; each starts from its own corpus and the rows of the tests' tables ----

FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,build/fuzz/fuzz_%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ	     ?= $(FUZZERS:build/fuzz/fuzz_%=%)
FUZZ_SECONDS ?= 60

build/fuzz/obj/%.o: %.c $(USER_HEADERS) $(BPF_HEADERS) $(wildcard tests/*/*.h) Makefile | build/sluice.skel.h
	$(say) FUZZ-CC $@
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(OUR_CPPFLAGS) -Itests $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) -O1 $(SANITIZE) -fsanitize=fuzzer-no-link -c $< -o $@

FUZZ_LIB := build/fuzz/libsluice.a
$(FUZZ_LIB): $(LIB_SOURCES:%.c=build/fuzz/obj/%.o)
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^

build/fuzz/fuzz_%: build/fuzz/obj/tests/fuzz/fuzz_%.o $(FUZZ_LIB)
	$(say) LINK $@
	$(Q)$(CLANG) $(OUR_CFLAGS) $(CFLAGS) $(SANITIZE) -fsanitize=fuzzer -Wl,--as-needed $^ $(LDLIBS) -o $@

build/fuzz/export: tests/fuzz/export.c $(BPF_HEADERS) $(wildcard tests/parity/*.h) Makefile
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(OUR_CPPFLAGS) -Itests $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) $< -o $@

build/fuzz/rows: build/fuzz/export
	$(say) EXPORT $@
	$(Q)rm -rf $@ && mkdir -p $(FUZZERS:build/fuzz/fuzz_%=$@/%) && build/fuzz/export $@

fuzz: $(FUZZERS) build/fuzz/rows ## fuzz for FUZZ_SECONDS=60 each; FUZZ="head chunk response control" chooses
	$(Q)tests/fuzz/run $(FUZZ_SECONDS) $(FUZZ)

fuzz-gate: ## fuzz the gate for FUZZ_SECONDS=60, as root; FUZZ_OPTIONS="--seed HEX", "--replay FILE"
fuzz-gate: build/test/tests/net/test_fuzz_gate build/test/sluiced $(NET_TOOLS)
	$(Q)build/test/tests/net/test_fuzz_gate --seconds $(FUZZ_SECONDS) $(FUZZ_OPTIONS)

TESTS := $(UNIT_TESTS) build/test/tests/parity/parity $(NET_TESTS) $(CLI_TESTS) $(FUZZERS) build/fuzz/rows

check-build: ## build all, the tests too
check-build: all build/example-api build/bench/pace build/bench/core build/bpf/tests/perf/empty.o build/test/sluiced build/test/sluice $(TESTS) $(NET_TOOLS)

test: ## install what is missing, build and pass the tests (as root)
	$(Q)scripts/setup --test
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) check-build format-check
	$(Q)tests/run

# The applications of tests/apps that are compiled.
build/test/app_go: tests/apps/app.go
	$(say) GO $@
	@mkdir -p $(@D)
	$(Q)GO111MODULE=off GOCACHE=$(CURDIR)/build/go go build -o $@ $<

test-apps: ## install the applications and clients of the README's table, and pass them through the gate (as root)
	$(Q)scripts/setup --apps
	$(Q)$(MAKE) --no-print-directory all build/test/sluiced build/test/app_go
	$(Q)tests/run --apps

# The bench's sender of requests at a fixed rate.
build/bench/pace: tests/perf/pace.c Makefile
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE $(OUR_CFLAGS) $(CFLAGS) $< -o $@

# What a decision takes; built for use, without the sanitizers.
build/bpf/tests/perf/core.o: bpf/shed.bpf.c
build/bench/core.skel.h: build/bpf/tests/perf/core.o
	$(say) SKEL $@
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name core_bpf > $@
build/bpf/tests/perf/core.o: tests/perf/core_keys.h
build/obj/tests/perf/core.o: build/bench/core.skel.h tests/perf/core_keys.h
build/obj/tests/perf/core.o: OUR_CPPFLAGS += -Ibuild/bench
build/bench/core: build/obj/tests/perf/core.o $(LIB_SOURCES:%.c=build/obj/%.o)
	$(say) LINK $@
	$(Q)$(CC) $(OUR_CFLAGS) $(CFLAGS) $(OUR_LDFLAGS) $(LDFLAGS) -Wl,--as-needed $^ $(LDLIBS) -o $@

bench-core: ## measure what a decision takes in the kernel, part by part, and each program under load (as root)
	$(Q)scripts/setup --bench
	$(Q)$(MAKE) --no-print-directory all build/bench/core
	$(Q)build/bench/core
	$(Q)tests/perf/live.py $(BENCH_OPTIONS)

bench-keys: ## measure what 1,000,000 keys cost, some minutes (as root)
	$(Q)scripts/setup --bench
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/perf/keys.py $(BENCH_OPTIONS)

bench: ## measure the gate, the bare application and other gateways, 20 minutes (as root); BENCH_OPTIONS="--rounds 5"
bench-quick: ## measure the gate and the bare application, a minute (as root)
bench bench-quick:
	$(Q)scripts/setup --bench
	$(Q)$(MAKE) --no-print-directory all build/bench/pace build/bpf/tests/perf/empty.o
	$(Q)tests/perf/bench.py $(if $(filter bench-quick,$@),--quick) $(BENCH_OPTIONS)

# Debian's packages of the kernels, and which of the tests.
KERNELS  ?= linux-image-cloud-amd64 linux-image-6.12-cloud-amd64
VM_TESTS ?= net/ parity

vm-programs: all build/test/sluiced build/test/sluice build/test/tests/parity/parity $(NET_TESTS) $(NET_TOOLS)

test-vm: ## boot Debian's 6.1 and 6.12 under qemu and pass the gate's tests in them (as root); KERNELS, VM_TESTS choose
	$(Q)scripts/setup --test
	$(Q)for kernel in $(KERNELS); do tests/vm/run $$kernel $(VM_TESTS) || exit 1; done

SOURCES := $(foreach folder,bpf user scripts tests/*,$(wildcard $(folder)/*.c $(folder)/*.h))

format: ## format the sources
	$(Q)clang-format -i $(SOURCES)

format-check: ## fail where a source is not formatted
	$(Q)clang-format --dry-run -Werror $(SOURCES)

run: ## install what is missing, start the example API behind the gate (PORT=N: gate what listens there; DEMO_PORT=N: elsewhere than 8080)
	$(Q)scripts/setup
	$(Q)$(MAKE) --no-print-directory --quiet all build/example-api
	$(Q)scripts/demo $(PORT)

install: all ## install to PREFIX (default /usr/local)
	install -D -m 755 build/sluiced $(DESTDIR)$(SBINDIR)/sluiced
	install -D -m 755 build/sluice $(DESTDIR)$(BINDIR)/sluice
	install -D -m 644 scripts/sluiced.8 $(DESTDIR)$(MANDIR)/man8/sluiced.8
	install -D -m 644 scripts/sluice.1 $(DESTDIR)$(MANDIR)/man1/sluice.1
	install -D -m 644 scripts/completions/sluice.bash $(DESTDIR)$(BASHDIR)/sluice
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|/usr/local/sbin|$(SBINDIR)|; s|/usr/local/bin|$(BINDIR)|' scripts/sluiced.service >$(DESTDIR)$(UNITDIR)/sluiced.service
	chmod 644 $(DESTDIR)$(UNITDIR)/sluiced.service
	install -D -m 644 scripts/sluice.sysusers $(DESTDIR)$(SYSUSERSDIR)/sluice.conf
	[ -n "$(DESTDIR)" ] || ! command -v systemd-sysusers >/dev/null || \
		systemd-sysusers $(SYSUSERSDIR)/sluice.conf

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(SBINDIR)/sluiced $(DESTDIR)$(BINDIR)/sluice \
		$(DESTDIR)$(MANDIR)/man8/sluiced.8 $(DESTDIR)$(MANDIR)/man1/sluice.1 \
		$(DESTDIR)$(BASHDIR)/sluice $(DESTDIR)$(UNITDIR)/sluiced.service \
		$(DESTDIR)$(SYSUSERSDIR)/sluice.conf

clean: ## remove what was built
	rm -rf build

.PHONY: all help test test-apps bench bench-quick bench-core bench-keys vm-programs test-vm fuzz fuzz-gate check-build format format-check run install uninstall clean
