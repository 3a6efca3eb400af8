/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The keys that are timed: known by their numbers, so that no table is looked into to find one. */
#ifndef SLUICE_CORE_KEYS_H
#define SLUICE_CORE_KEYS_H

#include "token.h"

/* The finisher of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014). */
core_inline __u64 core_key_word(__u64 number)
{
	number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9ULL;
	number = (number ^ number >> 27) * 0x94d049bb133111ebULL;
	return number ^ number >> 31;
}

core_inline struct key_digest core_key_digest(__u32 number)
{
	return (struct key_digest){ .words = { core_key_word(2ULL * number + 1),
					       core_key_word(2ULL * number + 2) } };
}

#endif
