/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The shim under the decision core: what differs between the kernel and user space.
 *
 * The core (text.h, swift.h, http_swift.h, token.h, blake2b.h, limit.h, decide.h, response_swift.h and
 * chunk.h, with what they include) is compiled into the BPF programs and into the daemon and its tests
 * alike. It is pure: bytes and records in, verdict out. This is the only file that asks which target it
 * is compiled for.
 */
#ifndef SLUICE_CORE_H
#define SLUICE_CORE_H

#include <stdbool.h>
#include <linux/types.h>

#ifdef __bpf__

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/*
 * A part that is verified once and on its own, whatever loops it is called in, for all values of its
 * arguments: pointers may be NULL. Weak, as each program file has a copy.
 */
#define core_global __attribute__((noinline, weak))

/*
 * Call step(index, context) up to `times` times, until it returns 1. The verifier looks at step
 * once, however often it runs. Returns how often it ran.
 */
#define core_loop(times, step, context) bpf_loop(times, step, context, 0)

/* What is before it happens before what is after it: an atomic that returns a value is a full fence. */
#define core_barrier()                                                                             \
	do {                                                                                       \
		__u64 core_fence = 0;                                                              \
		__sync_fetch_and_add(&core_fence, 1);                                              \
		asm volatile("" : : "r"(&core_fence) : "memory");                                  \
	} while (0)

#else

static inline long core_loop(__u32 times, long (*step)(__u32 index, void *context), void *context)
{
	__u32 i;

	for (i = 0; i < times; i++) {
		if (step(i, context))
			return i + 1;
	}
	return times;
}

#define core_barrier() __atomic_thread_fence(__ATOMIC_SEQ_CST)

#define core_global static __attribute__((noinline, unused))

#endif

/*
 * The eight or four bytes at a place, the first of them lowest, as all machines have it that this runs on;
 * and the other way round. BPF's compiler would copy byte by byte, as it knows of no alignment.
 */
#ifdef __bpf__
#define core_word(bytes)      (*(const __u64 *)(bytes))
#define core_half_word(bytes) (*(const __u32 *)(bytes))
#else
static inline __u64 core_word(const __u8 *bytes)
{
	__u64 word;

	__builtin_memcpy(&word, bytes, sizeof(word));
	return word;
}

static inline __u32 core_half_word(const __u8 *bytes)
{
	__u32 word;

	__builtin_memcpy(&word, bytes, sizeof(word));
	return word;
}
#endif
#define core_swap_bytes(word) __builtin_bswap64(word)

/* A part of the core that is small, or hot, and is copied into its caller. */
#define core_inline static inline __attribute__((always_inline, unused))

/* A part that the verifier walks through as a function of its own, with its own stack frame. */
#define core_function static __attribute__((noinline, unused))

/*
 * value, below `size` (a power of 2) as the caller has checked, in a form in which the verifier sees
 * it too: the compiler would leave out a mask that it knows to change nothing.
 */
core_inline __u32 core_index(__u32 value, __u32 size)
{
	asm volatile("" : "+r"(value));
	return value & (size - 1);
}

/* The value at a place that another processor may be changing. */
#define core_load(place)	 (*(const volatile __typeof__(place) *)&(place))
#define core_store(place, value) (*(volatile __typeof__(place) *)&(place) = (value))

/* Full fences, on both targets. core_swap returns true where `place` held `from`. */
#define core_swap(place, from, to)  (__sync_val_compare_and_swap(place, from, to) == (from))
#define core_add(place, value)	    ((void)__sync_fetch_and_add(place, value))
#define core_exchange(place, value) ((void)__sync_lock_test_and_set(&(place), value))

#endif
