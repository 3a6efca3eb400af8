/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map of the gate. All are pinned by their name below the pin folder and outlive the daemon.
 * The sizes of keys, usage, conns, socks, guesses, refusals and shed are settings, written by the daemon
 * before it loads.
 *
 * Definitions are weak, because each program file includes them and the linker keeps one.
 */
#ifndef SLUICE_MAPS_BPF_H
#define SLUICE_MAPS_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "conn.bpf.h"
#include "core.h"

/* What is protected, and how. Written by the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GATES_MAX);
	__type(key, struct gate_key);
	__type(value, struct gate);
} gates SEC(".maps") __weak;

/* What every program needs to know. Written by the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps") __weak;

/* Keys in force. Written by the daemon. Not preallocated: memory is taken by the keys there are. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct key_digest);
	__type(value, struct key_policy);
} keys SEC(".maps") __weak;

/* What was used of each key's limits. Written by the programs; never evicts. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct key_usage);
} usage SEC(".maps") __weak;

/*
 * Connections by socket cookie. Preallocated: a connection must never go ungated because memory
 * was short at the moment it was made.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct conn);
} conns SEC(".maps") __weak;

/* How many of them there are, and whether enrolment works. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct enrolment);
} enrolment SEC(".maps") __weak;

/* Enrolled sockets by cookie. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u64);
} socks SEC(".maps") __weak;

/* A socket of the relay's, at key 0. */
struct one_socket {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u64);
};

/*
 * The relay's sink: a socket whose sending side is broken. A buffer that is redirected to
 * it is eaten without waking anybody (handoff.bpf.h).
 */
struct one_socket sink SEC(".maps") __weak;

/* The relay's way back in. */
struct one_socket injectors SEC(".maps") __weak;

/* The relay's way to applications and clients: a TCP socket, what is sent on which is redirected. */
struct one_socket deliverers SEC(".maps") __weak;

/* To the relay: struct handoff. It outlives whoever reads it. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} handoff SEC(".maps") __weak;

/* Between the relay and the programs that it runs: what is at hand, and what becomes of it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct injecting);
} injecting SEC(".maps") __weak;

/* Beside the deliverer: what was judged last. The relay cannot write it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct delivering);
} delivering SEC(".maps") __weak;

/* What the gate knows of a socket, where only the socket is at hand. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_mark);
} marks SEC(".maps") __weak;

/* The gate's own answers. Written by the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, REPLY_COUNT *REPLY_CONNECTIONS);
	__type(key, __u32);
	__type(value, struct reply_template);
} replies SEC(".maps") __weak;

/* Who sends keys that are none. The one who did so least lately gives way to another. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct source);
	__type(value, struct guesses);
} guesses SEC(".maps") __weak;

/* Who is dropped, and until when. The daemon shares it, and alone puts sources in and takes them out. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shed_source);
} shed SEC(".maps") __weak;

/* How it is laid out. Written by the daemon, for those that come after it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shed_table);
} shed_table SEC(".maps") __weak;

/* What has a source shed. Written by the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shed_policy);
} shed_policy SEC(".maps") __weak;

/* Who was refused how often lately. The one that was refused least lately gives way to another. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct source);
	__type(value, struct refusals);
} refusals SEC(".maps") __weak;

/* To the daemon: struct offender. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} offenders SEC(".maps") __weak;

/* Networks that are never shed. Written by the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, EXEMPT_MAX);
	__type(key, struct network);
	__type(value, __u32);
} exempt SEC(".maps") __weak;

/* A bit for each port that is protected, of the daemon's network namespace. The daemon shares it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PORT_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} shed_ports SEC(".maps") __weak;

/* Everything counted, by enum counter. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTER_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps") __weak;

/*
 * The programs behind the two dispatchers, at index 0. Sockets keep for their life the program they
 * were enrolled with; replacing an entry here reaches those that are open, too.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} verdict_program SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} message_program SEC(".maps") __weak;

/*
 * Atomic although per processor: a program in process context can be interrupted by another on the
 * same processor.
 */
static __always_inline void count(enum counter counter)
{
	__u32 index = counter;
	__u64 *value = bpf_map_lookup_elem(&counters, &index);

	if (value)
		__sync_fetch_and_add(value, 1);
}

static __always_inline struct enrolment *how_it_goes(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&enrolment, &zero);
}

/*
 * Whether a connection is to end once nothing is under way on it: its port is about to leave, or has left
 * before, and the whole gate is about to.
 */
static __always_inline bool is_draining(const struct gate *gate)
{
	const struct settings *set;
	__u32 zero = 0;

	if (gate)
		return gate->draining;
	set = bpf_map_lookup_elem(&settings, &zero);
	return set && core_load(set->leaving);
}

/* Milliseconds since the epoch: no helper gives CLOCK_REALTIME, but CLOCK_TAI is a fixed step away. */
static __always_inline __u64 realtime_ms(const struct settings *set)
{
	return (bpf_ktime_get_tai_ns() - set->tai_offset_ns) / 1000000;
}

/*
 * What is in a map under a key, which is put there as `first` if need be; NULL where that fails. Another
 * processor may come by, too, and put it there.
 */
static __always_inline void *find_or_make(void *map, const void *key, const void *first)
{
	void *there = bpf_map_lookup_elem(map, key);

	if (there)
		return there;
	bpf_map_update_elem(map, key, first, BPF_NOEXIST);
	return bpf_map_lookup_elem(map, key);
}

/* Bytes of an answer of the gate's own; 0 where there is no such answer. */
static __always_inline __u32 answer_length(const struct owed *owed)
{
	__u32 index = owed->reply;
	const struct reply_template *template = bpf_map_lookup_elem(&replies, &index);

	if (!template)
		return 0;
	return owed->head_only ? template->head_length : template->length;
}

#endif
