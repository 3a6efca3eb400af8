/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel side counts, by name: for the control API and for whoever reads its answers. */
#ifndef SLUICE_COUNTERS_H
#define SLUICE_COUNTERS_H

#include "../bpf/abi.h"

#define COUNTER_MEMBER_SIZE 48

struct counter_text {
	const char *name; /* "refused_no_key" */
	const char *help; /* a clause that says what is counted */
};

extern const struct counter_text counter_texts[COUNTER_COUNT];

/* The counter's name as the API's JSON has it: "refusedNoKey". */
void counter_member(enum counter counter, char ret_member[COUNTER_MEMBER_SIZE]);

#endif
