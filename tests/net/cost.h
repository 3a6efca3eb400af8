/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the gate costs: time and memory of its processes, memory of the kernel. */
#ifndef SLUICE_TESTS_NET_COST_H
#define SLUICE_TESTS_NET_COST_H

#include <stddef.h>
#include <stdint.h>

struct cost {
	uint64_t cpu_ms;   /* of daemon and relay, so far */
	uint64_t rss_kib;  /* of daemon and relay */
	uint64_t slab_kib; /* that the kernel cannot reclaim, of all of the machine */
	size_t files;	   /* that daemon and relay have open */
};

/* As it is now; both must run. Fails the running test otherwise. */
struct cost cost_of_gate(void);

#endif
