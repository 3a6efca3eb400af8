/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether anything is left in the kernel of a gate that was taken down. */
#ifndef SLUICE_TESTS_NET_BPF_LEFT_H
#define SLUICE_TESTS_NET_BPF_LEFT_H

#include <stddef.h>
#include <stdint.h>

#define BPF_LEFT_MAX 64

/* The numbers of all that belongs to the gate that stands now, whoever holds it. */
struct bpf_objects {
	uint32_t maps[BPF_LEFT_MAX], programs[BPF_LEFT_MAX], links[BPF_LEFT_MAX];
	size_t map_count, program_count, link_count;
};

/*
 * Find them: the maps that are pinned, each program of this machine that uses one of them, the other
 * maps of these programs, and each link that runs one.
 */
void bpf_objects_find(struct bpf_objects *ret_objects);

/*
 * Wait until none of them exists any more, nor anything that uses one. Fails the test, and names what
 * is left, where that does not come.
 */
void expect_no_bpf_objects(const struct bpf_objects *objects);

#endif
