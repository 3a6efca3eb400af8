/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A program that is killed in the midst of what it does, to the system call. */
#ifndef SLUICE_TESTS_NET_CUT_SHORT_H
#define SLUICE_TESTS_NET_CUT_SHORT_H

#include <stdbool.h>
#include <stdint.h>

/* Whether a system call, by its number and arguments, is of those that are counted. */
typedef bool counts_call(uint64_t number, const uint64_t arguments[6]);

/* bpf(BPF_OBJ_PIN); unlinkat() in a folder that is open. */
bool is_pinning(uint64_t number, const uint64_t arguments[6]);
bool is_unlinking(uint64_t number, const uint64_t arguments[6]);

/*
 * Start argv[0] as process_start() does, and kill it as it returns from the nth such call that succeeds.
 * Returns false where it ended by itself before, with exit status 0; any other end fails the test.
 */
bool cut_short(const char *log, char *const argv[], counts_call *counts, unsigned int nth);

#endif
