/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <linux/sockios.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../bpf/conn.bpf.h"
#include "probe_talk.h"
#include "util.h"

/* How far the programs' clock may be from CLOCK_REALTIME, milliseconds: both are read to the one. */
#define CLOCK_OFF_MAX 2

#define BEHIND_ANSWER_TRIES 5

/* --- which connections are gated --------------------------------------------------------------- */

static const char *enrolment(struct bench *bench)
{
	const char *wrong = talk_connect(bench, NULL);
	uint64_t cookie = bench_cookie(bench);
	struct conn conn;
	__u64 value;

	if (wrong)
		return wrong;
	if (bpf_map_lookup_elem(bpf_map__fd(bench->programs->maps.conns), &cookie, &conn) ||
	    bpf_map_lookup_elem(bpf_map__fd(bench->programs->maps.socks), &cookie, &value))
		return "a connection to a gated port is not put into the sockhash";
	return NULL;
}

/* A connection from before its port was gated gets nothing. */
static const char *guard(struct bench *bench)
{
	uint64_t dropped = bench_count(bench, COUNTER_GUARD_DROPPED), deadline;
	const char *wrong;

	if (bench_drop_gate(bench))
		return "a gate cannot be taken away";
	wrong = talk_connect(bench, NULL);
	if (bench_put_gate(bench))
		return "a gate cannot be put in force";
	if (!wrong)
		wrong = talk_send_admitted(bench);
	deadline = bench_deadline();
	while (!wrong && bench_count(bench, COUNTER_GUARD_DROPPED) == dropped) {
		wrong = talk_application_reads_nothing(bench);
		if (!wrong && bench_is_over(deadline))
			wrong = "what comes to a connection that is not gated is not dropped";
		bench_breathe();
	}
	return wrong ? wrong : talk_application_reads_nothing(bench);
}

/* --- requests and answers ---------------------------------------------------------------------- */

/* A request is judged before the application can read it. */
static const char *verdict(struct bench *bench)
{
	const char *wrong = talk_connect(bench, NULL);

	if (!wrong)
		wrong = talk_send_refused(bench);
	if (!wrong)
		wrong = talk_await_judged(bench);
	if (!wrong)
		wrong = talk_application_reads_nothing(bench);
	if (!wrong)
		wrong = talk_connect(bench, NULL);
	if (!wrong)
		wrong = talk_send_admitted(bench);
	return wrong ? wrong : talk_application_reads(bench);
}

/* Who waits for an admitted request is woken. Edges are told by the kernel alone, never looked for. */
static const char *wake_up(struct bench *bench)
{
	_cleanup_close_ int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	const char *wrong = talk_connect(bench, NULL);

	if (wrong)
		return wrong;
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, bench->server, &event) ||
	    epoll_wait(epoll, &event, 1, 0))
		return "epoll tells of a request before there is one";
	wrong = talk_send_admitted(bench);
	if (!wrong && epoll_wait(epoll, &event, 1, BENCH_PATIENCE_MS) != 1)
		wrong = "the application is not woken for an admitted request";
	return wrong ? wrong : talk_application_reads(bench);
}

/*
 * Make a check that sends another request behind an answer of the gate's. That one goes to the relay
 * where the client has the answer before the kernel's worker is done with it: then once more.
 */
static const char *make_behind_answer(struct bench *bench, const char *(*check)(struct bench *))
{
	const char *wrong = NULL;

	for (int i = 0; i < BEHIND_ANSWER_TRIES; i++) {
		uint64_t handed = bench_count(bench, COUNTER_HANDED_UP);

		wrong = check(bench);
		if (!wrong || bench_count(bench, COUNTER_HANDED_UP) == handed)
			break;
	}
	return wrong;
}

static const char *exchange_behind_answer(struct bench *bench)
{
	bench_breathe();
	return talk_exchange(bench);
}

static const char *refused_and_goes_on(struct bench *bench)
{
	const char *wrong = talk_connect(bench, NULL);

	if (!wrong)
		wrong = talk_send_refused(bench);
	if (!wrong)
		wrong = talk_client_reads_refusal(bench, REPLY_IMPLICIT);
	if (!wrong)
		wrong = talk_application_is_left_alone(bench, true);
	return wrong ? wrong : exchange_behind_answer(bench);
}

/* A refused request turns into the gate's answer, and nothing is left of it. */
static const char *answer(struct bench *bench)
{
	return make_behind_answer(bench, refused_and_goes_on);
}

/* The programs' clock, by when the key was used last. */
static const char *clock_runs(struct bench *bench)
{
	const char *wrong = talk_connect(bench, NULL);
	uint64_t before = now_ms(), after;
	struct key_usage usage = { 0 };
	uint64_t used_ms;
	__u32 slot = 0;

	if (!wrong)
		wrong = talk_exchange(bench);
	after = now_ms();
	if (wrong)
		return wrong;
	if (bpf_map_lookup_elem(bpf_map__fd(bench->programs->maps.usage), &slot, &usage))
		return strerror(errno);
	used_ms = limit_last_used(usage.windows, usage.last_used);
	if (used_ms + CLOCK_OFF_MAX < before || used_ms > after + CLOCK_OFF_MAX)
		return "the time that programs get is not CLOCK_REALTIME";
	return NULL;
}

/* The application's answer grows by the headers, and the application does not see that. */
static const char *headers(struct bench *bench)
{
	const char *wrong = talk_connect(bench, NULL);

	for (int i = 0; !wrong && i < 3; i++)
		wrong = talk_exchange(bench);
	return wrong;
}

/* An open connection is judged by the program that was put in place last: here, by none. */
static const char *replacement(struct bench *bench)
{
	struct sluice_bpf *programs = bench->programs;
	int place = bpf_map__fd(programs->maps.verdict_program);
	int program = bpf_program__fd(programs->progs.sluice_verdict);
	const char *wrong = talk_connect(bench, NULL);
	__u32 zero = 0;

	if (!wrong)
		wrong = talk_exchange(bench);
	if (!wrong && bpf_map_delete_elem(place, &zero))
		wrong = "a program cannot be taken out of its place";
	if (!wrong)
		wrong = talk_send_admitted(bench);
	if (!wrong)
		wrong = talk_await_judged(bench);
	if (!wrong && talk_application_reads_nothing(bench))
		wrong = "an open connection keeps the program that was replaced";
	if (bpf_map_update_elem(place, &zero, &program, BPF_ANY))
		return "a program cannot be put into its place";
	/* On that connection bytes are missing now: the gate lets nothing in behind them. */
	if (!wrong)
		wrong = talk_connect(bench, NULL);
	return wrong ? wrong : talk_exchange(bench);
}

/* --- before accept(), and the end -------------------------------------------------------------- */

static const char *await_acknowledged(struct bench *bench)
{
	uint64_t deadline = bench_deadline();
	int unacknowledged = 0;

	while (ioctl(bench->client, SIOCOUTQ, &unacknowledged) || unacknowledged) {
		if (bench_is_over(deadline))
			return "what the client sends does not come to the server";
		bench_breathe();
	}
	return NULL;
}

static const char *accepted_late(struct bench *bench)
{
	const char *wrong = bench_connect(bench, NULL) ? NULL : "a client cannot connect";

	if (!wrong)
		wrong = talk_send_refused(bench);
	if (!wrong)
		wrong = await_acknowledged(bench);
	if (!wrong && !bench_accept(bench, NULL))
		wrong = "a connection cannot be accepted";
	if (!wrong)
		wrong = talk_application_reads_nothing(bench);
	if (!wrong)
		wrong = talk_client_reads_refusal(bench, REPLY_IMPLICIT);
	if (!wrong)
		wrong = talk_application_is_left_alone(bench, false);
	return wrong ? wrong : exchange_behind_answer(bench);
}

/* Who sleeps in recv() sleeps through a refused request, and gets the next. */
static const char *silence(struct bench *bench)
{
	return make_behind_answer(bench, probe_sleeps_on);
}

/* What came before accept() is judged when the application reads, and then forgotten. */
static const char *before_accept(struct bench *bench)
{
	return make_behind_answer(bench, accepted_late);
}

/* An answer that ends the connection makes the application close, and the client gets an end-of-file. */
static const char *closing(struct bench *bench)
{
	const char *wrong = talk_connect(bench, NULL);
	char byte;

	if (!wrong)
		wrong = talk_send_refused_last(bench);
	if (!wrong)
		wrong = talk_client_reads_refusal(bench, REPLY_CLOSE);
	if (wrong)
		return wrong;
	if (!bench_await(bench->server, POLLIN) || recv(bench->server, &byte, 1, MSG_DONTWAIT) > 0)
		return "the application is not told that a connection has ended";
	close(bench->server);
	bench->server = -1;
	if (!bench_await(bench->client, POLLIN) || recv(bench->client, &byte, 1, MSG_DONTWAIT))
		return "the client does not get an end-of-file behind its last answer";
	return NULL;
}

/* Connections that have ended leave nothing. */
static const char *records(struct bench *bench)
{
	int conns = bpf_map__fd(bench->programs->maps.conns);
	int enrolments = bpf_map__fd(bench->programs->maps.enrolment);
	uint64_t deadline = bench_deadline();
	struct enrolment state = { 0 };
	__u64 cookie;
	__u32 zero = 0;

	bench_disconnect(bench);
	while (!bpf_map_get_next_key(conns, NULL, &cookie) ||
	       bpf_map_lookup_elem(enrolments, &zero, &state) || state.open) {
		if (bench_is_over(deadline))
			return "a connection that has ended leaves its record";
		bench_breathe();
	}
	return NULL;
}

/* --- all of them ------------------------------------------------------------------------------- */

const struct kernel_probe kernel_probes[] = {
	{ "enrolment", enrolment },
	{ "guard", guard },
	{ "verdict", verdict },
	{ "wake-up", wake_up },
	{ "answer", answer },
	{ "clock", clock_runs },
	{ "headers", headers },
	{ "whole-answers", probe_whole_answers },
	{ "replacement", replacement },
	{ "sink", probe_sink },
	{ "injection", probe_injection },
	{ "silence", silence },
	{ "before-accept", before_accept },
	{ "closing", closing },
	{ "records", records },
};
const size_t kernel_probe_count = ARRAY_SIZE(kernel_probes);

static int explain(const struct kernel_probe *probe, const char *wrong, char *why, size_t why_size)
{
	struct utsname kernel = { .release = "" };

	uname(&kernel);
	snprintf(why, why_size,
		 "The probe \"%s\" failed: %s. Sluice does not start on this kernel, %s: the gate "
		 "could not be relied on. See Probes in sluiced(8).",
		 probe->name, wrong, kernel.release);
	return -ENOTSUP;
}

int probe_kernel(unsigned int *ret_ms, char *why, size_t why_size)
{
	uint64_t start_ms = monotonic_ms();
	struct bench *bench;
	const char *wrong;
	int r = bench_open(&bench, why, why_size);

	if (r)
		return r;
	for (size_t i = 0; !r && i < kernel_probe_count; i++) {
		wrong = kernel_probes[i].check(bench);
		if (wrong)
			r = explain(&kernel_probes[i], wrong, why, why_size);
	}
	bench_close(bench);
	if (!r)
		*ret_ms = monotonic_ms() - start_ms;
	return r;
}
