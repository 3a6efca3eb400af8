/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The bench of the probes, for tests: the gate's programs and tables of one connection, without a daemon. */
#ifndef BENCH_STAGE_H
#define BENCH_STAGE_H

#include <sodium.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "harness.h"
#include "probe.h"
#include "probe_bench.h"

static inline int bench_ignore(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

/* To be closed by bench_close(). */
static inline struct bench *open_bench(void)
{
	struct bench *bench;
	char why[512] = "";

	assert_true(sodium_init() >= 0);
	libbpf_set_print(bench_ignore);
	if (bench_open(&bench, why, sizeof(why)))
		fail_msg("%s", why);
	return bench;
}

static inline const struct kernel_probe *find_probe(const char *name)
{
	for (size_t i = 0; i < kernel_probe_count; i++)
		if (!strcmp(kernel_probes[i].name, name))
			return &kernel_probes[i];
	fail_msg("there is no probe %s", name);
	return NULL;
}

#endif
