/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is said on the bench's connection: the client sends requests, the application reads and answers
 * them, and each checks what it gets, byte by byte.
 *
 * All functions return NULL, or what is wrong: the rest of a sentence that begins with a probe's name.
 * Waits are bounded by BENCH_PATIENCE_MS.
 */
#ifndef SLUICE_PROBE_TALK_H
#define SLUICE_PROBE_TALK_H

#include "probe_bench.h"

/* Have a new connection that the application has accepted. */
const char *talk_connect(struct bench *bench, const struct bench_buffers *buffers);

/* The client sends a request without a key: kept open, or with "Connection: close". */
const char *talk_send_refused(struct bench *bench);
const char *talk_send_refused_last(struct bench *bench);

/* The client sends a request with the key, or `from` to `to` of its bytes; returns all its bytes. */
const char *talk_send_admitted(struct bench *bench);
const char *talk_send_part(struct bench *bench, size_t from, size_t to);
size_t talk_admitted_length(const struct bench *bench);

/* Wait until all that the client has sent has come to the server's TCP, and was judged. */
const char *talk_await_judged(struct bench *bench);

/* The application reads: an admitted request as it may see it, or finds that nothing is there. */
const char *talk_application_reads(struct bench *bench);
const char *talk_application_reads_nothing(struct bench *bench);

/* The bytes are an admitted request as the application may see it. */
const char *talk_judge_seen(const struct bench *bench, const char *bytes, size_t length);

/* poll(2) and, where unread is true, FIONREAD tell the application that there is nothing to read. */
const char *talk_application_is_left_alone(struct bench *bench, bool unread);

/* The application answers, and the client gets that answer with its headers. */
const char *talk_application_answers(struct bench *bench);
const char *talk_client_reads_answer(struct bench *bench);

/* The client gets the gate's answer to a request without a key. */
const char *talk_client_reads_refusal(struct bench *bench, enum reply_connection connection);

/* An admitted request and its answer, all as it should be. */
const char *talk_exchange(struct bench *bench);

/*
 * Match an answer of the application's at the begin of bytes, with the gate's headers behind its status
 * line or without them.
 *
 * ret_headers	whether it has them
 *
 * Returns its length with the headers; 0 where the bytes are something else.
 */
size_t talk_match_answer(const char *bytes, size_t size, const char *answer, size_t length,
			 bool *ret_headers);

#endif
