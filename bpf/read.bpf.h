/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Read a request's head where it lies: in a socket buffer. Kernel only.
 */
#ifndef SLUICE_READ_BPF_H
#define SLUICE_READ_BPF_H

#include "http.h"

/* No head limit may be larger: what lies behind cannot be reached in a buffer. */
#define READ_HEAD_MAX 32768
#define READ_STEP     16 /* bytes read between two checks of where the buffer ends */

struct read_state {
	struct __sk_buff *skb;
	struct http_head *head;
	__u32 at; /* of the next byte in the buffer */
	enum http_result result;
};

static long read_step(__u32 index, void *context)
{
	struct read_state *state = context;
	struct http_head *head = state->head;
	const __u8 *data = (const __u8 *)(long)state->skb->data;
	const __u8 *end = (const __u8 *)(long)state->skb->data_end;
	const __u8 *bytes = data + (state->at & (READ_HEAD_MAX - 1));
	__u32 i;

	(void)index;
	if (bytes + READ_STEP <= end) {
		for (i = 0; i < READ_STEP; i++) {
			state->result = http_head_byte(head, bytes[i]);
			if (state->result != HTTP_MORE)
				return 1;
		}
		state->at += READ_STEP;
		return 0;
	}
	if (bytes + 1 > end)
		return 1;
	state->result = http_head_byte(head, *bytes);
	state->at++;
	return state->result != HTTP_MORE;
}

/*
 * Run the parser over a buffer's bytes, which must lie in one piece (bpf_skb_pull_data).
 *
 * head		was begun, with a limit of less than READ_HEAD_MAX
 *
 * Returns HTTP_MORE where the buffer ends before the head does; what else the parser said.
 */
static __noinline enum http_result read_head(struct __sk_buff *skb, struct http_head *head)
{
	struct read_state state = { .skb = skb, .head = head, .result = HTTP_MORE };

	bpf_loop(READ_HEAD_MAX / READ_STEP + READ_STEP, read_step, &state, 0);
	return state.result;
}

#endif
