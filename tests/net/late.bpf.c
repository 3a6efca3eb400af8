// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The gate's verdict program on a kernel whose worker is slow: when the client has its first answer and sends
 * another request, the worker is not done with that answer. Once.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "core.h"
#include "handoff.bpf.h"
#include "judge.bpf.h"

bool was_late;

static bool is_late(const struct conn *conn)
{
	if (was_late || !conn->turns)
		return false;
	was_late = true;
	return true;
}

#define is_underway(tcp) ((void)(tcp), is_late(judged->conn))

#include "gate.bpf.c"
