/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the application gets to see of who the client is: the key's identity in the place of the
 * secret, and nothing that the client itself says of it.
 */
#ifndef SLUICE_IDENTITY_BPF_H
#define SLUICE_IDENTITY_BPF_H

#include "bytes.bpf.h"
#include "conn.bpf.h"
#include "read.bpf.h"

#define BLANKS_SIZE 64

static const char blanks[BLANKS_SIZE] = "                                "
					"                                ";
/* Takes the place of a client's own X-Key-Id, which is as long. */
static const char foreign_name[] = "X-Unused";
#define FOREIGN_NAME_LENGTH (sizeof(foreign_name) - 1)

struct blanking {
	struct __sk_buff *skb;
	__u32 at;
	__u32 end;
	long error;
};

/* Blank up to BLANKS_SIZE bytes; a callback of bpf_loop(). */
static long blank_some(__u32 index, struct blanking *blanking)
{
	__u32 at = blanking->at, left = blanking->end - at;

	if (at >= blanking->end)
		return 1;
	if (left > BLANKS_SIZE)
		left = BLANKS_SIZE;
	blanking->error = store_bytes(blanking->skb, at, blanks, left, BLANKS_SIZE);
	blanking->at += left;
	return blanking->error != 0;
}

/* Write spaces from at up to end. Returns 0 or an error. */
static __noinline long blank(struct __sk_buff *skb, __u32 at, __u32 end)
{
	struct blanking blanking = { .skb = skb, .at = at, .end = end };

	bpf_loop(HTTP_REACH / BLANKS_SIZE, blank_some, &blanking, 0);
	return blanking.error;
}

/*
 * Write the identity of conn->grant into the head that conn->head describes, at equal length. The
 * buffer is the connection's own and writable since it was pulled into one piece, so that none of
 * this fails. Returns 0, or an error: then nothing may be passed.
 */
static __noinline long write_identity(struct __sk_buff *skb, struct conn *conn)
{
	const struct http_head *head = &conn->head;
	__u32 at = head->authorization.at;

	for (int i = 0; i < HTTP_FOREIGN_MAX && i < head->foreign_identities; i++) {
		const struct http_span *line = &head->foreign_identity[i];

		if (bpf_skb_store_bytes(skb, line->at, foreign_name, FOREIGN_NAME_LENGTH, 0) ||
		    blank(skb, line->at + FOREIGN_NAME_LENGTH + 1, line->at + line->length))
			return -1;
	}
	if (conn->gate.keep_identity)
		return 0;
	if (head->authorization.length < IDENTITY_SIZE)
		return -1;
	if (bpf_skb_store_bytes(skb, at, conn->grant.identity, IDENTITY_SIZE, 0))
		return -1;
	return blank(skb, at + IDENTITY_SIZE, at + head->authorization.length);
}

#endif
