/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side and the daemon share: the keys and values of every pinned map, and names.
 *
 * Plain structs without pointers, every byte of padding spelled out. A change of any layout here, or
 * of struct conn (conn.bpf.h) and what is in it, needs a new SLUICE_ABI: pinned maps outlive the
 * daemon that made them.
 */
#ifndef SLUICE_ABI_H
#define SLUICE_ABI_H

#include <linux/types.h>

/* Version of all layouts in this file. */
#define SLUICE_ABI 7

#define DIGEST_SIZE	16 /* BLAKE2b-128 of pepper and key */
#define PEPPER_SIZE	32
#define IDENTITY_SIZE	72 /* the longest "X-Key-Id: key_…; account=…" line, without its CRLF */
#define KEY_WORD_MAX	8  /* the word before '_' in a key's text, "gx" by default */
#define KEY_RANDOM_SIZE 43 /* base62 characters, 256 bits */
#define KEY_CHECK_SIZE	6  /* base62 characters, CRC-32 */
#define KEY_TEXT_MAX	(KEY_WORD_MAX + 1 + KEY_RANDOM_SIZE + KEY_CHECK_SIZE)
#define GATES_MAX	256   /* of all network namespaces */
#define HEAD_LIMIT_MAX	16384 /* bytes */
#define EXEMPT_MAX	72    /* networks: those that can be set, and loopback */
/*
 * Room in the tables for connections beyond the most that are let in: those between the guard's look
 * at their handshake and their enrolment, on all processors.
 */
#define CONNECTIONS_RESERVE 256

/* Key of `gates`: a port in one network namespace. */
struct gate_key {
	__u64 netns_cookie;
	__u32 port; /* host byte order */
	__u32 reserved;
};

/* Value of `gates`. */
struct gate {
	/* Bytes; a longer request head is answered 431. */
	__u32 head_limit;
	/* 1: leave the Authorization line as it was; 0: swap it for the identity. */
	__u32 keep_identity;
	/* 1: pass trailers behind a chunked body, as far as RFC 9110 6.5.1 allows; 0: refuse them. */
	__u32 pass_trailers;
	/* 1: the port is about to go. No connection is let in, and no request on one that is idle. */
	__u32 draining;
};

/* Key of `keys`. */
struct key_digest {
	union {
		__u8 bytes[DIGEST_SIZE];
		__u64 words[DIGEST_SIZE / 8];
	};
};

/*
 * Value of `keys`: what the daemon says of a key. Written by the daemon only, always whole.
 *
 * digest repeats the map's key and stands first: an element that was freed and given to another
 * key while a program still reads it shows by its digest, read last.
 */
struct key_policy {
	struct key_digest digest;
	__u64 expires_ms; /* first millisecond since the epoch at which the key is invalid; 0: never */
	__u32 slot;	  /* index into `usage` */
	__u32 per_minute; /* 1–10,000 */
	__u32 per_day;	  /* 1–100,000 */
	__u32 version;	  /* of the slot when this was written; 0: always looked up */
	/* Header line that takes the Authorization line's place, padded with spaces; then NUL. */
	char identity[IDENTITY_SIZE + 8];
};

/*
 * Value of `usage`, half a cache line a key. Changed by compare-and-swap and atomic addition alone, but for
 * version, which is the daemon's.
 *
 * A connection remembers what `keys` holds of the key that it was last used with. Before that record is
 * changed, removed, or the slot given to another key, the version grows: what was remembered under an
 * earlier one is looked up again.
 *
 * windows packs both windows into one word, so that one compare-and-swap counts both or neither:
 * bits 63–32 the minute since the epoch, bits 31–14 requests used of the day that minute lies in,
 * bits 13–0 requests used of that minute (limit.h).
 */
struct key_usage {
	__u64 windows;	 /* 0: never used */
	__u64 admitted;	 /* in total */
	__u64 refused;	 /* by a used-up limit, in total */
	__u32 last_used; /* lower half of when that was, limit_last_used() */
	__u32 version;	 /* never 0 once a key had the slot */
};

/*
 * Value of `settings`, a single element in memory that the daemon shares: what every program needs to
 * know. What changes while programs run is a word of its own, so that they find the old or the new.
 */
struct settings {
	__u64 tai_offset_ns; /* CLOCK_TAI - CLOCK_REALTIME */
	__u8 pepper[PEPPER_SIZE];
	union {
		char key_word[KEY_WORD_MAX]; /* NUL behind it, where there is room */
		__u64 key_word_bits;
	};
	__u32 leaving; /* 1: the gate is about to go; what is left of ports that it has no more drains, too */
	__u32 abi; /* SLUICE_ABI; stays at this place, so that every version can read it */
	/* Secret, of what connections remember; new with each start of the daemon. */
	__u64 tag_key[2];
};

/* What sluice_forget is told. */
struct forgetting {
	__u64 cookie;
};

/* What sluice_drain says of each connection that is to end. */
struct drained {
	__u64 cookie;
	__u32 port;
	__u32 turns; /* requests that were admitted or refused so far */
	__u32 idle;  /* 1: nothing is under way on it, and all that was sent is acknowledged */
	__u32 reserved;
};

/*
 * `replies`: the gate's own answers as rendered by the daemon, at index
 * enum reply * REPLY_CONNECTIONS + enum reply_connection.
 */
enum reply {
	REPLY_NO_KEY,	      /* 401, no credential was sent */
	REPLY_INVALID_KEY,    /* 401, error="invalid_token" */
	REPLY_RATE_LIMITED,   /* 429 */
	REPLY_BAD_REQUEST,    /* 400 */
	REPLY_EXPECTATION,    /* 417 */
	REPLY_HEAD_TOO_LARGE, /* 431 */
	REPLY_VERSION,	      /* 505 */
	REPLY_COUNT,
};

/* What the answer says of the connection. */
enum reply_connection {
	REPLY_IMPLICIT,	  /* nothing: HTTP/1.1, the connection stays */
	REPLY_KEEP_ALIVE, /* "Connection: keep-alive", for HTTP/1.0 */
	REPLY_CLOSE,	  /* "Connection: close" */
	REPLY_CONNECTIONS,
};

#define REPLY_SIZE 640 /* bytes a rendered answer may have; a multiple of 8 */

/* Widths of what varies in an answer. Digits are right-aligned behind spaces. */
#define REPLY_RETRY_AFTER_WIDTH 5
#define REPLY_RESET_WIDTH	13
#define TRACE_ID_SIZE		24 /* a-z0-9, behind "req_" */

/*
 * Value of `replies`. The offsets name the first byte of a place that is written for each answer;
 * 0 where the answer has no such place.
 */
struct reply_template {
	__u16 length;	   /* bytes of head and body */
	__u16 head_length; /* bytes of the head alone, sent to a HEAD request */
	__u16 retry_after_at;
	__u16 reset_at;
	__u16 trace_id_at;
	__u16 reserved[3];
	__u8 bytes[REPLY_SIZE];
};

/* An answer of the gate's own. */
struct owed {
	__u16 reply;	    /* index into `replies` */
	__u16 head_only;    /* the request's method was HEAD */
	__u32 reset_minute; /* since the epoch, where the answer names a time */
};

/*
 * What goes up to the relay, through the ring buffer `handoff`.
 *
 * The bytes of a connection are numbered from 0 where it begins to take the slow path, so that a
 * relay sees whether it has them all.
 */
enum handoff_kind {
	HANDOFF_REPLY, /* send the struct owed behind this: the programs would wake the application */
	HANDOFF_ANSWER, /* likewise, send INJECT_ANSWER: the connection ends with the answer */
	HANDOFF_BYTES,	/* keep these, and send them as INJECT_BYTES */
	HANDOFF_TURN,	/* an answer is out: bytes that waited for it can be judged */
	HANDOFF_END,	/* send INJECT_END once nothing more has come for a while */
	HANDOFF_PACKET, /* send this IP packet again, but without its FIN */
	HANDOFF_PROBE,	/* send a struct probe's packet */
};

struct handoff {
	__u64 cookie; /* of the connection */
	__u16 kind;   /* enum handoff_kind */
	__u16 length; /* of the bytes that follow */
	__u32 number; /* HANDOFF_BYTES: of the first; HANDOFF_REPLY, HANDOFF_END: struct conn's `turns`;
			   HANDOFF_PACKET: offset of its TCP header */
	__u32 quiet_ms; /* HANDOFF_END: how long nothing must have come */
	__u32 eaten;	/* HANDOFF_END: struct conn's */
};

/*
 * Behind a HANDOFF_PROBE: a segment in the client's name without any bytes, which TCP answers with an
 * acknowledgement (RFC 9293 3.8.4). An IPv4 address is IPv4-mapped, RFC 4291 2.5.5.2.
 */
struct probe {
	__u32 client[4]; /* addresses and ports are in network byte order */
	__u32 server[4];
	__u16 client_port;
	__u16 server_port;
	__u32 seq; /* as all numbers, in host byte order */
	__u32 ack;
};

/* Bytes behind a struct handoff: a record has room for one of these numbers of them. */
#define HANDOFF_SMALL (128 - sizeof(struct handoff))
#define HANDOFF_LARGE (4096 - sizeof(struct handoff))
#define HANDOFF_HUGE  65528 /* for packets */

/*
 * What comes back from the relay, a datagram through its injector: a struct injection; or, where
 * struct injecting announces it, bytes to be judged.
 */
enum injection_kind {
	INJECT_SINK = 1, /* goes to the sink, to make it one */
	INJECT_ANSWER,	 /* the answer that is owed goes out */
	INJECT_LOST,	 /* that of a HANDOFF_REPLY could not be sent: send it by the programs */
	INJECT_BYTES,	 /* judge the datagram, all of it or none */
	INJECT_MORE,	 /* all that was handed up is the begin of a head */
	INJECT_RELEASE,	 /* all that was handed up was judged: back to the fast path */
	INJECT_END,	 /* end the connection, unless more has come meanwhile */
};

struct injection {
	__u64 cookie;
	__u32 kind;   /* enum injection_kind */
	__u32 number; /* of bytes handed up so far; INJECT_LOST, INJECT_END: `turns`, as it came */
	__u32 eaten;  /* INJECT_END: as it was told last */
	__u32 force;  /* INJECT_END: whatever came meanwhile */
};

#define INJECT_BYTES_MAX 65536

/* What became of a datagram. */
enum injected {
	INJECTED_GONE,	/* the connection has ended, or nothing more of it is passed */
	INJECTED_TAKEN, /* it is dealt with */
	INJECTED_PART,	/* only its first `number` bytes can be judged at once */
	INJECTED_MORE,	/* a head of at most `number` bytes goes on behind it */
	INJECTED_WAIT,	/* try again: an earlier answer is not out yet (HANDOFF_TURN follows), or
			 * the application has not read enough */
	INJECTED_PASS,	/* it comes out at the injector's other end, to be delivered */
	INJECTED_LOST,	/* it was to be passed, but could not be given to the application; said by
			 * the relay itself */
};

/*
 * Value of `injecting`, a single element in memory that the relay shares. What it sends is dealt with
 * while it is sent, so that it is always about the datagram at hand, and reply_to about the message on the
 * deliverer; but for `awake`.
 */
struct injecting {
	struct injection
		bytes;	   /* whose the datagram's bytes are; kind 0: they are a struct injection */
	__u32 result;	   /* enum injected */
	__u32 number;	   /* bytes; INJECTED_WAIT to INJECT_END: what `eaten` is now */
	__u32 awake;	   /* 1: the relay looks for records once more before it sleeps */
	__u32 reply_turns; /* beside reply_to: `turns`, as it came */
	__u64 reply_to; /* connection that the next message on the deliverer answers; 0: it is to be delivered */
};

/* Value of `delivering`, a single element: what may be sent on the deliverer, and where the relay is. */
struct delivering {
	__u64 cookie; /* of the connection that gets it */
	__u32 left;   /* bytes */
	__u32 reserved;
	__u64 at; /* connection whose record the relay's programs are at (record.bpf.h) */
};

/* Value of `marks`: what the gate knows of a socket. One from before the gate has none. */
struct socket_mark {
	__u64 cookie;	    /* key of the record, where enrolled */
	__u32 state;	    /* enum mark; 0: not yet */
	__u32 others_calls; /* flags of bpf_sock_ops_cb_flags that were set before, by another program */
};

enum mark {
	MARK_ENROLLED = 1,
	MARK_NOT_OURS, /* an outgoing connection, whatever its local port */
	MARK_UNGATED,  /* not enrolled, and never will be */
};

/* Value of `enrolment`, a single element: how it goes. */
struct enrolment {
	__u64 open;	 /* connections that are enrolled */
	__u64 failed_ns; /* when one could not be, last; bpf_ktime_get_ns(), 0: never */
};

/*
 * Where requests come from: an address in network byte order, an IPv4 one IPv4-mapped (RFC 4291 2.5.5.2),
 * without the bits by which hosts of one user may differ. Key of `guesses`: an IPv6 one is a /64.
 */
struct source {
	__u32 words[4];
};

/* Value of `guesses`: requests from there that were refused for their key, REFUSED_INVALID_KEY. */
struct guesses {
	__u64 count;
	__u64 last_ms; /* since the epoch */
};

/*
 * Value of `shed`, a slot (shed_slot.h): a source, of which packets to protected ports are dropped. One
 * whose time is over stays for a while, so that the next is longer.
 */
struct shed_source {
	struct source source;
	__u64 until;   /* bpf_jiffies64() from which on they pass; 0: the slot is free */
	__u64 dropped; /* packets */
	__u32 times;   /* it was shed for its refusals */
	__u32 seconds; /* that it was shed for, the last time */
};

/* Value of `shed_table`, a single element: by what sources were put into their slots. */
struct shed_table {
	__u64 seeds[4];
	__u32 max_sources;
	__u32 ipv4_prefix; /* bits of an address that make a source */
	__u32 ipv6_prefix;
	__u32 reserved;
};

/* Value of `shed_policy`, a single element: what has a source told to the daemon. */
struct shed_policy {
	__u64 window;	/* ticks of bpf_jiffies64() in which it has */
	__u32 refusals; /* so many; 0: none are counted */
	__u32 reserved;
};

/* Value of `refusals`: requests of a source that were refused in a window of time. */
struct refusals {
	__u64 begin; /* tick */
	__u32 count;
	__u32 reserved;
};

/* To the daemon, through the ring buffer `offenders`: a source that has had its refusals. */
struct offender {
	struct source source;
	__u64 at; /* tick */
};

/* What sluice_ticks says. */
struct ticks {
	__u64 now; /* bpf_jiffies64() */
};

/*
 * Addresses that begin with the same bits; those behind them are 0. Key of `exempt`, and as
 * BPF_MAP_TYPE_LPM_TRIE wants it.
 */
struct network {
	__u32 prefix;	/* bits, of 128 */
	__u32 words[4]; /* as of struct source */
};

/* `shed_ports` has a bit for each port, in words of so many. */
#define PORT_WORD_BITS 64
#define PORT_WORDS     (65536 / PORT_WORD_BITS)

/*
 * Index into `counters`, a per-CPU array of __u64. SLUICE_COUNTERS lists name and help of each.
 * The daemon writes UNGATED_RESET and SHED_FULL, the programs all others.
 */
#define SLUICE_COUNTERS(X)                                                                         \
	X(CONNECTIONS_OPENED, "connections_opened", "connections enrolled")                        \
	X(CONNECTIONS_CLOSED, "connections_closed", "enrolled connections that ended")             \
	X(UNGATED_BEFORE, "ungated_before", "connections from before the gate that bytes came on") \
	X(UNGATED_ROOM, "ungated_room", "connections not enrolled: the tables were full")          \
	X(UNGATED_AGENT, "ungated_agent",                                                          \
	  "connections not enrolled: another program is on their sockets")                         \
	X(UNGATED_PROTOCOL, "ungated_protocol",                                                    \
	  "connections not enrolled: they have a protocol like kernel TLS")                        \
	X(UNGATED_MEMORY, "ungated_memory",                                                        \
	  "connections not enrolled: the kernel was out of memory")                                \
	X(UNGATED_RESET, "ungated_reset", "connections that were reset, of all these")             \
	X(GUARD_DROPPED, "guard_dropped", "packets to connections that are not enrolled")          \
	X(TURNED_AWAY_ROOM, "turned_away_room", "handshakes turned away: the tables are full")     \
	X(TURNED_AWAY_LEAVING, "turned_away_leaving",                                              \
	  "handshakes turned away: the port is about to leave the gate")                           \
	X(TURNED_AWAY_MPTCP, "turned_away_mptcp", "handshakes turned away: MPTCP")                 \
	X(TURNED_AWAY_FAST_OPEN, "turned_away_fast_open",                                          \
	  "handshakes turned away: data in the first packet (Fast Open)")                          \
	X(TURNED_AWAY_DATA, "turned_away_data",                                                    \
	  "handshakes turned away: data that might go unjudged")                                   \
	X(KEPT_BACK, "kept_back", "packets that clients were left to send again, a moment later")  \
	X(ADMITTED, "admitted", "requests passed to the application")                              \
	X(REFUSED_NO_KEY, "refused_no_key", "401: no key was sent")                                \
	X(REFUSED_INVALID_KEY, "refused_invalid_key",                                              \
	  "401: a malformed, unknown, revoked or expired key")                                     \
	X(REFUSED_RATE_LIMITED, "refused_rate_limited", "429: a limit is used up")                 \
	X(REFUSED_BAD_REQUEST, "refused_bad_request", "400: not well-formed, or ambiguous")        \
	X(REFUSED_EXPECTATION, "refused_expectation", "417: an Expect other than 100-continue")    \
	X(REFUSED_HEAD_TOO_LARGE, "refused_head_too_large", "431: the head is over its limit")     \
	X(REFUSED_VERSION, "refused_version", "505: not HTTP/1.0 or HTTP/1.1")                     \
	X(DISCARDED, "discarded", "buffers that could not be judged or answered")                  \
	X(READ_UNJUDGED, "read_unjudged",                                                          \
	  "connections ended: the application read by splice() or the like")                       \
	X(HANDED_UP, "handed_up", "buffers that took the slow path")                               \
	X(ADMITTED_SLOW, "admitted_slow", "requests admitted on the slow path, of all admitted")   \
	X(ANSWERS_PLAIN, "answers_plain",                                                          \
	  "answers of the application that went out without headers")                              \
	X(SHED_DROPPED, "shed_dropped", "packets dropped of sources that are shed")                \
	X(SHED_FULL, "shed_full", "sources not shed: there are as many as there can be")

enum counter {
#define X(id, name, help) COUNTER_##id,
	SLUICE_COUNTERS(X)
#undef X
		COUNTER_COUNT,
};

#endif
