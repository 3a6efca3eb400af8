/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a struct kernel is: for kernel.c, which makes it, and kernel_tables.c, which reads it. */
#ifndef SLUICE_KERNEL_HANDLE_H
#define SLUICE_KERNEL_HANDLE_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel.h"
#include "sluice.skel.h"

struct kernel {
	struct sluice_bpf *programs;
	char *pin_folder;
	char *cgroup;
	int folder_fd; /* holds the lock */
	int cgroup_fd;
	struct bpf_link *enrol;
	struct bpf_link *guard;
	struct key_usage *usage;
	uint32_t slots;
	uint32_t max_connections;
	int processors;
	uint64_t netns_cookie;
	bool taken_over;
};

#endif
