/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The life of a connection's record.
 *
 * It ends with the socket, and what it took is the next connection's at once. The programs of the socket
 * itself have its lock, so that they find the record or do not. Those of the relay have not: they would go
 * on with another connection's, and have its bytes taken for what the first had announced. So the record
 * that they are at stays, and they remove it where the socket was closed meanwhile.
 */
#ifndef SLUICE_RECORD_BPF_H
#define SLUICE_RECORD_BPF_H

#include "core.h"
#include "maps.bpf.h"

static __always_inline void count_open(__s64 change)
{
	struct enrolment *goes = how_it_goes();

	if (goes)
		__sync_fetch_and_add(&goes->open, change);
}

/* Whoever comes second finds nothing. */
static __always_inline void remove_record(const __u64 *cookie)
{
	if (bpf_map_delete_elem(&conns, cookie))
		return;
	count_open(-1);
	count(COUNTER_CONNECTIONS_CLOSED);
}

/* The socket is closed. */
static __always_inline void close_record(__u64 cookie)
{
	__u32 zero = 0;
	struct delivering *relay = bpf_map_lookup_elem(&delivering, &zero);
	struct conn *conn = bpf_map_lookup_elem(&conns, &cookie);

	if (!conn)
		return;
	core_store(conn->closed, 1);
	/* The relay's programs say where they are, and look at `closed` behind that: one of us removes it. */
	core_barrier();
	if (!relay || core_load(relay->at) != cookie)
		remove_record(&cookie);
}

/*
 * Be at a record without the socket's lock, until leave_record(): one at a time, which the relay is.
 *
 * Returns NULL where there is none, or the socket is closed: whoever closed it may not have seen us. That
 * is asked of this connection's record where it is found once more, as a cookie never comes back.
 */
static __always_inline struct conn *enter_record(const __u64 *cookie)
{
	__u32 zero = 0;
	struct delivering *relay = bpf_map_lookup_elem(&delivering, &zero);
	struct conn *conn;

	if (!relay)
		return NULL;
	core_exchange(relay->at, *cookie);
	conn = bpf_map_lookup_elem(&conns, cookie);
	if (!conn || core_load(conn->closed))
		return NULL;
	core_exchange(relay->at, *cookie); /* a fence */
	return bpf_map_lookup_elem(&conns, cookie) == conn ? conn : NULL;
}

/* The record is not to be used any more. */
static __always_inline void leave_record(const __u64 *cookie)
{
	__u32 zero = 0;
	struct delivering *relay = bpf_map_lookup_elem(&delivering, &zero);
	struct conn *conn;

	if (!relay)
		return;
	core_exchange(relay->at, 0);
	conn = bpf_map_lookup_elem(&conns, cookie);
	if (conn && core_load(conn->closed))
		remove_record(cookie);
}

#endif
