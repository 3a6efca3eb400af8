// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The injector's program on a kernel whose worker is slow: something of the connection is with it when the
 * relay first asks. Once.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "core.h"
#include "handoff.bpf.h"
#include "judge.bpf.h"

bool was_busy;

static bool is_busy(void)
{
	bool busy = !was_busy;

	was_busy = true;
	return busy;
}

#define is_underway(tcp) ((void)(tcp), is_busy())

#include "inject.bpf.c"
