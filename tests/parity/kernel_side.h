/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The core in the kernel, as the files of the parity test run it. */
#ifndef SLUICE_KERNEL_SIDE_H
#define SLUICE_KERNEL_SIDE_H

#include "../unit/check.h"
#include "decide.h"
#include "parity.h"
#include "test/parity.skel.h"

#define SEED	   0x5109ce
#define PACKET_MIN 14	/* bytes a packet must have to be run */
#define PACKET_MAX 3000 /* and may have: less than a page */

extern struct parity_bpf *kernel;
extern struct parity_bpf__bss *inside; /* the programs' variables */

/* Run a program on a packet; returns what it returned. */
int run_on(struct bpf_program *program, const void *packet, size_t size);

/* The same where the packet does not matter. */
int run(struct bpf_program *program);

#define PARSER_TESTS 14
extern const struct CMUnitTest parser_tests[PARSER_TESTS];

#endif
