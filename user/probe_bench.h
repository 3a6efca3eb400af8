/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bench that probes are made on (probe.h): the gate's programs with tables of their own, a
 * listening socket with a gate in front of it, one connection at a time, and what stands in for the
 * relay.
 *
 * The programs are attached to this process' own cgroup, and their only gate is the port that the bench
 * listens on, which nobody else can have: no other socket is judged by them. Nothing is pinned, so that
 * all of it goes with the process.
 */
#ifndef SLUICE_PROBE_BENCH_H
#define SLUICE_PROBE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys.h"
#include "replies.h"
#include "sluice.skel.h"

/* Milliseconds after which what should happen at once has not happened. */
#define BENCH_PATIENCE_MS 3000
#define BENCH_KEPT_MAX	  1024

struct bench {
	struct sluice_bpf *programs;
	struct bpf_link *enrol;
	struct bpf_link *guard;
	struct ring_buffer *handoff;
	struct injecting *injecting; /* the map's element */
	struct replies replies;
	int injector[2];  /* 0 is written to; 1 is in the map */
	int sink[2];	  /* 0 is in the map; 1 is its peer */
	int deliverer[2]; /* likewise */
	int listener;
	struct gate_key gate; /* of the listener */
	int client;	      /* the connection at hand; -1: there is none */
	int server;
	size_t sent;		      /* bytes, by this client */
	char key[KEY_TEXT_MAX + 1];   /* in force */
	char identity[IDENTITY_SIZE]; /* its */
	uint8_t kept[BENCH_KEPT_MAX]; /* bytes that were handed up */
	size_t kept_length;
};

/* What a connection is to be like; zeros: as the kernel makes them. */
struct bench_buffers {
	int receive; /* bytes, of the client */
	int send;    /* bytes, of the server */
	int segment; /* bytes */
};

/*
 * Set the bench up. Returns 0, or a negative errno and in why a sentence for the user. Nothing that a
 * kernel may get wrong is judged here, but what cannot even be set up.
 */
int bench_open(struct bench **ret_bench, char *why, size_t why_size);

/* Take it down. NULL is allowed. */
void bench_close(struct bench *bench);

/* Put the gate in front of the listening socket, or take it away. Returns 0 or a negative errno. */
int bench_put_gate(struct bench *bench);
int bench_drop_gate(struct bench *bench);

/*
 * Make a connection in the place of the one there is. bench_accept() accepts what bench_connect()
 * makes; buffers may be NULL. Returns false where it does not come about.
 */
bool bench_connect(struct bench *bench, const struct bench_buffers *buffers);
bool bench_accept(struct bench *bench, const struct bench_buffers *buffers);

/* End the connection, if there is one, at once and with all that is under way. */
void bench_disconnect(struct bench *bench);

/* The connection's cookie, as the server's end has it. */
uint64_t bench_cookie(const struct bench *bench);

/*
 * Send a datagram through the injector, as the relay does (abi.h).
 *
 * bytes	of INJECT_BYTES, else NULL
 *
 * Returns what the kernel says of it.
 */
enum injected bench_inject(struct bench *bench, const struct injection *injection,
			   const void *bytes, size_t length);

/*
 * Be the relay for a while: send answers that the programs ask for, and keep what they hand up.
 * Returns false where they ask for nothing.
 */
bool bench_relay(struct bench *bench);

/* Sum of all processors' values of a counter. */
uint64_t bench_count(const struct bench *bench, enum counter counter);

/* When patience ends that begins now, CLOCK_MONOTONIC in milliseconds; and whether it has ended. */
uint64_t bench_deadline(void);
bool bench_is_over(uint64_t deadline_ms);

/* Sleep for a moment between two looks. */
void bench_breathe(void);

/* Wait until the socket is ready for these of poll(2)'s events. */
bool bench_await(int fd, short events);

#endif
