/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Write into a message: the gate's own answers, as the daemon rendered them. */
#ifndef SLUICE_REPLY_BPF_H
#define SLUICE_REPLY_BPF_H

#include "maps.bpf.h"
#include "reply.h"

/* Bytes looked at in one piece; a piece that stands in one page is not copied. */
#define WINDOW_SIZE 4096

struct answer {
	struct sk_msg_md *msg;
	const struct reply_template *template;
};

/* Eight bytes at once, wherever they lie, as core_word(). The compiler would split what it knows. */
static __always_inline void put_word(__u8 *p, __u64 word)
{
	asm volatile("" : "+r"(word));
	*(__u64 *)p = word;
}

/* Copy eight bytes of the template, or what is left; a callback of bpf_loop(). */
static long copy_word(__u32 index, struct answer *answer)
{
	__u8 *to = (void *)(long)answer->msg->data;
	__u8 *end = (void *)(long)answer->msg->data_end;
	const __u8 *from;

	if (index >= REPLY_SIZE / 8)
		return 1;
	from = &answer->template->bytes[index * 8];
	to += index * 8;
	if (to + 8 <= end) {
		put_word(to, core_word(from));
		return 0;
	}
	for (int i = 0; i < 8; i++) {
		if (to + i + 1 > end)
			break;
		to[i] = from[i];
	}
	return 1;
}

/*
 * A pointer to length bytes at offset at of the message's piece, NULL where they aren't in it. It is
 * kept opaque to the compiler, so that what is used is the pointer that was checked.
 */
#define place(msg, at, length)                                                                     \
	({                                                                                         \
		__u8 *place_ = (void *)(long)(msg)->data + ((at) & (2 * WINDOW_SIZE - 1));         \
		asm volatile("" : "+r"(place_));                                                   \
		place_ + (length) > (__u8 *)(long)(msg)->data_end ? NULL : place_;                 \
	})

/*
 * Write an answer over the length bytes at offset at, for which room was made, and send all up to
 * its end. Every byte of the room is written, since what bpf_msg_push_data() gives is not zeroed.
 *
 * Returns false where that cannot be done; the message must be dropped then.
 */
static __noinline bool write_answer(struct sk_msg_md *msg, __u32 index, __u32 at, __u32 length,
				    __u32 reset_minute)
{
	const struct reply_template *template = bpf_map_lookup_elem(&replies, &index);
	struct answer answer = { .msg = msg, .template = template };
	const struct settings *set;
	__u32 zero = 0;
	__u8 *p;

	set = bpf_map_lookup_elem(&settings, &zero);
	if (!template || !set || bpf_msg_pull_data(msg, at, at + length, 0))
		return false;
	bpf_loop((length + 7) / 8, copy_word, &answer, 0);

	if (template->retry_after_at) {
		p = place(msg, template->retry_after_at, REPLY_RETRY_AFTER_WIDTH);
		if (!p)
			return false;
		reply_put_retry_after(p, reset_minute, realtime_ms(set));
	}
	if (template->reset_at) {
		p = place(msg, template->reset_at, REPLY_RESET_WIDTH);
		if (!p)
			return false;
		reply_put_reset(p, reset_minute * LIMIT_MINUTE_MS);
	}
	/* A HEAD request's answer ends before the body, in which the trace id stands. */
	if (template->trace_id_at && template->trace_id_at + TRACE_ID_SIZE <= length) {
		p = place(msg, template->trace_id_at, TRACE_ID_SIZE);
		if (!p)
			return false;
		for (int i = 0; i < TRACE_ID_SIZE; i += REPLY_TRACE_PART)
			reply_put_trace(p + i, bpf_get_prandom_u32());
	}
	return true;
}

/* Make the message length bytes long. */
static __always_inline long resize(struct sk_msg_md *msg, __u32 length)
{
	if (msg->size < length)
		return bpf_msg_push_data(msg, msg->size, length - msg->size, 0);
	if (msg->size > length)
		return bpf_msg_pop_data(msg, length, msg->size - length, 0);
	return 0;
}

#endif
