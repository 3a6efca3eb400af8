// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A flood of new connections with invalid keys from one source, and what it costs other clients: without
 * the shed, and with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "http_client.h"
#include "outside.h"

#define CLIENTS	       4   /* processes, of a connection each */
#define KEYS	       512 /* 10,000 a minute each: more than the clients can use */
#define FLOODERS       4
#define FLOOD_OPEN     64  /* connections that each has at once */
#define FLOOD_GIVEN_UP 100 /* ms after which a connection is tried anew */
#define ROUNDS	       3
#define PHASE_MS       2000
#define SETTLE_MS      500
#define PORT	       (applications[NGINX].port)

#define SHED_ON "[shed]\ninterfaces = " OUTSIDE_INTERFACE "\nrefusals = 200\nseconds = 10\n"

/* Shared with the processes. */
struct shared {
	uint64_t answered; /* of the clients' requests, with 200 */
	uint64_t wrong;
};

static struct shared *shared;
static struct key keys[KEYS];
static pid_t children[CLIENTS + FLOODERS];
static size_t child_count;

static void add_to(uint64_t *number)
{
	__atomic_fetch_add(number, 1, __ATOMIC_RELAXED);
}

static uint64_t read_number(uint64_t *number)
{
	return __atomic_load_n(number, __ATOMIC_RELAXED);
}

/* Run in a process of its own that ends with this one. */
static void spawn(void (*run)(unsigned int index), unsigned int index)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid) {
		children[child_count++] = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run(index);
	_exit(EXIT_SUCCESS);
}

/* End all that were spawned from that one on. */
static void end_children(size_t from)
{
	while (child_count > from) {
		kill(children[--child_count], SIGKILL);
		waitpid(children[child_count], NULL, 0);
	}
}

/* One request after another on one connection, keys in turn so that no limit is reached. */
static void ask(unsigned int index)
{
	struct client *client = outside_connect(OUTSIDE_GOOD, PORT, PATIENCE_MS);

	for (unsigned int i = index; client; i += CLIENTS)
		if (client_get(client, "/", keys[i % KEYS].text) == 200)
			add_to(&shared->answered);
		else
			add_to(&shared->wrong);
}

/* --- the flood ------------------------------------------------------------------------------------- */

struct attempt {
	int fd; /* -1: none */
	bool sent;
	uint64_t begun_ms;
};

static void give_up(struct attempt *attempt)
{
	const struct linger reset = { .l_onoff = 1 };

	if (attempt->fd >= 0) {
		setsockopt(attempt->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(attempt->fd);
	}
	attempt->fd = -1;
}

static void try(struct attempt *attempt)
{
	give_up(attempt);
	attempt->fd = outside_begin(OUTSIDE_BAD, PORT);
	attempt->sent = false;
	attempt->begun_ms = monotonic_ms();
}

/* What can be done on a connection now; a refused one makes place for the next. */
static void go_on(struct attempt *attempt, short events)
{
	static const char request[] =
		"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer gx_nobody\r\n\r\n";

	if (attempt->sent && events & POLLIN) {
		try(attempt);
	} else if (events & (POLLERR | POLLHUP) ||
		   monotonic_ms() - attempt->begun_ms > FLOOD_GIVEN_UP) {
		try(attempt);
	} else if (!attempt->sent && events & POLLOUT) {
		attempt->sent = true;
		if (send(attempt->fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
			try(attempt);
	}
}

static void flood(unsigned int index)
{
	struct attempt attempts[FLOOD_OPEN];
	struct pollfd polled[FLOOD_OPEN];

	outside_enter();
	for (size_t i = 0; i < FLOOD_OPEN; i++) {
		attempts[i].fd = -1;
		try(&attempts[i]);
	}
	for (;;) {
		for (size_t i = 0; i < FLOOD_OPEN; i++)
			polled[i] =
				(struct pollfd){ .fd = attempts[i].fd,
						 .events = attempts[i].sent ? POLLIN : POLLOUT };
		poll(polled, FLOOD_OPEN, FLOOD_GIVEN_UP / 4);
		for (size_t i = 0; i < FLOOD_OPEN; i++)
			go_on(&attempts[i], polled[i].revents);
	}
}

/* --- what it costs --------------------------------------------------------------------------------- */

static void pause_ms(uint64_t ms)
{
	sleep_until_ms(now_ms() + ms);
}

/* Answers a second that the clients get. */
static double measure(void)
{
	uint64_t before, begin_us, end_us;

	pause_ms(SETTLE_MS);
	before = read_number(&shared->answered);
	begin_us = monotonic_us();
	pause_ms(PHASE_MS);
	end_us = monotonic_us();
	return (read_number(&shared->answered) - before) * 1e6 / (end_us - begin_us);
}

static double measure_flooded(void)
{
	size_t quiet = child_count;
	double rate;

	for (unsigned int i = 0; i < FLOODERS; i++)
		spawn(flood, i);
	rate = measure();
	end_children(quiet);
	return rate;
}

static void reload(const char *configuration)
{
	char answer[4096];

	daemon_configure(configuration);
	assert_int_equal(api("POST", "/v1/reload", NULL, answer, sizeof(answer)), 200);
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(*values), compare);
	return values[ROUNDS / 2];
}

static void costs(void **state)
{
	double quiet[ROUNDS], flooded[ROUNDS], shed[ROUNDS], base;
	char answer[4096];

	(void)state;
	/* On an emulated processor there is no flood that is worth the name. */
	if (emulated())
		skip();
	outside_make();
	daemon_release = true;
	daemon_start();
	for (size_t i = 0; i < KEYS; i++)
		keys[i] = key_limited(10000, 100000);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	for (unsigned int i = 0; i < CLIENTS; i++)
		spawn(ask, i);
	for (int i = 0; i < ROUNDS; i++) {
		reload("");
		quiet[i] = measure();
		flooded[i] = measure_flooded();
		reload(SHED_ON);
		shed[i] = measure_flooded();
		assert_int_equal(
			api("DELETE", "/v1/shed/" OUTSIDE_BAD, NULL, answer, sizeof(answer)), 200);
	}
	end_children(0);
	daemon_release = false;
	base = median(quiet);
	printf("# figure: other clients, requests a second: %.0f; with a flood of new connections "
	       "%.0f, which is %.2f; with the flood shed %.0f, which is %.2f, asked >= 0.90\n",
	       base, median(flooded), median(flooded) / base, median(shed), median(shed) / base);
	assert_int_equal(shared->wrong, 0);
	assert_true(median(shed) > median(flooded));
}

static const struct promise promises[] = {
	{ "a flood that is shed costs other clients little", costs, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
