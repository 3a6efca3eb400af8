/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a source is in the table `shed`: in the first slots behind one that is found by multiplication,
 * which is cheaper than a call of the kernel's hash table. At most half of the slots are taken.
 */
#ifndef SLUICE_SHED_SLOT_H
#define SLUICE_SHED_SLOT_H

#include "abi.h"
#include "core.h"

/* A source is at most so many slots, less one, behind its first. */
#define SHED_PROBES 32

/*
 * The first slot of a source.
 *
 * seeds	random, so that nobody can choose sources that meet (Dietzfelbinger 1996: multilinear hashing)
 * bits		the table has two to the power of so many slots, and SHED_PROBES more
 */
core_inline __u32 shed_slot(const struct source *source, const volatile __u64 seeds[4], __u32 bits)
{
	__u64 sum = 0;

	for (int i = 0; i < 4; i++)
		sum += source->words[i] * seeds[i];
	return sum >> (64 - bits);
}

#endif
