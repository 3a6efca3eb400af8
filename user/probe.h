/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Probes: before a gate is put in force, the daemon proves that the running kernel does what the gate
 * needs, on connections of its own (probe_bench.h), with the very programs. Kernels differ in this
 * without saying so: a version number proves nothing, nor does it that the programs load.
 */
#ifndef SLUICE_PROBE_H
#define SLUICE_PROBE_H

#include <stdbool.h>
#include <stddef.h>

struct bench;

/* check returns NULL, or what is wrong: the rest of a sentence behind the name. */
struct kernel_probe {
	const char *name;
	const char *(*check)(struct bench *bench);
};

/* All of them, in the order in which they are made: each relies on those before it. */
extern const struct kernel_probe kernel_probes[];
extern const size_t kernel_probe_count;

/* Those with files of their own. */
const char *probe_whole_answers(struct bench *bench);
const char *probe_sink(struct bench *bench);
const char *probe_injection(struct bench *bench);
/* Of "silence", to be made again where the kernel was not done with an answer. */
const char *probe_sleeps_on(struct bench *bench);

/*
 * Make all probes on a bench of their own.
 *
 * ret_ms	milliseconds that took, to load the programs included
 * why	on failure, what the kernel does not do, by the probe's name
 *
 * Returns 0, -ENOTSUP where a probe failed, or another negative errno where none could be made.
 */
int probe_kernel(unsigned int *ret_ms, char *why, size_t why_size);

/*
 * Passed probes are noted in the state folder, and hold until the machine is booted again, or another
 * build of the daemon runs: a daemon that starts once more need not make them. A note that cannot be
 * written is none.
 */
bool probe_is_noted(const char *state_folder);
void probe_note(const char *state_folder);

#endif
