// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One relay hands over to the next: no connection is lost, whatever it is at. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "http_client.h"
#include "stand_in.h"

#define RELAY	    "sluiced-relay"
#define CONNECTIONS 50
#define PIPELINE    3
#define FILLER_MAX  8000 /* bytes of a head that goes on, of 16 KiB */

#define NOBODY	 65534
#define FLOODERS 2
#define FLOOD	 128 /* connections that each has at a time: more than any backlog here */
#define RESTARTS 4
#define START_MS 3000 /* longer than without them, on a processor that they share */

static const char *const half_heads[] = { "GET /half HTTP/1.1\r\nHost: a\r\nAuthor",
					  "ization: Bearer %s\r\n\r\n" };

static void send_half(struct client *client, int half, const struct key *key)
{
	client_printf(client, half_heads[half], key->text);
}

/* End the daemon, killed or told to, and start another, which replaces the relay. */
static void replace_relay(bool kill_daemon)
{
	pid_t relay = process_find(RELAY);

	assert_true(relay > 0);
	if (kill_daemon)
		daemon_kill();
	else
		daemon_stop();
	daemon_start();
	assert_false(process_runs(relay));
	assert_true(process_find(RELAY) > 0);
}

static void open_many(struct client *clients[CONNECTIONS], const struct application *application,
		      const struct key *key)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		clients[i] = client_open(application->port);
		assert_int_equal(client_get(clients[i], "/", key->text), 200);
	}
}

static void expect_answers(struct client *clients[CONNECTIONS], int count)
{
	struct response response;

	for (int i = 0; i < CONNECTIONS; i++) {
		for (int j = 0; j < count; j++) {
			assert_int_equal(client_read(clients[i], false, &response), 0);
			expect_admitted(&response, 200);
		}
	}
}

static void expect_day(const struct key *key, unsigned int count)
{
	unsigned int minute, day;

	key_used(key, &minute, &day);
	assert_int_equal(day, count);
}

/* Again and again, so that a relay hands over what was handed over to it. */
static void halves_over_restarts(void **state)
{
	struct client *clients[CONNECTIONS];
	struct key key = key_limited(10000, 100000);

	open_many(clients, *state, &key);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < CONNECTIONS; i++)
			send_half(clients[i], 0, &key);
		breathe();
		replace_relay(true);
		replace_relay(false);
		for (int i = 0; i < CONNECTIONS; i++)
			send_half(clients[i], 1, &key);
		expect_answers(clients, 1);
	}
	expect_day(&key, 3 * CONNECTIONS);
}

/* In a process of its own: send a head's bytes on all connections one by one until told to stop. */
static pid_t send_filler(struct client *clients[CONNECTIONS], int stop)
{
	struct pollfd told = { .fd = stop, .events = POLLIN };
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	for (int sent = 0; sent < FILLER_MAX && !poll(&told, 1, 1); sent++) {
		for (int i = 0; i < CONNECTIONS; i++) {
			if (send(clients[i]->fd, "x", 1, MSG_NOSIGNAL) != 1)
				_exit(EXIT_FAILURE);
		}
	}
	_exit(EXIT_SUCCESS);
}

/* Heads that go on while the relay is replaced, and first bytes of others that come meanwhile. */
static void bytes_during_restarts(void **state)
{
	struct client *clients[CONNECTIONS];
	struct key key = key_limited(10000, 100000);
	int stop[2], status;
	pid_t sender;

	open_many(clients, *state, &key);
	for (int i = 0; i < CONNECTIONS; i++)
		client_printf(clients[i],
			      "GET /during HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nX: ",
			      key.text);
	assert_int_equal(pipe(stop), 0);
	sender = send_filler(clients, stop[0]);
	replace_relay(true);
	replace_relay(false);
	assert_int_equal(write(stop[1], "", 1), 1);
	assert_int_equal(waitpid(sender, &status, 0), sender);
	assert_int_equal(status, 0);
	close(stop[0]);
	close(stop[1]);
	for (int i = 0; i < CONNECTIONS; i++)
		client_printf(clients[i], "\r\n\r\n");
	expect_answers(clients, 1);
	expect_day(&key, 2 * CONNECTIONS);
	expect_seen(*state, "/during", CONNECTIONS);
}

/* Send a signal to an application and the processes it has started. */
static void signal_application(const struct application *application, int signal)
{
	char path[64];
	FILE *children;
	int child;

	kill(application->pid, signal);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", application->pid,
		 application->pid);
	children = fopen(path, "re");
	assert_non_null(children);
	while (fscanf(children, "%d", &child) == 1)
		kill(child, signal);
	fclose(children);
}

/* The second of two requests is with the relay until the first is answered. */
static void slow_answers(void)
{
	struct key key = key_limited(10000, 100000);
	char request[1024], text[512];
	struct response response;
	struct client *client;
	int server;

	stand_in_listen();
	client = stand_in_meet(&server);
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 2; i++)
			client_printf(client,
				      "GET /%d HTTP/1.1\r\nHost: a\r\n"
				      "Authorization: Bearer %s\r\n\r\n",
				      i, key.text);
		for (int i = 0; i < 2; i++) {
			snprintf(text, sizeof(text), "GET /%d ", i);
			stand_in_read(server, "\r\n\r\n", request, sizeof(request));
			assert_ptr_equal(strstr(request, text), request);
			assert_true(stand_in_is_spared(server, 50));
			replace_relay(round % 2);
			assert_true(stand_in_is_spared(server, 50));
			stand_in_write(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
			assert_int_equal(client_read(client, false, &response), 0);
			expect_admitted(&response, 200);
		}
	}
	stand_in_leave();
	expect_day(&key, 8);
}

/*
 * Requests that wait for the answer to the one before, while the application takes its time. One that
 * blocks in recv() may be told EAGAIN when it is stopped in it, so the test takes its place.
 */
static void pipelines_over_restarts(void **state)
{
	const struct application *application = *state;
	struct client *clients[CONNECTIONS];
	struct key key = key_limited(10000, 100000);

	if (application == &applications[THREADED]) {
		slow_answers();
		return;
	}
	open_many(clients, application, &key);
	for (int round = 0; round < 2; round++) {
		signal_application(application, SIGSTOP);
		for (int i = 0; i < PIPELINE * CONNECTIONS; i++)
			client_printf(clients[i % CONNECTIONS],
				      "GET /turn HTTP/1.1\r\nHost: a\r\n"
				      "Authorization: Bearer %s\r\n\r\n",
				      key.text);
		breathe();
		replace_relay(round == 0);
		signal_application(application, SIGCONT);
		expect_answers(clients, PIPELINE);
	}
	expect_day(&key, (1 + 2 * PIPELINE) * CONNECTIONS);
	expect_seen(application, "/turn", 2 * PIPELINE * CONNECTIONS);
}

/* --- strangers ---------------------------------------------------------------------------------- */

/* Connect to a name as often as it is taken, without waiting, and let go of all of it. */
static void flood(int type, const struct sockaddr_un *address, socklen_t length)
{
	int connections[FLOOD], count = 0;

	for (; count < FLOOD; count++) {
		connections[count] = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(connections[count], (const struct sockaddr *)address, length)) {
			close(connections[count]);
			break;
		}
	}
	while (count)
		close(connections[--count]);
}

/* A line of /proc/net/unix: flood what has a name there. Abstract ones begin with a NUL, shown as '@'. */
static void flood_line(const char *line)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char name[sizeof(address.sun_path)];
	size_t length;
	int type;

	if (sscanf(line, "%*x: %*x %*x %*x %x %*x %*u %107s", (unsigned int *)&type, name) != 2)
		return;
	length = strlen(name);
	memcpy(address.sun_path, name, length);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	else
		length++; /* with the NUL that ends it */
	flood(type, &address, offsetof(struct sockaddr_un, sun_path) + length);
}

/* In a process of another user's: connect to whatever there is, until killed. */
static pid_t start_flooder(void)
{
	pid_t pid = fork();
	char line[512];

	assert_true(pid >= 0);
	if (pid)
		return pid;
	/* It is to take names, not the processor. */
	if (nice(19) < 0 || setresuid(NOBODY, NOBODY, NOBODY) || prctl(PR_SET_PDEATHSIG, SIGKILL))
		_exit(EXIT_FAILURE);
	for (;;) {
		FILE *sockets = fopen("/proc/net/unix", "re");

		while (sockets && fgets(line, sizeof(line), sockets))
			flood_line(line);
		if (sockets)
			fclose(sockets);
	}
}

/* How long a restart takes, in milliseconds. */
static uint64_t restart(void)
{
	daemon_kill();
	return daemon_start();
}

/* Each restart hands over, and waits for nobody; it takes longer than alone for want of a processor. */
static void strangers(void **state)
{
	struct client *clients[CONNECTIONS];
	struct key key = key_limited(10000, 100000);
	pid_t flooders[FLOODERS];
	uint64_t alone_ms, longest_ms = 0;

	(void)state;
	if (applications[NGINX].missing)
		skip();
	open_many(clients, &applications[NGINX], &key);
	alone_ms = restart();
	for (int i = 0; i < FLOODERS; i++)
		flooders[i] = start_flooder();
	for (int i = 0; i < RESTARTS; i++) {
		uint64_t ms;

		for (int j = 0; j < CONNECTIONS; j++)
			send_half(clients[j], 0, &key);
		breathe();
		ms = restart();
		longest_ms = ms > longest_ms ? ms : longest_ms;
		for (int j = 0; j < CONNECTIONS; j++)
			send_half(clients[j], 1, &key);
		expect_answers(clients, 1);
	}
	for (int i = 0; i < FLOODERS; i++)
		process_stop(flooders[i], SIGKILL);
	printf("# figure: %d restarts among strangers: %llu ms at most, %llu ms without them\n",
	       RESTARTS, (unsigned long long)longest_ms, (unsigned long long)alone_ms);
	expect_day(&key, (1 + RESTARTS) * CONNECTIONS);
	assert_true(longest_ms <= alone_ms + START_MS * (emulated() ? 10 : 1));
}

/* A relay that does not end when it is asked keeps no daemon: it goes on, and is replaced later. */
static void relay_stopped(void **state)
{
	struct client *client = client_open(applications[NGINX].port);
	uint64_t end_ms = monotonic_ms() + 6 * PATIENCE_MS;
	struct key key = key_limited(1000, 10000);
	pid_t relay = process_find(RELAY);
	struct response response;

	(void)state;
	assert_int_equal(kill(relay, SIGSTOP), 0);
	send_half(client, 0, &key);
	daemon_stop();
	daemon_start();
	assert_int_equal(process_find(RELAY), relay);
	assert_int_equal(kill(relay, SIGCONT), 0);
	send_half(client, 1, &key);
	assert_int_equal(client_read(client, false, &response), 0);
	expect_admitted(&response, 200);
	while ((process_runs(relay) || !process_find(RELAY)) && monotonic_ms() < end_ms)
		breathe();
	assert_false(process_runs(relay));
	assert_true(process_find(RELAY) > 0);
	assert_int_equal(client_get(client, "/", key.text), 200);
}

static const struct promise promises[] = {
	{ "heads in two halves are judged by the relay of the next daemon, and the one after",
	  halves_over_restarts, EACH_APPLICATION },
	{ "heads that go on while the relay is replaced lose no byte", bytes_during_restarts,
	  EACH_APPLICATION },
	{ "requests that wait for their turn wait on with the next relay", pipelines_over_restarts,
	  EACH_APPLICATION },
	{ "another user who connects to whatever there is delays no start, and loses no half head",
	  strangers, ONCE },
	{ "a relay that does not answer keeps no daemon from starting, and is replaced once it "
	  "does",
	  relay_stopped, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
