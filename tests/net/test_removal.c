// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The gate goes: what is under way ends whole, and nothing is left. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "bpf_left.h"
#include "drained.h"
#include "stand_in.h"

#define RELAY "sluiced-relay"

/* Nothing of the gate is left: in the kernel, among processes, or in the folder. */
static void expect_nothing_left(const struct bpf_objects *objects)
{
	assert_true(access(stage.pins, F_OK));
	assert_int_equal(process_find(RELAY), 0);
	expect_no_bpf_objects(objects);
}

static int await_exit(pid_t pid)
{
	int status = process_stop(pid, 0);

	return status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* By the time that it takes by itself. */
static void gate_goes(void **state)
{
	struct bpf_objects objects;
	struct stand stand;
	pid_t remove;

	(void)state;
	daemon_start();
	stand = prepare();
	bpf_objects_find(&objects);
	assert_true(objects.map_count > 15);
	assert_true(objects.program_count > 5);
	assert_int_equal(objects.link_count, 3);
	daemon_stop();
	remove = daemon_begin_remove(NULL);
	expect_ended(stand.idle);
	assert_false(lets_in(stand.port));
	assert_true(process_runs(remove));
	finish_answer(&stand);
	expect_ended(stand.busy);
	assert_int_equal(await_exit(remove), 0);
	expect_nothing_left(&objects);
	stand_in_leave();
	assert_int_equal(client_get(client_open(stand.port), "/", NULL), 200);
}

static void gate_time_is_up(void **state)
{
	struct bpf_objects objects;
	struct stand stand;
	uint64_t begin_ms;

	(void)state;
	daemon_start();
	stand = prepare();
	bpf_objects_find(&objects);
	daemon_stop();
	begin_ms = monotonic_ms();
	assert_int_equal(await_exit(daemon_begin_remove("1")), 0);
	assert_in_range(monotonic_ms() - begin_ms, 1000, 8000);
	assert_true(count_lines(stage.daemon_log, "1 connections are not at their end"));
	expect_ended(stand.busy);
	stand_in_leave();
	expect_nothing_left(&objects);
}

/* Time is up when it is up, whether or not it ran meanwhile. */
static void time_is_up_while_stopped(void **state)
{
	struct stand stand;
	uint64_t begin_ms;
	pid_t remove;

	(void)state;
	daemon_start();
	stand = prepare();
	daemon_stop();
	remove = daemon_begin_remove("4");
	expect_ended(stand.idle);
	begin_ms = monotonic_ms();
	kill(remove, SIGSTOP);
	while (monotonic_ms() < begin_ms + 4500)
		breathe();
	kill(remove, SIGCONT);
	assert_int_equal(await_exit(remove), 0);
	assert_true(monotonic_ms() < begin_ms + 4500 + 3000);
	stand_in_leave();
}

/* Ctrl-C: what was draining goes on. */
static void interrupted(void **state)
{
	struct response response;
	struct stand stand;
	pid_t remove;
	int server;

	(void)state;
	daemon_start();
	stand = prepare();
	daemon_stop();
	remove = daemon_begin_remove("60");
	expect_ended(stand.idle);
	kill(remove, SIGINT);
	assert_int_equal(await_exit(remove), 1);
	assert_true(count_lines(stage.daemon_log, "Interrupted: the gate stands as before."));
	finish_answer(&stand);
	ask(stand.busy, &stand.key);
	stand_in_write(stand.server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(client_read(stand.busy, false, &response), 0);
	expect_admitted(&response, 200);
	stand_in_meet(&server);
	stand_in_leave();
	assert_int_equal(client_get(client_open(stand.port), "/", NULL), 401);
	daemon_start();
}

/* Large answers, half heads and pipelines at the moment at which the gate goes. */
static void whole_answers(void **state)
{
	enum { CLIENTS = 30 };
	const struct application *application = *state;
	struct client *clients[CLIENTS];
	struct bpf_objects objects;
	struct response response;
	struct key key;
	pid_t remove;

	daemon_start();
	key = key_limited(1000, 10000);
	bpf_objects_find(&objects);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = client_open(application->port);
		if (i % 3 == 0) /* an answer that its client does not read yet */
			client_printf(clients[i],
				      "GET /large HTTP/1.1\r\nHost: a\r\n"
				      "Authorization: Bearer %s\r\n\r\n",
				      key.text);
		if (i % 3 == 1) /* the begin of a head */
			client_printf(clients[i], "GET / HTTP/1.1\r\nHost: a\r\nAuthor");
		if (i % 3 == 2)
			assert_int_equal(client_get(clients[i], "/", key.text), 200);
	}
	breathe();
	daemon_stop();
	remove = daemon_begin_remove("9");
	for (int i = 2; i < CLIENTS; i += 3)
		expect_ended(clients[i]);
	for (int i = 1; i < CLIENTS; i += 3)
		client_printf(clients[i], "ization: Bearer %s\r\n\r\n", key.text);
	for (int i = 0; i < CLIENTS; i++) {
		if (i % 3 == 2)
			continue;
		assert_int_equal(client_read(clients[i], false, &response), 0);
		expect_admitted(&response, 200);
		assert_true(i % 3 || response.body_length == 1024 * 1024);
	}
	assert_int_equal(await_exit(remove), 0);
	expect_nothing_left(&objects);
	close_all_clients();
}

/* Where it goes on other arguments than the daemon had, the cgroup does not matter. */
static void goes_from_any_cgroup(void **state)
{
	struct stage former = stage;
	unsigned int minute, day;
	struct response response;
	struct stand stand;
	pid_t remove;

	(void)state;
	need_window_ms(20000);
	daemon_start();
	stand = prepare();
	daemon_kill();
	finish_answer(&stand);
	/* Counted while no daemon runs. */
	ask(stand.busy, &stand.key);
	stand_in_read(stand.server, "\r\n\r\n", (char[1024]){ 0 }, 1024);
	snprintf(stage.cgroup, sizeof(stage.cgroup), "%.240s/none", former.cgroup);
	remove = daemon_begin_remove(NULL);
	stage = former;
	expect_ended(stand.idle);
	stand_in_write(stand.server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(client_read(stand.busy, false, &response), 0);
	expect_admitted(&response, 200);
	assert_int_equal(await_exit(remove), 0);
	stand_in_leave();
	daemon_start();
	key_used(&stand.key, &minute, &day);
	assert_int_equal(day, 3);
}

static void says_what_is_not_saved(void **state)
{
	struct stage former = stage;

	(void)state;
	daemon_start();
	daemon_stop();
	snprintf(stage.state, sizeof(stage.state), "%.80s/none", former.folder);
	assert_int_equal(daemon_remove(), 0);
	stage = former;
	assert_int_equal(
		count_lines(stage.daemon_log,
			    "What was counted since the last daemon is not saved: there is no "),
		1);
}

/* What stands in the way is no pin, and the kernel opens it for nobody. */
static void says_what_is_left(void **state)
{
	char pin[160];

	(void)state;
	daemon_start();
	daemon_stop();
	snprintf(pin, sizeof(pin), "%s/conns", stage.pins);
	assert_int_equal(unlink(pin), 0);
	assert_int_equal(symlink("/etc/passwd", pin), 0);
	assert_int_not_equal(daemon_remove(), 0);
	assert_int_equal(count_lines(stage.daemon_log, "Nothing is checked any more, but "), 1);
	assert_int_equal(count_lines(stage.daemon_log, "Run --remove once more."), 1);
	assert_int_equal(unlink(pin), 0);
	assert_int_equal(daemon_remove(), 0);
	assert_true(access(stage.pins, F_OK));
}

/* --- what is left of a port that was taken out of the configuration --------------------------------- */

#define HALF 40000 /* bytes of a body */

/* An upload of which half is sent, and the first bytes read, on a port that is then gated no more. */
struct upload {
	struct stand stand;
	struct client *client;
	int server;
	size_t got; /* bytes of the body */
};

static void send_half(const struct upload *upload)
{
	char half[HALF];

	memset(half, 'u', sizeof(half));
	assert_int_equal(client_send(upload->client, half, sizeof(half)), 0);
}

/* Read up to so many bytes of the body. Returns what the last recv() did: 0 at the stream's end, < 0. */
static ssize_t read_body(struct upload *upload, size_t up_to)
{
	ssize_t got = 1;

	while (upload->got < up_to && got > 0) {
		char bytes[4096];
		size_t left = up_to - upload->got;

		got = recv(upload->server, bytes, left < sizeof(bytes) ? left : sizeof(bytes), 0);
		if (got < 0 && errno == EAGAIN && !stand_in_is_spared(upload->server, PATIENCE_MS))
			got = 1;
		else if (got > 0)
			upload->got += got;
	}
	return got;
}

static struct upload begin_upload(void)
{
	struct upload upload = { .stand = prepare() };
	char head[1024];

	finish_answer(&upload.stand);
	upload.client = stand_in_meet(&upload.server);
	client_printf(upload.client,
		      "PUT /upload HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n"
		      "Content-Length: %d\r\n\r\n",
		      upload.stand.key.text, 2 * HALF);
	stand_in_read(upload.server, "\r\n\r\n", head, sizeof(head));
	send_half(&upload);
	assert_true(read_body(&upload, HALF / 2) > 0);
	return upload;
}

/* The port goes, by a reload or by a restart; then the daemon does. */
static void forget_port(uint16_t port, bool restart)
{
	configure_without(port);
	if (restart) {
		daemon_stop();
		daemon_start();
	} else {
		assert_int_equal(api("POST", "/v1/reload", NULL, (char[4096]){ 0 }, 4096), 200);
	}
	assert_false(is_gated(port));
	daemon_stop();
}

/* The rest of the body comes while the gate is about to go. */
static void upload_ends(bool restart)
{
	struct bpf_objects objects;
	struct response response;
	struct upload upload;
	pid_t remove;

	start_configured();
	upload = begin_upload();
	forget_port(upload.stand.port, restart);
	bpf_objects_find(&objects);
	remove = daemon_begin_remove("9");
	expect_ended(upload.stand.idle);
	expect_ended(upload.stand.busy);
	/* The port itself is open to all, as before. */
	assert_true(lets_in(upload.stand.port));
	assert_true(process_runs(remove));
	send_half(&upload);
	assert_true(read_body(&upload, 2 * HALF) > 0);
	stand_in_write(upload.server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(client_read(upload.client, false, &response), 0);
	expect_admitted(&response, 200);
	expect_ended(upload.client);
	assert_int_equal(await_exit(remove), 0);
	expect_nothing_left(&objects);
	stand_in_leave();
}

static void reloaded_upload_ends(void **state)
{
	(void)state;
	upload_ends(false);
}

static void restarted_upload_ends(void **state)
{
	(void)state;
	upload_ends(true);
}

/* Reset, so that the application is told: what it has is not all. */
static void upload_is_reset(const char *seconds, bool restart)
{
	struct bpf_objects objects;
	struct upload upload;

	start_configured();
	upload = begin_upload();
	forget_port(upload.stand.port, restart);
	bpf_objects_find(&objects);
	assert_int_equal(await_exit(daemon_begin_remove(seconds)), 0);
	expect_nothing_left(&objects);
	expect_ended(upload.client);
	assert_true(read_body(&upload, 2 * HALF) < 0);
	stand_in_leave();
}

static void forgotten_uploads_are_reset(void **state)
{
	(void)state;
	upload_is_reset("0", false);
	upload_is_reset("0", true);
	upload_is_reset("1", false);
}

/* What is idle while the gate goes takes no other request; and where it stays after all, it does. */
static void forgotten_port_stays(void **state)
{
	struct response response;
	struct upload upload;
	pid_t remove;

	(void)state;
	start_configured();
	upload = begin_upload();
	forget_port(upload.stand.port, false);
	remove = daemon_begin_remove("60");
	expect_ended(upload.stand.idle);
	kill(remove, SIGINT);
	assert_int_equal(await_exit(remove), 1);
	send_half(&upload);
	assert_true(read_body(&upload, 2 * HALF) > 0);
	stand_in_write(upload.server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(client_read(upload.client, false, &response), 0);
	expect_admitted(&response, 200);
	ask(upload.client, &upload.stand.key);
	stand_in_read(upload.server, "\r\n\r\n", (char[1024]){ 0 }, 1024);
	stand_in_write(upload.server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(client_read(upload.client, false, &response), 0);
	expect_admitted(&response, 200);
	stand_in_leave();
	daemon_start();
}

static const struct promise promises[] = {
	{ "--remove waits for what is under way, and leaves nothing at all", gate_goes, ONCE },
	{ "--remove resets what is not at its end in time, and leaves nothing", gate_time_is_up,
	  ONCE },
	{ "that time goes on where --remove does not run", time_is_up_while_stopped, ONCE },
	{ "--remove that is interrupted leaves the gate as it was", interrupted, ONCE },
	{ "--remove waits for uploads to a port that a reload took out of the gate",
	  reloaded_upload_ends, ONCE },
	{ "likewise where a start did", restarted_upload_ends, ONCE },
	{ "where it does not wait for such an upload, it is reset, not cut short",
	  forgotten_uploads_are_reset, ONCE },
	{ "where it is interrupted, such connections go on", forgotten_port_stays, ONCE },
	{ "--remove waits, and saves what was counted, whatever cgroup it is told",
	  goes_from_any_cgroup, ONCE },
	{ "--remove says where it cannot save what was counted", says_what_is_not_saved, ONCE },
	{ "--remove that fails halfway says what is left, and goes on when run again",
	  says_what_is_left, ONCE },
	{ "--remove cuts no answer off", whole_answers, EACH_APPLICATION },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
