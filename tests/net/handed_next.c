// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "handed_next.h"

#include <bpf/bpf.h>

#include "../../bpf/conn.bpf.h"
#include "util.h"

bool hand_up_next(int conns, int patience_ms)
{
	uint64_t end_ms = monotonic_ms() + patience_ms;
	struct conn conn;
	__u64 cookie;

	while (monotonic_ms() < end_ms) {
		if (bpf_map_get_next_key(conns, NULL, &cookie) ||
		    bpf_map_lookup_elem(conns, &cookie, &conn) || !conn.turns || conn.answering)
			continue;
		conn.handed = HANDED_UP;
		if (!bpf_map_update_elem(conns, &cookie, &conn, BPF_EXIST))
			return true;
	}
	return false;
}
