/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Copy a number of bytes out of a socket buffer, and into one. Kernel only. */
#ifndef SLUICE_BYTES_BPF_H
#define SLUICE_BYTES_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/*
 * Copy length bytes from, or to, offset at on.
 *
 * max		a constant: so many are at `to`, or `from`
 *
 * Return nonzero where length is 0 or more than that, or the buffer ends before.
 *
 * The compiler leaves out a check that repeats what it knows, and before 6.13 the verifier learns
 * nothing from a comparison with 0: so the last byte's number is checked, and hidden from the former.
 */
static __always_inline long load_bytes(struct __sk_buff *skb, __u32 at, void *to, __u32 length,
				       const __u32 max)
{
	__u32 last = length - 1;

	asm volatile("" : "+r"(last));
	if (last >= max)
		return -1;
	return bpf_skb_load_bytes(skb, at, to, last + 1);
}

static __always_inline long store_bytes(struct __sk_buff *skb, __u32 at, const void *from,
					__u32 length, const __u32 max)
{
	__u32 last = length - 1;

	asm volatile("" : "+r"(last));
	if (last >= max)
		return -1;
	return bpf_skb_store_bytes(skb, at, from, last + 1, 0);
}

#endif
