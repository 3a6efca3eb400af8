/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Follow a chunked body through a socket buffer, wherever its bytes lie. Kernel only.
 */
#ifndef SLUICE_SCAN_BPF_H
#define SLUICE_SCAN_BPF_H

#include "chunk.h"
#include "bytes.bpf.h"

#define SCAN_WINDOW 32 /* bytes that are copied at once to be looked at */

struct scan_window {
	__u8 bytes[SCAN_WINDOW];
	__u32 size; /* bytes that are looked at */
};

struct scan_state {
	struct __sk_buff *skb;
	struct chunk *chunk;
	__u32 at;
	__u32 length; /* of the buffer */
	enum scan result;
};

/* Pass over data. Returns whether a byte is left that must be looked at. */
static __always_inline bool scan_skip(struct scan_state *state)
{
	struct chunk *chunk = state->chunk;
	__u32 left = state->length - state->at;

	if (chunk->skip > left) {
		chunk->skip -= left;
		state->at = state->length;
		return false;
	}
	if (chunk->skip) {
		state->at += chunk->skip;
		chunk_skipped(chunk);
	}
	return state->at < state->length;
}

/* Data that ends within the window is cheaper counted off than skipped. */
static __always_inline enum chunk_event scan_byte(struct chunk *chunk, __u8 byte)
{
	if (!chunk->skip)
		return chunk_byte(chunk, byte);
	if (--chunk->skip)
		return CHUNK_MORE;
	return chunk_skipped(chunk);
}

/*
 * Take a window's bytes, up to the body's end.
 *
 * ret_taken	how many
 *
 * Returns the event of the last of them, an enum chunk_event.
 */
core_global int scan_window(struct chunk *chunk, const struct scan_window *window, __u32 *ret_taken)
{
	enum chunk_event event = CHUNK_MORE;
	__u32 i;

	if (!chunk || !window || !ret_taken)
		return CHUNK_BAD;
#pragma clang loop unroll(disable)
	for (i = 0; i < SCAN_WINDOW; i++) {
		if (i >= window->size)
			break;
		event = scan_byte(chunk, window->bytes[i]);
		if (event == CHUNK_END || event == CHUNK_BAD) {
			i++;
			break;
		}
	}
	*ret_taken = i;
	return event;
}

/* A callback of bpf_loop(): each round takes one byte at least. */
static long scan_step(__u32 index, void *context)
{
	struct scan_state *state = context;
	struct scan_window window = {};
	enum chunk_event event;
	__u32 taken = 0;

	if (!scan_skip(state))
		return 1;
	window.size = state->length - state->at;
	if (window.size > SCAN_WINDOW)
		window.size = SCAN_WINDOW;
	if (load_bytes(state->skb, state->at, window.bytes, window.size, SCAN_WINDOW)) {
		state->result = SCAN_BAD;
		return 1;
	}
	event = scan_window(state->chunk, &window, &taken);
	state->at += taken;
	switch (event) {
	case CHUNK_END:
		state->result = SCAN_END;
		return 1;
	case CHUNK_BAD:
		state->result = SCAN_BAD;
		return 1;
	default:
		return 0;
	}
}

/*
 * Run the parser over the part of a body that a buffer holds.
 *
 * at		offset in the buffer where it goes on
 * ret_end	offset behind the last byte that was taken; with SCAN_BAD, behind the one that is bad
 *
 * Returns an enum scan.
 */
core_global int scan_chunks(struct __sk_buff *skb, struct chunk *chunk, __u32 at, __u32 *ret_end)
{
	struct scan_state state = { .skb = skb, .chunk = chunk, .at = at, .result = SCAN_MORE };

	if (!chunk || !ret_end)
		return SCAN_BAD;
	state.length = skb->len;
	if (at > state.length)
		return SCAN_BAD;
	bpf_loop(state.length - at, scan_step, &state, 0);
	/* A buffer too large for the loop was not looked at. */
	if (state.result == SCAN_MORE && state.at < state.length)
		state.result = SCAN_BAD;
	*ret_end = state.at;
	return state.result;
}

#endif
