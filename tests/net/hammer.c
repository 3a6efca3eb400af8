// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Many connections in several client processes, each asking as fast as answers come, each checking
 * every answer. Each connection is a thread with the blocking client.
 */
#include "http_client.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

/* Processes of hammers that were started and not stopped. */
static pid_t running[64];
static size_t running_count;

struct seat {
	const struct hammer *hammer;
	unsigned int number; /* of the connection, over all processes */
};

static void add(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_SEQ_CST);
}

static bool stopped(const struct tally *tally)
{
	return __atomic_load_n(&tally->stop, __ATOMIC_SEQ_CST);
}

/* Keep what the first answer that is not right looked like. */
static void note_wrong(struct tally *tally, const struct response *response)
{
	if (__atomic_fetch_add(&tally->wrong, 1, __ATOMIC_SEQ_CST))
		return;
	snprintf(tally->first_wrong, sizeof(tally->first_wrong), "%.*s", (int)response->head_length,
		 response->head);
}

static bool admitted_answer_is_right(const struct response *response)
{
	return response->status >= 200 && response->status < 300 &&
	       header_count(response, "X-RateLimit-Remaining") == 1 &&
	       header_count(response, "X-RateLimit-Reset") == 1 &&
	       header_number(response, "X-RateLimit-Remaining") >= 0 &&
	       header_count(response, "Retry-After") == 0;
}

static void judge(struct tally *tally, const struct response *response, uint64_t sent_ms)
{
	if (admitted_answer_is_right(response))
		add(&tally->admitted);
	else if (limit_answer_is_right(response, sent_ms, now_ms()))
		add(&tally->limited);
	else if (response->status == 401)
		add(&tally->unauthorized);
	else
		note_wrong(tally, response);
}

/* One request, in two segments where that is asked for, and its answer. Returns as client_ask(). */
static int ask_once(const struct seat *seat, struct client *client, struct response *ret_response)
{
	const struct hammer *hammer = seat->hammer;
	const char *key = hammer->keys[seat->number % hammer->key_count];
	char head[512];
	int length, error;

	if (!hammer->split || seat->number % 2)
		return client_ask(client, "GET", hammer->target, key, "", ret_response);
	length = snprintf(head, sizeof(head),
			  "GET %s HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer %s\r\n\r\n",
			  hammer->target, key);
	error = client_send(client, head, length / 2);
	if (!error)
		error = client_send(client, head + length / 2, length - length / 2);
	if (!error)
		error = client_read(client, false, ret_response);
	return error ? error : ret_response->status;
}

/* Ask over one connection until it ends, or all is to stop. */
static void ask_over(const struct seat *seat, struct client *client)
{
	const struct hammer *hammer = seat->hammer;
	struct timespec pause = { .tv_nsec = hammer->pause_us * 1000l };
	struct tally *tally = hammer->tally;
	struct response response;

	while (!stopped(tally)) {
		uint64_t sent_ms = now_ms();
		int status = ask_once(seat, client, &response);

		add(&tally->sent);
		if (status < 0) {
			add(&tally->closed);
			return;
		}
		judge(tally, &response, sent_ms);
		if (hammer->pause_us)
			nanosleep(&pause, NULL);
	}
}

static void *ask_on(void *argument)
{
	const struct seat *seat = argument;
	const struct hammer *hammer = seat->hammer;
	struct tally *tally = hammer->tally;
	struct client client;
	bool first = true;

	do {
		int error = client_connect(&client, hammer->port);

		if (first)
			add(&tally->ready);
		first = false;
		if (error) {
			add(&tally->closed);
			breathe();
			continue;
		}
		ask_over(seat, &client);
		client_close(&client);
	} while (hammer->reconnect && !stopped(tally));
	return NULL;
}

static void run_process(const struct hammer *hammer, unsigned int process)
{
	pthread_t *threads = calloc(hammer->connections, sizeof(*threads));
	struct seat *seats = calloc(hammer->connections, sizeof(*seats));

	for (unsigned int i = 0; i < hammer->connections; i++) {
		seats[i] = (struct seat){ hammer, process * hammer->connections + i };
		if (pthread_create(&threads[i], NULL, ask_on, &seats[i]))
			_exit(EXIT_FAILURE);
	}
	for (unsigned int i = 0; i < hammer->connections; i++)
		pthread_join(threads[i], NULL);
	_exit(EXIT_SUCCESS);
}

void hammer_start(struct hammer *hammer)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	uint64_t all = hammer->processes * hammer->connections;

	hammer->tally = mmap(NULL, sizeof(*hammer->tally), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(hammer->tally != MAP_FAILED);
	assert_true(hammer->processes <= ARRAY_SIZE(hammer->pids));
	for (unsigned int i = 0; i < hammer->processes; i++) {
		hammer->pids[i] = fork();
		assert_true(hammer->pids[i] >= 0);
		if (!hammer->pids[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			run_process(hammer, i);
		}
		assert_true(running_count < ARRAY_SIZE(running));
		running[running_count++] = hammer->pids[i];
	}
	while (__atomic_load_n(&hammer->tally->ready, __ATOMIC_SEQ_CST) < all) {
		assert_true(monotonic_ms() < end_ms);
		breathe();
	}
}

void hammer_stop(struct hammer *hammer)
{
	__atomic_store_n(&hammer->tally->stop, 1, __ATOMIC_SEQ_CST);
	for (unsigned int i = 0; i < hammer->processes; i++) {
		/* Signal 0 sends nothing: each ends with its last answers. */
		assert_int_equal(process_stop(hammer->pids[i], 0), 0);
		for (size_t n = 0; n < running_count; n++)
			if (running[n] == hammer->pids[i])
				running[n] = running[--running_count];
	}
}

void stop_all_hammers(void)
{
	while (running_count)
		process_stop(running[--running_count], SIGKILL);
}
