/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The probes about what the relay needs of the kernel (bpf/handoff.bpf.h). */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "probe.h"
#include "probe_talk.h"
#include "relay_sockets.h"

/* No socket has it: they are numbered from 1 (sock_gen_cookie). */
#define NO_COOKIE 0

/* Nothing can be sent on the sink, so that what is redirected to it is eaten and wakes nobody. */
const char *probe_sink(struct bench *bench)
{
	bench_inject(bench, &(struct injection){ .kind = INJECT_SINK }, NULL, 0);
	return relay_sink_await_broken(bench->sink[0]) ? "a socket whose sending side is shut goes "
							 "on taking what is redirected to it"
						       : NULL;
}

static const char *await_kept(struct bench *bench, size_t length)
{
	while (bench->kept_length < length)
		if (!bench_relay(bench))
			return "bytes that cannot be judged yet are not handed up";
	return NULL;
}

/* What cannot be done at once is tried again. */
static const char *inject(struct bench *bench, enum injection_kind kind)
{
	const struct injection injection = { .cookie = bench_cookie(bench),
					     .kind = kind,
					     .number = bench->kept_length };
	const void *bytes = kind == INJECT_BYTES ? bench->kept : NULL;
	uint64_t deadline = bench_deadline();

	for (;;) {
		switch (bench_inject(bench, &injection, bytes, bench->kept_length)) {
		case INJECTED_TAKEN:
			return NULL;
		case INJECTED_WAIT:
			break;
		case INJECTED_LOST:
			return "bytes that were judged are not given to the application";
		default:
			return "bytes that are sent back in are not judged";
		}
		if (bench_is_over(deadline))
			return "bytes that are sent back in stay under way";
		bench_breathe();
	}
}

/* What is for a connection that has ended fails, and that alone: what is sent behind it arrives. */
static const char *fail_alone(struct bench *bench)
{
	const struct delivering delivery = { .cookie = NO_COOKIE, .left = 1 };
	__u32 zero = 0;

	if (bpf_map_update_elem(bpf_map__fd(bench->programs->maps.delivering), &zero, &delivery,
				BPF_ANY))
		return "what is to be sent on cannot be said";
	if (send(bench->deliverer[0], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno != EPIPE)
		return "what is sent to a connection that has ended does not fail as it should";
	return NULL;
}

/* A head in two pieces is handed up, sent back in, and read in order; then the fast path goes on. */
const char *probe_injection(struct bench *bench)
{
	size_t length = talk_admitted_length(bench), half = length / 2;
	const char *wrong = talk_connect(bench, NULL);

	if (!wrong)
		wrong = talk_send_part(bench, 0, half);
	if (!wrong)
		wrong = await_kept(bench, half);
	if (!wrong)
		wrong = talk_application_reads_nothing(bench);
	if (!wrong)
		wrong = talk_send_part(bench, half, length);
	if (!wrong)
		wrong = await_kept(bench, length);
	if (!wrong)
		wrong = fail_alone(bench);
	if (!wrong)
		wrong = inject(bench, INJECT_BYTES);
	if (!wrong)
		wrong = talk_application_reads(bench);
	if (!wrong)
		wrong = inject(bench, INJECT_RELEASE);
	if (!wrong)
		wrong = talk_application_answers(bench);
	if (!wrong)
		wrong = talk_client_reads_answer(bench);
	return wrong ? wrong : talk_exchange(bench);
}

/* A thread of an application that sleeps in recv(). */
struct sleeper {
	int fd;
	int thread; /* its id; 0: it does not sleep yet */
	char bytes[1024];
	ssize_t length; /* what recv() returned */
	bool over;	/* it has */
};

static void *sleep_in_recv(void *data)
{
	struct sleeper *sleeper = data;

	__atomic_store_n(&sleeper->thread, gettid(), __ATOMIC_SEQ_CST);
	sleeper->length = recv(sleeper->fd, sleeper->bytes, sizeof(sleeper->bytes), 0);
	__atomic_store_n(&sleeper->over, true, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Whether the thread sleeps, as proc(5) tells. */
static bool is_asleep(const struct sleeper *sleeper)
{
	int thread = __atomic_load_n(&sleeper->thread, __ATOMIC_SEQ_CST);
	char path[64], state = ' ';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", thread);
	file = thread ? fopen(path, "re") : NULL;
	if (!file)
		return false;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = ' ';
	fclose(file);
	return state == 'S';
}

/* Wait until the thread sleeps, or has been told something. One that was woken runs first. */
static const char *await_asleep(const struct sleeper *sleeper)
{
	uint64_t deadline = bench_deadline();

	while (!is_asleep(sleeper) && !__atomic_load_n(&sleeper->over, __ATOMIC_SEQ_CST)) {
		if (bench_is_over(deadline))
			return "the application does not come to sleep in recv()";
		bench_breathe();
	}
	return NULL;
}

static const char *refuse_asleep(struct bench *bench, const struct sleeper *sleeper)
{
	const char *wrong = await_asleep(sleeper);

	if (!wrong)
		wrong = talk_send_refused(bench);
	if (!wrong && !bench_relay(bench))
		wrong = "a refused request is not eaten in silence";
	if (!wrong)
		wrong = talk_client_reads_refusal(bench, REPLY_IMPLICIT);
	bench_breathe();
	if (!wrong)
		wrong = await_asleep(sleeper);
	return wrong ? wrong : talk_send_admitted(bench);
}

const char *probe_sleeps_on(struct bench *bench)
{
	const struct timeval patience = { .tv_sec = BENCH_PATIENCE_MS / 1000 };
	const char *wrong = talk_connect(bench, NULL);
	struct sleeper sleeper = { .fd = bench->server };
	pthread_t thread;

	if (wrong)
		return wrong;
	if (setsockopt(bench->server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    pthread_create(&thread, NULL, sleep_in_recv, &sleeper))
		return "a thread cannot be made";
	wrong = refuse_asleep(bench, &sleeper);
	pthread_join(thread, NULL);
	if (wrong)
		return wrong;
	if (sleeper.length < 0)
		return "an application that sleeps in recv() is told EAGAIN for a refused request";
	return talk_judge_seen(bench, sleeper.bytes, sleeper.length);
}
